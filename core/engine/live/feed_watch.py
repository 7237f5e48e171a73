"""What went wrong on a venue's connections, as rows: bad frames and answers, gaps, breaks, 429s, clocks apart.

A venue that sends nonsense must be seen by whoever reads ledger or log, not only by a counter in memory. At most one
row of a kind a second and connection, whatever comes. The counters go into the status line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.domain.errors import LedgerError
from core.ledger import Ledger
from core.ledger.kinds import Fault, FeedState

MEND = (
    "it was dropped and what it touched is read again; if it goes on the venue has changed its format: "
    "stop the node (beta risk halt) and update"
)
#: How connections look while a node comes up: no news.
STARTING = ("down", "connecting", "up")
#: Counters of a connection that the status line shows, summed over all.
COUNTERS = ("frames", "bad_frames", "gaps", "repeats", "connects", "limited", "mended")


def connections_of(owner: object) -> Mapping[str, Any]:
    """Return the connections that a data client or port shows by name; none where it has no sockets."""
    found: Mapping[str, Any] = getattr(owner, "connections", {})
    return found


@dataclass(slots=True)
class _Seen:
    bad_frames: int = 0
    gaps: int = 0
    connects: int = 0
    limited: int = 0
    mended: int = 0
    state: str = ""


@dataclass(slots=True)
class FeedWatch:
    """Compares the counters of all connections with the last look.

    Parameters
    ----------
    ledger : Ledger
        Gets `Fault` rows for bad frames and `FeedState` rows for gaps, breaks and returns.
    """

    ledger: Ledger
    _seen: dict[str, _Seen] = field(default_factory=dict)

    def look(self, connections: Mapping[str, Any], now_ns: int) -> dict[str, int]:
        """Write what is new since the last look; return the counters, summed."""
        totals = dict.fromkeys(COUNTERS, 0)
        for name, connection in connections.items():
            stats = connection.stats
            for counter in COUNTERS:
                totals[counter] += getattr(stats, counter)
            seen = self._seen.setdefault(name, _Seen())
            for row in self._news(name, connection, seen):
                try:
                    self.ledger.append(row, ts_event=now_ns)
                except LedgerError:
                    return totals  # the ledger has halted the node by itself
            seen.bad_frames, seen.gaps = stats.bad_frames, stats.gaps
            seen.connects, seen.limited, seen.mended = stats.connects, stats.limited, stats.mended
            seen.state = str(connection.state)
        return totals

    def _news(self, name: str, connection: Any, seen: _Seen) -> list[Any]:
        stats, state = connection.stats, str(connection.state)
        rows: list[Any] = []
        last = stats.errors[-1] if stats.errors else ""
        if bad := stats.bad_frames - seen.bad_frames:
            error = next((e for e in reversed(stats.errors) if e.startswith("frame:")), last)
            rows.append(Fault(where=name, error=error, action=MEND, detail=f"{bad} bad frames"))
        if gaps := stats.gaps - seen.gaps:
            detail = f"{gaps} gaps; books cleared until their snapshots come"
            rows.append(FeedState(feed=name, state="gap", detail=detail))
        if stats.mended > seen.mended:
            found = [e for e in stats.errors if e.startswith("book:")][seen.mended - stats.mended :]
            rows += [FeedState(feed=name, state="mended", detail=e) for e in found]
        known = seen.state or ("" if state in STARTING else "unknown")
        changed = bool(known) and state != known
        if changed or stats.connects > max(seen.connects, 1):  # also before the first look
            count = (
                f"{stats.connects} connects" if stats.connects else f"{stats.limited} answers 429"
            )
            detail = f"{count}; {last}" if last else count
            rows.append(FeedState(feed=name, state=state, detail=detail))
        elif stats.limited > seen.limited and state == "up":  # waited out between two looks
            rows.append(FeedState(feed=name, state="limited", detail=last))
        return rows
