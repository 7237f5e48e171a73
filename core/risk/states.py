"""States of trading and of the risk posture, who may move them, and the record of each move.

States are enums with a transition table, never booleans. Several sources can hold trading back at once
(operator, daily loss, drawdown, ledger); the most severe one counts, and each is lifted on its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

#: Anomalies that stop buying until an operator has looked.
GRAVE = frozenset(
    {"OVERFILL", "WORSE_PRICE", "FEE_ABOVE_BOUND", "SHORT", "FILL_UNSENT", "TERMS_UNAPPROVED"}
)


class TradingState(StrEnum):
    """What may leave the gate, from everything to nothing."""

    RUNNING = "RUNNING"
    REDUCE_ONLY = "REDUCE_ONLY"
    LIQUIDATING = "LIQUIDATING"
    HALTED = "HALTED"


SEVERITY = {state: rank for rank, state in enumerate(TradingState)}


class Posture(StrEnum):
    """How much of the limits may be used."""

    AGGRESSIVE = "AGGRESSIVE"
    BALANCED = "BALANCED"
    DEFENSIVE = "DEFENSIVE"
    HALT = "HALT"


class Trigger(StrEnum):
    """What moves the posture."""

    BREACH = "breach"
    KILL = "kill"
    CALM = "calm"
    RESUME = "resume"


#: (posture, trigger) -> next posture. A missing pair changes nothing: calm never ends a halt.
POSTURE_TRANSITIONS: dict[tuple[Posture, Trigger], Posture] = {
    (Posture.AGGRESSIVE, Trigger.BREACH): Posture.BALANCED,
    (Posture.BALANCED, Trigger.BREACH): Posture.DEFENSIVE,
    (Posture.DEFENSIVE, Trigger.BREACH): Posture.HALT,
    (Posture.AGGRESSIVE, Trigger.KILL): Posture.HALT,
    (Posture.BALANCED, Trigger.KILL): Posture.HALT,
    (Posture.DEFENSIVE, Trigger.KILL): Posture.HALT,
    (Posture.BALANCED, Trigger.CALM): Posture.AGGRESSIVE,
    (Posture.DEFENSIVE, Trigger.CALM): Posture.BALANCED,
    (Posture.HALT, Trigger.RESUME): Posture.DEFENSIVE,
}


@dataclass(frozen=True, slots=True)
class RiskEvent:
    """One move of a state machine of the risk layer, for a ledger row.

    Attributes
    ----------
    machine : str
        ``trading``, ``posture``, ``phase``, ``breaker``, ``budget``, ``cooldown``, ``volatility`` or
        ``anomaly``.
    subject : str
        What moved: a source, a strategy, a market, a scope.
    """

    ts_ns: int
    machine: str
    subject: str
    before: str
    after: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """One source that holds trading back."""

    state: TradingState
    reason: str
    since_ns: int


class Holds:
    """All sources that hold trading back; `state` is the most severe of them."""

    __slots__ = ("events", "sources", "state")

    def __init__(self, events: list[RiskEvent]) -> None:
        self.events = events
        self.sources: dict[str, Hold] = {}
        self.state = TradingState.RUNNING

    def put(self, source: str, state: TradingState, reason: str, ts_ns: int) -> None:
        """Let `source` hold trading at `state`; RUNNING lifts its hold."""
        old = self.sources.get(source)
        before = old.state if old else TradingState.RUNNING
        if state is TradingState.RUNNING:
            self.sources.pop(source, None)
        elif old is None or old.state is not state:
            self.sources[source] = Hold(state, reason, ts_ns)
        if before is not state:
            self.events.append(RiskEvent(ts_ns, "trading", source, before, state, reason))
        states = [hold.state for hold in self.sources.values()]
        self.state = max(states, key=SEVERITY.__getitem__, default=TradingState.RUNNING)

    @property
    def reason(self) -> str:
        """Which source holds trading at the present state, and why."""
        for source, hold in self.sources.items():
            if hold.state is self.state:
                return f"{source}: {hold.reason}"
        return ""


def taken_back(trade_id: str) -> str:
    """Return why a market is barred after a void."""
    return f"trade {trade_id} was taken back"
