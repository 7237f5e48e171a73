"""What went wrong: fills that cannot be are anomalies, and some stop buying; arbitrage counts its own errors."""

from __future__ import annotations

from core.domain.errors import FeeError
from core.domain.fees import Side
from core.risk.bounds import Bounds
from core.risk.breaker import CircuitBreaker
from core.risk.instruments import InstrumentRules
from core.risk.states import GRAVE, Holds, RiskEvent, TradingState
from core.risk.units import NANO, dollars, shares
from core.risk.working import APPROVED, DONE, WorkingOrder


class Inspection(Bounds):
    """The part of the gate that does not take a fill on trust."""

    now_ns: int
    breaker: CircuitBreaker
    holds: Holds
    rules: dict[str, InstrumentRules]
    _events: list[RiskEvent]

    def _inspect(self, order: WorkingOrder, size: int, at: int, paid: int) -> None:
        """Compare a fill with what was approved; what cannot be is an anomaly."""
        cid = order.client_order_id
        if order.state is DONE:
            self._anomaly("LATE_FILL", cid)
            return
        if order.state is APPROVED:
            self._anomaly("FILL_UNSENT", cid)
        if order.by_cash:
            left = order.price * order.quantity - order.spent
            if at * size > left:
                self._anomaly("OVERFILL", f"{cid}: {dollars(at * size)} of {dollars(left)} dollars")
        elif size > order.quantity - order.filled:
            self._anomaly("OVERFILL", f"{cid}: {size} of {order.leaves}")
        if order.buy:
            if at > order.price:
                self._anomaly("WORSE_PRICE", f"{cid}: {shares(at)} above {shares(order.price)}")
            self._inspect_fee(order, paid, order.fee_bound)
        elif at < order.price:
            self._anomaly("SLIPPED", f"{cid}: {shares(at)} below {shares(order.price)}")
        elif paid > at * size + order.reserved:
            self._anomaly("FEE_ABOVE_PROCEEDS", f"{cid}: {dollars(paid)}")
        elif order.rules.pays_at_most == NANO:  # above one dollar the fee of a sale has no bound
            self._inspect_fee(order, paid, 0)

    def _inspect_fee(self, order: WorkingOrder, paid: int, bound: int) -> None:
        """Compare all fees of an order with the most that they can be.

        The rules of this moment count too: a venue may have changed them while the order rested.
        """
        total = order.fee_paid + paid
        if total <= bound or total <= 0:
            return
        cid, rules = order.client_order_id, self.rules[order.rules.instrument_id]
        side = Side.BUY if order.buy else Side.SELL
        try:
            now = self.fee_bound(rules, order.price, order.quantity, self.now_ns, 0, side)
            if total <= now and not order.buy:
                return
            then = self.fee_bound(
                order.rules, order.price, order.quantity, order.ts_ns, order.until_ns, side
            )
        except FeeError:
            now = then = 0
        if total > max(now, then):
            self._anomaly("FEE_ABOVE_BOUND", f"{cid}: {dollars(total)}")
        elif order.buy:
            self._anomaly("FEE_RULE_CHANGED", f"{cid}: {dollars(total)}")

    def _arbitrages(self, order: WorkingOrder) -> bool:
        return self.book.families.get(order.strategy_id) == self.breaker.family

    def _breaker_error(self, order: WorkingOrder, reason: str) -> None:
        if self._arbitrages(order):
            self.breaker.error(order.client_order_id, reason, self.now_ns)

    def _strangers(self, rules: InstrumentRules, strategy_id: str) -> None:
        """Count shares that came or went without us as a mismatch, where arbitrage holds legs."""
        families, group = self.book.families, rules.group
        owners = {s for s, held in self.book.groups if held == group} | {strategy_id}
        if any(families.get(owner) == self.breaker.family for owner in owners):
            self.breaker.mismatch(rules.market_id, self.now_ns)

    def _anomaly(self, code: str, detail: str) -> None:
        self._events.append(RiskEvent(self.now_ns, "anomaly", code, "", "", detail))
        if code in GRAVE:
            reason = f"{code} {detail}"
            self.holds.put("anomaly", TradingState.REDUCE_ONLY, reason, self.now_ns)
