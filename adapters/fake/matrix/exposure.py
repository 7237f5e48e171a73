"""I5 from the venue's side: what its own books hold at risk, at every order and fill, against the limit in force."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from core.engine.paper.exchange import Execution, FakeOrder

if TYPE_CHECKING:
    from adapters.fake.matrix.stand import Stand

ATTOS_PER_MICRO = 1_000_000_000_000


def _buys(side: str, outcome: str) -> bool:
    return (side == "bid") == (outcome == "YES")


class Exposure:
    """Money at risk by market: what the shares held have cost, and what working purchases still can.

    Attributes
    ----------
    broken : list of str
        Moments at which a market held more than the gate's limit had ever allowed.
    """

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.broken: list[str] = []
        self._cost: Counter[tuple[str, str]] = Counter()
        self._held: Counter[tuple[str, str]] = Counter()
        self._most: Counter[str] = Counter()
        if (
            "fail" not in stand.options
        ):  # trades that the venue takes back are judged by their voids
            stand.exchange.listeners.insert(0, self._heard)

    def _heard(self, kind: str, value: object) -> None:
        if isinstance(value, Execution):
            self._executed(value)
        elif not isinstance(value, FakeOrder):
            return
        self._judge(value.market)

    def _executed(self, value: Execution) -> None:
        key = value.market, value.outcome
        price = value.price if value.outcome == "YES" else 10_000 - value.price
        if _buys(value.side, value.outcome):
            self._cost[key] += price * value.quantity + value.fee
            self._held[key] += value.quantity
        elif self._held[key]:
            left = max(self._held[key] - value.quantity, 0)
            self._cost[key] = self._cost[key] * left // self._held[key]
            self._held[key] = left

    def at_risk(self, market_id: str) -> int:
        """Return micro-dollars at risk in a market."""
        held = sum(cost for (market, _), cost in self._cost.items() if market == market_id)
        working = sum(
            (o.price if o.outcome == "YES" else 10_000 - o.price) * o.left
            for o in self.stand.exchange.working()
            if o.market == market_id and _buys(o.side, o.outcome)
        )
        return held + working

    def allow(self) -> None:
        """Before a decision: note what the limits allow now, and that all that works at the venue is reserved."""
        self._reserved()
        for rules in self.stand.gate.rules.values():
            limit = self.stand.gate.ceilings(rules).market // ATTOS_PER_MICRO
            self._most[rules.market_id] = max(self._most[rules.market_id], limit)

    def _reserved(self) -> None:
        stand = self.stand
        for order in stand.exchange.working():
            cid = stand.cid(order)
            ours = cid in stand.engine.ever and cid not in stand.client.unknowns.late
            if ours and cid not in stand.gate.book.orders:
                self.broken.append(f"{cid} works at the venue and the gate reserves nothing")

    def _judge(self, market_id: str) -> None:
        risk, most = self.at_risk(market_id), self._most[market_id]
        if risk > most:
            self.broken.append(f"{market_id}: {risk} micro-dollars at risk, the limit was {most}")
