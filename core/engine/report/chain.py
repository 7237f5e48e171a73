"""The rows behind the newest fills, from the data to the settlement, as the page shows them when a fill is clicked."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from core.engine.report.wording import times
from core.engine.results import FillRow, RunResult
from core.ledger.chain import Move, closings
from core.ledger.reader import LedgerReader
from core.ledger.rows import Row

#: Newest fills whose rows are in the page: about 5 kB each.
CHAIN_FILLS = 300
#: Rows that closed a position which are shown with one fill.
CHAIN_ENDS = 8
#: A row larger than this is named, not embedded (a data set of thousands of instruments).
ROW_BYTES = 8_000


@dataclass(frozen=True, slots=True)
class Chains:
    """What the page knows of the ledger.

    Attributes
    ----------
    command : str
        Prints the chain of any fill, with ``SEQ`` for its row; empty when the run kept no ledger.
    carried, fills : int
        Fills whose rows are here, and fills of the run, settlement legs included.
    rows : dict
        ``[kind, time, parents, payload, hash]`` by row number.
    ends : dict
        Rows that closed the position, by the row of the fill that opened or grew it.
    """

    command: str = ""
    carried: int = 0
    fills: int = 0
    rows: dict[int, list[Any]] = field(default_factory=dict)
    ends: dict[int, tuple[int, ...]] = field(default_factory=dict)


def chains_of(result: RunResult, ledger: Path | None) -> Chains:
    """Return the rows behind the newest fills of `result`.

    Every generation of ancestors is read at once, by row number: a few milliseconds whatever the length
    of the run.

    Parameters
    ----------
    ledger : Path, optional
        Folder of the run's ledger; None = none was kept.

    Raises
    ------
    LedgerError
        If the ledger cannot be read.
    """
    kept = [f for f in result.fills if f.ledger_seq]
    if ledger is None or not kept:
        return Chains(fills=len(result.fills))
    shown = kept[-CHAIN_FILLS:]
    ends = closings(_moves(result))
    wanted = {f.ledger_seq: ends.get(f.ledger_seq, ())[:CHAIN_ENDS] for f in shown}
    found = _with_ancestors(LedgerReader(ledger), wanted)
    last = {seq for after in wanted.values() for seq in after} - found.keys()
    found.update(LedgerReader(ledger).rows_at(last))
    return Chains(
        command=f"beta ledger show SEQ --chain --effects --dir {shlex.quote(str(ledger))}",
        carried=len(shown),
        fills=len(result.fills),
        rows=_plain(found),
        ends={seq: after for seq, after in wanted.items() if after},
    )


def _with_ancestors(reader: LedgerReader, seqs: Iterable[int]) -> dict[int, Row]:
    """Return the rows and everything they came from."""
    out: dict[int, Row] = {}
    level = set(seqs)
    while level:
        rows = reader.rows_at(level)
        out.update(rows)
        level = {p for row in rows.values() for p in row.parent_seqs} - out.keys()
    return out


def _moves(result: RunResult) -> list[Move]:
    """Return the changes of every position, in the order of their rows."""
    outcomes = {m.market_id: m.instruments for m in result.markets}
    moves = [
        Move(f.ledger_seq, f.strategy_id, (f.instrument_id,), _signed(f)) for f in result.fills
    ]
    moves += [
        Move(m.ledger_seq, m.strategy_id, outcomes.get(m.market_id, ()), -m.pairs)
        for m in result.merges
    ]
    return sorted(moves)


def _signed(fill: FillRow) -> Decimal:
    return fill.quantity if fill.side == "BUY" else -fill.quantity


def _plain(rows: dict[int, Row]) -> dict[int, list[Any]]:
    """Return rows as the page's script reads them; the payload is the stored text."""
    return {
        seq: [
            row.name,
            at,
            msgspec.Raw(row.parents.encode()),
            msgspec.Raw(row.payload if len(row.payload) <= ROW_BYTES else _shortened(row.payload)),
            row.hash.hex()[:12],
        ]
        for (seq, row), at in zip(
            rows.items(), times([row.ts_event for row in rows.values()]), strict=True
        )
    }


def _shortened(payload: bytes) -> bytes:
    """Return a large payload with its long lists counted instead of written out."""
    fields = msgspec.json.decode(payload)
    short = {
        key: f"{len(value):,} entries" if isinstance(value, list) and len(value) > 20 else value
        for key, value in fields.items()
    }
    return msgspec.json.encode(short)
