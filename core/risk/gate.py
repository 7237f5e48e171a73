"""The gate: the one place that every order passes, in backtest, paper and live.

`Gate.review` is a pure function of the intent, the market view it is handed and the gate's own book; it
reads no clock, socket or file. It answers with an `ApprovedOrder` (signed, single use, expiring) or with
a `Refusal` that says which check failed, on which value, against which limit. What it approves it reserves
at once: worst-case cost, fee and slippage, until the venue's word releases it.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import replace
from decimal import Decimal

from core.domain.clock import NS_PER_SECOND
from core.domain.decision import OrderIntent
from core.domain.errors import ApprovalInvalid, HaltedError, MarketError
from core.domain.fees import Side
from core.risk import checks
from core.risk.approval import ApprovedOrder, Signer
from core.risk.barred import Barred, barred
from core.risk.breaker import BreakerState
from core.risk.checks import HALTED, RUNNING, Draft
from core.risk.instruments import VenueRules
from core.risk.intake import Intake
from core.risk.limits import Limits
from core.risk.units import NANO, dollars, nanos_of, shares
from core.risk.verdict import Code, MarketView, Refusal
from core.risk.working import APPROVED, SENT, WORKING, Change, Terms, WorkingOrder, need

_BUY, _PROBING = Side.BUY, BreakerState.PROBING


class Gate(Intake):
    """Reviews intents and keeps the book they are reviewed against.

    Parameters
    ----------
    venues : iterable of VenueRules
        Venues that may be traded. An intent for any other is refused.
    limits : Limits, optional
        Limits in force; default the ``usd100`` profile's.
    key : bytes, optional
        Signing key; None draws one. A backtest derives it from its seed.
    approval_ttl_ns : int
        Life of an approval.
    """

    def __init__(
        self,
        venues: Iterable[VenueRules] = (),
        limits: Limits | None = None,
        *,
        key: bytes | None = None,
        approval_ttl_ns: int = 5 * NS_PER_SECOND,
    ) -> None:
        super().__init__(venues, limits or Limits())
        self._signer = Signer(key, approval_ttl_ns)

    def on_time(self, now_ns: int) -> None:
        """Let time pass: approvals run out, windows and cool-downs move, equity is judged. Call every second."""
        self._advance(now_ns)
        self._expire(self.now_ns)
        super().on_time(now_ns)

    # -- review -------------------------------------------------------------------------------------

    def review(self, intent: OrderIntent, view: MarketView) -> ApprovedOrder | Refusal:
        """Approve and reserve `intent`, or say why not. A refusal reserves nothing."""
        now_ns = view.now_ns
        self._enter(now_ns)
        order = WorkingOrder(intent, intent.side is _BUY, now_ns)
        draft = Draft(intent, view, order)
        if code := checks.first_refusal(self, draft):
            return Refusal(intent, code, tuple(draft.raw), now_ns)
        approved = self._signer.sign(
            intent, order.rules.place, order.quantity, order.price, tuple(draft.raw), now_ns
        )
        self.throttle.count(now_ns)
        order.approval, order.nonce, order.signed = approved, approved[1], intent.__replace__()
        self.book.reserve(order)
        if self.breaker.state is _PROBING and self._arbitrages(order):
            self.breaker.approved(intent.client_order_id)
        return approved

    def review_change(
        self,
        client_order_id: str,
        quantity: Decimal,
        price: Decimal,
        base: OrderIntent,
        view: MarketView,
    ) -> ApprovedOrder | Refusal:
        """Review a modification of a working order: what it could cost more, not the whole again.

        Until the venue answers (`adopt_change`, `on_modify_rejected`) the worse of the old and the new terms is reserved.

        Parameters
        ----------
        quantity : Decimal
            New total quantity, what has filled already included.
        base : OrderIntent
            The intent of the order as it was approved.
        """
        now_ns = view.now_ns
        self._enter(now_ns)
        intent = replace(base, quantity=quantity, price=price, ts_ns=now_ns)
        order = self.book.orders.get(client_order_id)
        changed = WorkingOrder(intent, intent.side is _BUY, now_ns)
        draft = Draft(intent, view, changed, order)
        if order is None or order.state is not WORKING or order.change is not None:
            state = "changing" if order is not None and order.change else order and order.state
            code = draft.fail("order", state or "not open", WORKING, Code.NOT_WORKING)
            return Refusal(intent, code, tuple(draft.raw), now_ns)
        if code := checks.first_refusal(self, draft):
            return Refusal(intent, code, tuple(draft.raw), now_ns)
        approved = self._signer.sign(
            intent, order.rules.place, changed.quantity, changed.price, tuple(draft.raw), now_ns
        )
        self.throttle.count(now_ns)
        self.book.renew(order, approved)
        assert draft.worst is not None  # `money` has worked it out
        change = Change(order.terms, changed.terms, draft.worst, approved.nonce)
        self.book.begin_change(order, change)
        return approved

    def _enter(self, now_ns: int) -> None:
        """Let time pass before a review: approvals run out, equity is judged."""
        if now_ns > self.now_ns:
            self.now_ns = now_ns
        book = self.book
        if book.waiting:
            self._expire(now_ns)
        if self.now_ns >= self._next_look_ns or book.equity != self._seen_equity:
            self._observe()

    def why_barred(self, strategy_id: str, instrument_id: str, now_ns: int) -> Barred | None:
        """Return why a purchase of `instrument_id` would be refused now whatever its terms; None if it would not."""
        self._enter(now_ns)
        return barred(self, strategy_id, instrument_id, now_ns)

    # -- redeem -------------------------------------------------------------------------------------

    def approval(self, client_order_id: str) -> ApprovedOrder | None:
        """Return the approval that waits for this order, for the execution path to redeem."""
        order = self.book.orders.get(client_order_id)
        return order.approval if order is not None else None

    def redeem(
        self, approved: ApprovedOrder, now_ns: int, sending: OrderIntent | None = None
    ) -> OrderIntent:
        """Use up an approval just before the order leaves; return the intent that may be sent.

        Parameters
        ----------
        sending : OrderIntent, optional
            The order about to be sent as the execution path sees it; it must be the approved one in
            id, strategy, instrument, side, quantity and price.

        Raises
        ------
        ApprovalInvalid
            Forged, expired, used before, or for another order.
        HaltedError
            Trading was halted (or buying stopped) after the approval.
        """
        try:
            order = self.book.orders.get(approved[0].client_order_id)
        except (AttributeError, IndexError, TypeError):  # no approval at all: the signer says so
            order = None
        own = order is not None and order.approval is approved
        self._signer.verify(approved, now_ns, order.signed if own and order is not None else None)
        intent: OrderIntent = approved[0]
        cid = intent.client_order_id
        if order is None or not self._awaits(order, approved[1]):
            raise ApprovalInvalid(
                "APPROVAL_REUSED",
                "the approval was used or withdrawn",
                cid,
                "review the order again",
            )
        self.book.no_longer_waits(order)
        if sending is not None and sending is not intent and not _same_order(intent, sending):
            self._give_up(order)
            raise ApprovalInvalid(
                "APPROVAL_OTHER_ORDER",
                "the approval is for another order",
                cid,
                "review this order",
            )
        state = self.holds.state
        if state is HALTED or (order.buy and state is not RUNNING):
            self._give_up(order)
            raise HaltedError(
                f"trading is {state}",
                self.holds.reason,
                "beta risk resume, once the cause is mended",
            )
        if order.state is APPROVED:
            order.state = SENT
        return intent

    @staticmethod
    def _awaits(order: WorkingOrder, nonce: int) -> bool:
        """Return whether `order` waits for the approval with this nonce: to be sent, or to be changed."""
        if order.approval is None:
            return False
        expected = order.change.nonce if order.change is not None else order.nonce
        return expected == nonce

    def _give_up(self, order: WorkingOrder) -> None:
        """Take back what an approval reserved that will never be redeemed."""
        self.book.no_longer_waits(order)
        if order.change is not None:
            self._end_change(order, accepted=False)
        else:
            self.breaker.neither(order.client_order_id)
            self.book.close(order)

    def _expire(self, now_ns: int) -> None:
        """Drop approvals that were never redeemed: the signer refuses them from now on."""
        waiting = self.book.waiting
        while waiting:
            order = next(iter(waiting.values()))
            approved = order.approval
            if approved is not None and approved[3] > now_ns:
                return
            self._give_up(order)

    # -- rebuilding -----------------------------------------------------------------------------------

    def adopt(self, intent: OrderIntent, worst_price: Decimal | None, ts_ns: int) -> None:
        """Book an order that was approved before, as sent; nothing is judged (rebuilding, recovery).

        Raises
        ------
        MarketError
            If its instrument is not registered or it has no price at all.
        """
        self._advance(ts_ns)
        if intent.client_order_id in self.book.known:
            return
        rules = self.rules.get(intent.instrument_id)
        limit = intent.price if intent.price is not None else worst_price
        price, quantity = nanos_of(limit) if limit is not None else None, nanos_of(intent.quantity)
        if rules is None or price is None or quantity is None:
            raise MarketError(
                "an order cannot be taken over",
                intent.client_order_id,
                "load its market, and give the order a price",
            )
        order = WorkingOrder(intent, intent.side is _BUY, intent.ts_ns)
        order.rules, order.price, order.quantity = rules, price, quantity
        order.until_ns, order.by_cash = checks.life_of(intent), checks.by_cash(rules, intent)
        order.fee_bound = bound = self.bound_of(
            rules, price, quantity, order.ts_ns, order.until_ns, order.by_cash
        )
        order.reserved = need(order.buy, price, quantity, bound)
        self.book.reserve(order)
        self.book.set_state(order, SENT)

    def adopt_request(
        self, client_order_id: str, quantity: Decimal, price: Decimal | None, ts_ns: int
    ) -> None:
        """Book a modification that was asked for and not answered yet: the worse of both terms is reserved."""
        self._advance(ts_ns)
        order = self.book.orders.get(client_order_id)
        size = nanos_of(quantity)
        if order is None or size is None or order.change is not None:
            return
        at = order.price if price is None else nanos_of(price) or order.price
        new = Terms(at, size, self.fee_bound(order.rules, at, size, ts_ns, order.until_ns))
        wide = order.widest(at, size)
        worst = Terms(*wide, self.fee_bound(order.rules, *wide, ts_ns, order.until_ns))
        self.book.begin_change(order, Change(order.terms, new, worst, 0))

    def adopt_change(
        self, client_order_id: str, quantity: Decimal, price: Decimal | None, ts_ns: int
    ) -> None:
        """Book the terms that the venue holds after a change: by its answer, or by the row of it.

        They count also where they are not what was asked for (a fill can come before the change). Terms
        beyond both the old and the new ones, which nobody approved, are an anomaly; what they can cost
        is reserved.
        """
        order = self.book.orders.get(client_order_id)
        if order is None or order.by_cash:
            return  # ended, or more shares for the same dollars
        self.book.no_longer_waits(order)
        change = order.change
        at, size = order.price if price is None else nanos_of(price), nanos_of(quantity)
        if change is not None and at is not None and size is not None:
            if order.widest(at, size) != (order.price, order.quantity):
                self._anomaly("TERMS_UNAPPROVED", f"{client_order_id}: {quantity} at {price}")
            if (at, size) != (change.new.price, change.new.quantity):
                order.change = None  # what it reserves stays until the terms below replace it
        self.adopt_request(client_order_id, quantity, price, ts_ns)
        self._advance(ts_ns)
        self._end_change(order, accepted=True)

    # -- what others may read -----------------------------------------------------------------------

    def cash(self, venue: str) -> Decimal:
        """Return the venue's balance in dollars."""
        purse = self.book.purses.get(venue)
        return dollars(purse.cash if purse is not None else 0)

    def free_cash(self, venue: str) -> Decimal:
        """Return what can be spent at the venue: cash less reservations and unconfirmed proceeds."""
        return dollars(self.book.free_cash(venue))

    def equity(self) -> Decimal:
        """Return cash plus marked holdings in dollars."""
        return dollars(self.book.equity)

    def position(self, strategy_id: str, instrument_id: str) -> Decimal:
        """Return the shares one strategy holds."""
        holding = self.book.holdings.get((strategy_id, instrument_id))
        return shares(holding.quantity) if holding else Decimal(0)

    def sellable(self, strategy_id: str, instrument_id: str) -> Decimal:
        """Return the shares that a new sale may still promise."""
        rules = self.rules.get(instrument_id)
        return shares(max(0, self.book.sellable(strategy_id, rules))) if rules else Decimal(0)

    def exposure(self) -> Decimal:
        """Return the money committed to holdings and working buys, in dollars."""
        return dollars(self.book.committed)

    def factor(self, instrument_id: str) -> Decimal:
        """Return what posture, phase and volatility leave of the limits for this instrument, 0 to 1."""
        rules = self.rules.get(instrument_id)
        factor = self.governor.factor(*(rules.labels if rules else ()))
        return shares(factor * self.phase.factor // NANO)

    def worst_cost(
        self,
        instrument_id: str,
        price: Decimal,
        quantity: Decimal,
        now_ns: int,
        *,
        resting: bool = False,
    ) -> Decimal:
        """Return the dollars that a buy can cost at most, fees included, as `room` counts them.

        An order that rests may meet every fee rule that begins later: the worst of them counts. One that must
        not rest is sent for dollars where the venue takes it so: a better price buys more shares, and their fee.
        """
        rules = self.rules[instrument_id]
        cash = rules.venue.cash_fees
        if cash is not None and not resting:
            fee = cash.worst_case_of_cash(rules.fees, price, quantity, now_ns)
        else:
            fees = rules.venue.fees
            later = [t for t in fees.rule_starts_ns if t > now_ns] if resting else []
            fee = max(fees.worst_case(rules.fees, price, quantity, t) for t in (now_ns, *later))
        return price * quantity + max(fee, Decimal(0))

    def room(self, strategy_id: str, instrument_id: str, over: checks.Reach = "order") -> Decimal:
        """Return the dollars, fees included, that one more purchase by this strategy may cost.

        Parameters
        ----------
        over : {"order", "market", "event"}
            Several orders in the market, or in markets of its event, may cost this together.
        """
        rules = self.rules.get(instrument_id)
        return dollars(checks.room(self, rules, strategy_id, over)) if rules else Decimal(0)


def _same_order(a: OrderIntent, b: OrderIntent) -> bool:
    """Return whether two intents are the same order at the venue."""
    return (
        a.client_order_id == b.client_order_id
        and a.strategy_id == b.strategy_id
        and a.instrument_id == b.instrument_id
        and a.side is b.side
        and a.quantity == b.quantity
        and a.price == b.price
    )
