"""While our clock and the venue's are apart nothing new is bought: hours, expiries and stamps would be wrong.

Cancels and sales go on (they are signed by the venue's time as far as it is known). The hold lifts by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.risk.gate import Gate
from core.risk.states import TradingState

SOURCE = "clock"


def watch_clock(gate: Gate, connections: Mapping[str, Any], now_ns: int) -> str:
    """Hold trading at sales only while a connection's answers show another time; return why, or nothing.

    Parameters
    ----------
    connections : mapping
        By name; those whose ``clock_off`` says something are wrong, those that have ``skew_s`` know the time.
    """
    why = next((w for c in connections.values() if (w := getattr(c, "clock_off", ""))), "")
    held = SOURCE in gate.holds.sources
    if why and not held:
        gate.on_hold(SOURCE, TradingState.REDUCE_ONLY, why, now_ns)
    elif held and not why and any(knows_the_time(c) for c in connections.values()):
        gate.on_hold(SOURCE, TradingState.RUNNING, "the clocks agree again", now_ns)
    return why


def knows_the_time(connection: Any) -> bool:
    """Return whether answers of this connection have told the venue's time."""
    return hasattr(connection, "skew_s") and connection.stats.frames > 0
