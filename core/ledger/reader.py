"""Read a ledger, also while it is being written: by run, window, hour, kind, number or descent."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import apsw

from core.domain.errors import LedgerCorrupt, MissingData, UsageError
from core.ledger.chain import MOVING, closings, moves_of
from core.ledger.kinds import Genesis, RunEnded, RunStarted
from core.ledger.rows import COLUMNS, Head, Row
from core.ledger.segment import SegmentName, open_reader, segments
from core.ledger.selection import Selection

#: Types of a sound row's nine columns.
_TYPES = (int, str, int, int, str, str, bytes, bytes, bytes)
#: Rows asked for in one statement.
_AT_ONCE = 500
_VERIFY = "beta ledger verify"


class RunSummary(NamedTuple):
    """One run of a ledger; `last_seq` is 0 and `outcome` empty while it is open; `reason` says why it ended.

    `mode` is empty and `first_seq` 0 when the run began in a file that was set aside (`beta ledger quarantine`).
    """

    run_id: str
    mode: str
    first_seq: int
    last_seq: int
    outcome: str
    started_ns: int
    ended_ns: int
    reason: str = ""


class LedgerReader:
    """Read-only view of a ledger directory. Never takes the lock, never writes.

    Raises
    ------
    MissingData
        If the directory holds no ledger.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        if not segments(directory):
            raise MissingData(
                "no ledger here", str(directory), "give the directory: beta ledger tail --dir PATH"
            )

    def head(self) -> Head:
        """Return the last committed row's number and hash."""
        sql = f"SELECT {COLUMNS} FROM ledger ORDER BY seq DESC LIMIT 1"
        for row in _query(segments(self.directory)[-1], sql, ()):
            return Head(row.seq, row.hash)
        return Head()

    def head_at(self, seq: int) -> Head:
        """Return the number and hash of the last row up to `seq`; the empty head when there is none."""
        for row in self.rows(Selection(last_seq=seq), newest_first=True):
            return Head(row.seq, row.hash)
        return Head()

    def row(self, seq: int) -> Row:
        """Return one row.

        Raises
        ------
        UsageError
            If there is no such row.
        """
        for name in reversed(segments(self.directory)):
            if name.first_seq <= seq:
                for row in _query(name, f"SELECT {COLUMNS} FROM ledger WHERE seq = ?", (seq,)):
                    return row
                break
        raise UsageError("no such row in the ledger", seq, f"rows go to {self.head().seq}")

    def rows_at(self, numbers: Iterable[int]) -> dict[int, Row]:
        """Return the rows of these numbers by number; numbers without a row are left out."""
        wanted = sorted(set(numbers))
        out: dict[int, Row] = {}
        names = segments(self.directory)
        for i, name in enumerate(names):
            following = names[i + 1].first_seq if i + 1 < len(names) else sys.maxsize
            own = [n for n in wanted if name.first_seq <= n < following]
            for at in range(0, len(own), _AT_ONCE):
                part = own[at : at + _AT_ONCE]
                marks = ",".join("?" * len(part))
                sql = f"SELECT {COLUMNS} FROM ledger WHERE seq IN ({marks})"
                out.update((row.seq, row) for row in _query(name, sql, tuple(part)))
        return out

    def closings(self, seq: int) -> list[Row]:
        """Return the rows that closed the position which the fill in row `seq` added to, in order.

        These are later sales, merges and the settlement: of a position built by many fills, the ledger's
        parents lead only from the last one on.
        """
        start = self.row(seq)
        if start.name != "order.filled":
            return []
        chosen = Selection(run=start.run_id, kinds=MOVING)
        return list(self.rows_at(closings(moves_of(self.rows(chosen))).get(seq, ())).values())

    def nth(self, kind: str, number: int) -> Row:
        """Return the row of one kind by its place in the newest run: 1 = first, -1 = last.

        Raises
        ------
        UsageError
            If the run has fewer.
        """
        runs = self.runs()
        chosen = Selection(run=runs[-1].run_id if runs else "", kinds=(kind,))
        found = self.rows(chosen, newest_first=number < 0)
        row = next(islice(found, abs(number) - 1, None), None) if number else None
        if row is None:
            raise UsageError(
                f"the newest run has no such {kind} row",
                number,
                f"beta ledger tail --kind {kind} lists them; the first is 1, the last -1",
            )
        return row

    def rows(
        self, selection: Selection | None = None, *, newest_first: bool = False
    ) -> Iterator[Row]:
        """Yield rows in order of their number."""
        chosen = selection or Selection()
        first, last = chosen.first_seq, chosen.last_seq
        if chosen.run:
            run = self.run(chosen.run)
            first = max(first, run.first_seq)
            last = min(last or run.last_seq, run.last_seq or last or run.last_seq)
        where, values = chosen.where(first, last)
        names = self._files(first, last)
        order = "DESC" if newest_first else "ASC"
        sql = f"SELECT {COLUMNS} FROM ledger {where} ORDER BY seq {order}"
        for name in reversed(names) if newest_first else names:
            yield from _query(name, sql, values)
            self._whole(name, first, last)

    def tail(self, count: int, selection: Selection | None = None) -> list[Row]:
        """Return the newest `count` rows, oldest first."""
        out: list[Row] = []
        for row in self.rows(selection, newest_first=True):
            if len(out) == count:
                break
            out.append(row)
        return out[::-1]

    def runs(self) -> list[RunSummary]:
        """Return every run, oldest first."""
        out: dict[str, RunSummary] = {}
        for name in segments(self.directory):
            sql = f"SELECT {COLUMNS} FROM ledger WHERE kind GLOB 'run.*' ORDER BY seq"
            for row in _query(name, sql, ()):
                payload = row.decoded()
                if isinstance(payload, RunStarted):
                    out[payload.run_id] = RunSummary(
                        payload.run_id, payload.mode, row.seq, 0, "", row.ts_event, 0
                    )
                elif isinstance(payload, RunEnded):
                    # One that began in a file which was set aside has no beginning here.
                    begun = out.get(payload.run_id) or RunSummary(
                        payload.run_id, "", 0, 0, "", 0, 0
                    )
                    out[payload.run_id] = begun._replace(
                        last_seq=row.seq,
                        outcome=str(payload.outcome),
                        ended_ns=row.ts_event,
                        reason=payload.reason,
                    )
        return list(out.values())

    def run(self, run_id: str) -> RunSummary:
        """Return one run; an unknown id is a UsageError that names the nearest."""
        found = {run.run_id: run for run in self.runs()}
        if run_id in found:
            return found[run_id]
        import difflib

        near = difflib.get_close_matches(run_id, found, n=1) or list(found)[-1:]
        raise UsageError(
            "no such run in the ledger", run_id, f"did you mean {near[0]}" if near else ""
        )

    def ancestors(self, seq: int) -> list[tuple[int, Row]]:
        """Return a row and everything it came from: (generations back, row), nearest first."""
        out: list[tuple[int, Row]] = []
        seen, level, depth = {seq}, [seq], 0
        while level:
            found = [self.row(number) for number in level]
            out += [(depth, row) for row in found]
            level = sorted({p for row in found for p in row.parent_seqs} - seen, reverse=True)
            seen.update(level)
            depth += 1
        return out

    def descendants(self, seq: int) -> list[tuple[int, Row]]:
        """Return a row and everything that came from it, in order: (generations on, row).

        Reads forward to the end of the row's run, or of the ledger for a row outside runs.
        """
        start = self.row(seq)
        depth = {seq: 0}
        out = [(0, start)]
        for row in self.rows(Selection(first_seq=seq + 1)):
            if start.run_id and row.run_id != start.run_id:
                continue
            if row.parents != "[]":
                known = [depth[p] for p in row.parent_seqs if p in depth]
                if known:
                    depth[row.seq] = min(known) + 1
                    out.append((depth[row.seq], row))
            if row.name == "run.ended" and row.run_id == start.run_id:
                break
        return out

    def _whole(self, name: SegmentName, first: int, last: int) -> None:
        """Refuse a file that does not hold each row from `first` to `last` (0 = the end) that is its own.

        A damaged page can hold a row number beyond the last one asked for: a read then ends there without an
        error. So can a file that is gone: its rows would be passed over.
        """
        with _opened(name) as (db, _):
            end = next(db.execute("SELECT max(seq) FROM ledger"))[0] or 0
            low, high = max(first, name.first_seq), min(last or end, end)
            sql = "SELECT count(*) FROM ledger WHERE seq BETWEEN ? AND ?"
            found = next(db.execute(sql, (low, high)))[0]
        if found != max(0, high - low + 1):
            raise _missing(name, f"{found} of the {high - low + 1} rows {low} to {high}")
        names = segments(self.directory)
        if first < names[0].first_seq == name.first_seq > 1 and not _declares_break(name):
            raise _missing(name, f"nothing before row {name.first_seq}")
        after = next((n for n in names if n.first_seq > name.first_seq), None)
        wanted = after and end + 1 < after.first_seq and (not last or last > end)
        if after and wanted and not _declares_break(after):
            raise _missing(name, f"rows {end + 1} to {after.first_seq - 1}")

    def _files(self, first: int, last: int) -> list[SegmentName]:
        """Return the files that can hold rows from `first` to `last` (0 = the end)."""
        names = segments(self.directory)
        out = []
        for i, name in enumerate(names):
            following = names[i + 1].first_seq if i + 1 < len(names) else 0
            if (following and following <= first) or (last and name.first_seq > last):
                continue
            out.append(name)
        return out


def _missing(name: SegmentName, which: str) -> LedgerCorrupt:
    return LedgerCorrupt("ledger rows are missing", f"{name.path.name}: {which}", _VERIFY)


def _declares_break(name: SegmentName) -> bool:
    """Whether the first row of a file says that the file before it was set aside."""
    sql = f"SELECT {COLUMNS} FROM ledger ORDER BY seq LIMIT 1"
    return any(
        isinstance(genesis := row.decoded(), Genesis) and genesis.first_bad_seq > 0
        for row in _query(name, sql, ())
    )


@contextmanager
def _opened(name: SegmentName) -> Iterator[tuple[apsw.Connection, list[int]]]:
    """Open a file; a damaged page or value is a LedgerCorrupt that names the row in the list, the last one read."""
    at = [0]
    try:
        with closing(open_reader(name.path)) as db:
            yield db, at
    except (apsw.Error, UnicodeDecodeError) as exc:
        raise LedgerCorrupt(
            "a ledger file is damaged",
            f"{name.path.name} after row {at[0]}: {exc}",
            _VERIFY,
        ) from exc


def _query(name: SegmentName, sql: str, values: tuple[int | str, ...]) -> Iterator[Row]:
    """Yield rows of one file."""
    with _opened(name) as (db, at):
        for record in db.execute(sql, values):
            if tuple(map(type, record)) != _TYPES:
                raise LedgerCorrupt(
                    "a ledger row has values of damaged types",
                    f"{name.path.name} row {record[0]}",
                    _VERIFY,
                )
            row = Row(*record)
            at[0] = row.seq
            yield row
