"""What was wrong with imported rows: every one in a JSONL file, the first of each kind in the report."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt


class Issue(StrEnum):
    """Classes of trouble in imported data."""

    RAGGED = "ragged"
    NOT_A_NUMBER = "not_a_number"
    BAD_PRICE = "bad_price"
    BAD_SIZE = "bad_size"
    BAD_SIDE = "bad_side"
    BAD_TIME = "bad_time"
    OFF_PRECISION = "off_precision"
    OFF_GRID = "off_grid"
    DUPLICATE = "duplicate"
    OUT_OF_ORDER = "out_of_order"
    SEQUENCE_GAP = "sequence_gap"
    TIME_GAP = "time_gap"
    NEGATIVE_LEVEL = "negative_level"
    CROSSED = "crossed"
    AFTER_BREAK = "after_break"
    OVERLAP = "overlap"
    BAD_MARKET = "bad_market"
    UNKNOWN_MARKET = "unknown_market"
    NO_DATA = "no_data"
    ONE_SIDED = "one_sided"
    AFTER_CLOSE = "after_close"
    UNRESOLVED = "unresolved"
    UNOFFICIAL_LABEL = "unofficial_label"
    CONFLICT = "conflict"
    MISMATCH = "mismatch"


MEANING: dict[Issue, str] = {
    Issue.RAGGED: "line with another number of fields than the header",
    Issue.NOT_A_NUMBER: "empty, NaN or infinite where a number is needed",
    Issue.BAD_PRICE: "price outside what the instrument can have",
    Issue.BAD_SIZE: "size negative, or zero where something must be there",
    Issue.BAD_SIDE: "unknown side",
    Issue.BAD_TIME: "time missing or impossible",
    Issue.OFF_PRECISION: "number finer than the instrument's decimals",
    Issue.OFF_GRID: "price between the ticks that the venue accepts",
    Issue.DUPLICATE: "row that was there already",
    Issue.OUT_OF_ORDER: "time or sequence goes backwards",
    Issue.SEQUENCE_GAP: "sequence numbers are missing: the book is cleared there",
    Issue.TIME_GAP: "a stretch without data: the book is cleared, or bars are missing",
    Issue.NEGATIVE_LEVEL: "a level would become negative: the book is cleared there",
    Issue.CROSSED: "bid above the ask, in a whole book also at it",
    Issue.AFTER_BREAK: "rows after a break and before the next snapshot",
    Issue.OVERLAP: "a second recording of the same time: the longer one is used",
    Issue.UNKNOWN_MARKET: "rows of a market that has no description",
    Issue.BAD_MARKET: "market description that cannot be used",
    Issue.NO_DATA: "a market without a single usable row",
    Issue.ONE_SIDED: "row before a market's first two-sided quote: left out of this part",
    Issue.AFTER_CLOSE: "row after the close of trading",
    Issue.UNRESOLVED: "no official settlement: positions stay open and are flagged",
    Issue.UNOFFICIAL_LABEL: "an outcome inferred from prices: not used as a settlement",
    Issue.CONFLICT: "two sources contradict each other",
    Issue.MISMATCH: "a check against an independent record failed",
}


class Fate(StrEnum):
    """What was done with a troubled row."""

    DROPPED = "dropped"
    KEPT = "kept"
    REPAIRED = "repaired"


@dataclass(slots=True)
class Tally:
    """Count and first examples of one class of trouble."""

    count: int = 0
    fate: dict[str, int] = field(default_factory=dict)
    first: list[dict[str, Any]] = field(default_factory=list)


class IssueLog:
    """Collect troubled rows.

    Parameters
    ----------
    path : Path
        JSONL file as it is called once `commit` has put it there.
    draft : Path
        Where it is written until then; created with the first issue.
    keep : int
        How many examples of each class the report shows.
    """

    def __init__(self, path: Path, draft: Path, keep: int = 5) -> None:
        self.path, self.draft = path, draft
        self.keep = keep
        self.tallies: dict[Issue, Tally] = {}
        self._file: IO[str] | None = None

    def add(
        self,
        code: Issue,
        fate: Fate,
        *,
        file: str,
        row: int = -1,
        subject: str = "",
        seen: object = None,
        rows: int = 1,
    ) -> None:
        """Record one troubled place.

        Parameters
        ----------
        file, row : str, int
            Source file and 0-based data row; -1 = the file or market as a whole.
        subject : str
            Market, instrument or session.
        seen : object
            The offending value.
        rows : int
            How many rows it stands for.
        """
        entry = {
            "code": code.value,
            "fate": fate.value,
            "file": file,
            "row": row,
            "subject": subject,
            "seen": seen if isinstance(seen, str | int | type(None)) else str(seen),
            "rows": rows,
        }
        if self._file is None:
            self.draft.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.draft.open("w")
        self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        tally = self.tallies.setdefault(code, Tally())
        tally.count += rows
        tally.fate[fate.value] = tally.fate.get(fate.value, 0) + rows
        if len(tally.first) < self.keep:
            tally.first.append(entry)

    def mask(
        self,
        code: Issue,
        fate: Fate,
        bad: npt.NDArray[np.bool_],
        *,
        file: str,
        rows: npt.NDArray[np.int64] | None = None,
        subject: str | Sequence[Any] = "",
        seen: Sequence[Any] | npt.NDArray[Any] | None = None,
    ) -> None:
        """Record every true row of `bad`.

        Parameters
        ----------
        rows : int64[n], optional
            Row numbers in `file` of the positions of `bad`; None = the positions themselves.
        subject, seen : str or sequence of n
            Per row; a single text stands for all.
        """
        for i in np.flatnonzero(bad).tolist():
            self.add(
                code,
                fate,
                file=file,
                row=int(rows[i]) if rows is not None else i,
                subject=subject if isinstance(subject, str) else str(subject[i]),
                seen=None if seen is None else str(seen[i]),
            )

    def count(self, code: Issue) -> int:
        """Return how many rows had this trouble."""
        return self.tallies[code].count if code in self.tallies else 0

    def commit(self, *, after: bool = False) -> None:
        """Put the list in its place, instead of an earlier one or, when told so, `after` its lines."""
        written = self._close()
        if after and self.path.exists():
            if written:
                lines = self.path.read_bytes() + self.draft.read_bytes()
                self.draft.write_bytes(lines)
        elif not written:
            self.path.unlink(missing_ok=True)
        if written:
            self.draft.replace(self.path)

    def abandon(self, path: Path | None = None) -> None:
        """Leave the list of an import that failed at `path`, or nowhere."""
        if self._close() and path is not None:
            with contextlib.suppress(FileNotFoundError):  # taken by a writer that came after us
                self.draft.replace(path)
        self.draft.unlink(missing_ok=True)

    def _close(self) -> bool:
        """Close the draft; return whether there is one."""
        if self._file is None:
            return False
        self._file.close()
        self._file = None
        return True

    def to_dict(self) -> dict[str, Any]:
        """Return counts, fates and first examples by class."""
        return {
            code.value: {
                "meaning": MEANING[code],
                "rows": tally.count,
                "fate": tally.fate,
                "first": tally.first,
            }
            for code, tally in sorted(self.tallies.items())
        }
