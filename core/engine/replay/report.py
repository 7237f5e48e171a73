"""What a replay found: how many rows agree, and the first that does not, both sides of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from core.ledger.compare import Comparable, Difference


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a difference: its row, or the end of the stream."""

    seq: int
    kind: str
    ts_event: int
    payload: dict[str, Any]
    parents: tuple[str, ...]

    @classmethod
    def of(cls, row: Comparable | None) -> Side | None:
        """Return the side of a compared row."""
        if row is None:
            return None
        return cls(row.seq, row.kind, row.ts_event, json.loads(row.payload), row.parents)

    def plain(self) -> dict[str, Any]:
        """Return this side as JSON data."""
        return {
            "seq": self.seq,
            "kind": self.kind,
            "ts_event": self.ts_event,
            "parents": list(self.parents),
            "payload": self.payload,
        }


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first row that differs. A side is None where its stream has ended."""

    position: int
    field: str
    recorded: Side | None
    replayed: Side | None

    @classmethod
    def of(cls, difference: Difference) -> Divergence:
        """Return the divergence of a ledger comparison."""
        old, new = Side.of(difference.recorded), Side.of(difference.replayed)
        return cls(difference.position, difference.field, old, new)

    def lines(self) -> list[tuple[str, str, str, bool]]:
        """Return (name, recorded, replayed, differs) of every field of both rows."""
        left = _fields(self.recorded)
        right = _fields(self.replayed)
        names = [*left, *(n for n in right if n not in left)]
        return [
            (n, left.get(n, "-"), right.get(n, "-"), left.get(n) != right.get(n)) for n in names
        ]


def _fields(side: Side | None) -> dict[str, str]:
    if side is None:
        return {}
    out = {"kind": side.kind, "ts_event": str(side.ts_event)}
    for key, value in side.payload.items():
        if (
            isinstance(value, list)
            and value
            and all(isinstance(v, dict) and "name" in v for v in value)
        ):
            for part in value:
                rest = ", ".join(f"{k} {_text(v)}" for k, v in part.items() if k != "name")
                out[f"{key}.{part['name']}"] = rest
        else:
            out[key] = _text(value)
    return out | {"parents": ", ".join(side.parents)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """The result of one replay.

    Attributes
    ----------
    rows : int
        Decision rows that agree, inside the selection.
    divergence : Divergence, optional
        The first row that does not.
    causes : list of str
        What decides the two runs differently: code, data, configuration, versions.
    findings : list of str
        Lines of decision code that read a clock, the environment, unseeded randomness or the network.
    error : str
        Why the replay stopped early; empty when it ran to its end.
    """

    run_id: str
    rows: int
    divergence: Divergence | None = None
    causes: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    error: str = ""
    complete: bool = True

    @property
    def same(self) -> bool:
        """Whether every decision is the recorded one, by code that could not have decided otherwise."""
        return self.divergence is None and not self.findings and not self.error

    def plain(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        found = self.divergence
        return {
            "run_id": self.run_id,
            "same": self.same,
            "rows": self.rows,
            "divergence": None
            if found is None
            else {
                "position": found.position,
                "field": found.field,
                "recorded": found.recorded.plain() if found.recorded else None,
                "replayed": found.replayed.plain() if found.replayed else None,
            },
            "causes": self.causes,
            "findings": self.findings,
            "error": self.error,
            "complete": self.complete,
        }
