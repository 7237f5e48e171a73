"""Is a replay the same? What of a row must be equal, and what is said of the first that is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from core.ledger.rows import Row

#: Kinds that say something about the file, the process or the operator, not about a decision.
NOT_COMPARED = frozenset(
    {
        "ledger.genesis",
        "ledger.digest",
        "ledger.fault",
        "run.started",
        "run.ended",
        "operator.command",
    }
)


class Comparable(NamedTuple):
    """What must be equal: kind, time, content, and which rows it came from.

    Row numbers differ between two ledgers, so a parent is named by its kind and how many of that kind
    came before it in the run.
    """

    seq: int
    kind: str
    ts_event: int
    payload: bytes
    parents: tuple[str, ...]


class Difference(NamedTuple):
    """The first place where two streams differ; None on the side that ended early."""

    position: int
    field: str
    recorded: Comparable | None
    replayed: Comparable | None


def comparable(
    rows: Iterable[Row], leave_out: frozenset[str] = NOT_COMPARED
) -> Iterator[Comparable]:
    """Yield the rows that count, with parents named independently of row numbers."""
    names: dict[int, str] = {}
    counts: dict[str, int] = {}
    for row in rows:
        ordinal = counts.get(row.name, 0)
        counts[row.name] = ordinal + 1
        names[row.seq] = f"{row.name}#{ordinal}"
        if row.name not in leave_out:
            parents = tuple(names.get(p, "before the run") for p in row.parent_seqs)
            yield Comparable(row.seq, row.kind, row.ts_event, row.payload, parents)
