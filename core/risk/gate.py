"""The gate: the one place that every order passes, in backtest, paper and live.

`Gate.review` is a pure function of the intent, the market view it is handed and the gate's own book; it
reads no clock, socket or file. It answers with an `ApprovedOrder` (signed, single use, expiring) or with
a `Refusal` that says which check failed, on which value, against which limit. What it approves it reserves
at once: worst-case cost, fee and slippage, until the venue's word releases it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal

from core.domain.clock import NS_PER_SECOND
from core.domain.decision import OrderIntent
from core.domain.errors import ApprovalInvalid, FeeError, MarketError
from core.domain.fees import Side
from core.domain.market import Market, MarketStatus
from core.risk.approval import ApprovedOrder, Signer
from core.risk.instruments import InstrumentRules, MarketState, VenueRules, rules_of
from core.risk.portfolio import OrderState, Portfolio, Trade, WorkingOrder, need
from core.risk.units import NANO, attos_down, attos_up, dollars, nanos_of, shares
from core.risk.verdict import Code, MarketView, RawCheck, Refusal

#: Strategy that owns fills and positions no strategy of ours asked for.
EXTERNAL = "EXTERNAL"


class Gate:
    """Reviews intents and keeps the book they are reviewed against.

    Parameters
    ----------
    venues : iterable of VenueRules
        Venues that may be traded. An intent for any other is refused.
    key : bytes, optional
        Signing key; None draws one. A backtest derives it from its seed.
    approval_ttl_ns : int
        Life of an approval.
    slippage : Decimal
        Fraction above the best ask (below the best bid) at which a market order is priced.
    """

    def __init__(
        self,
        venues: Iterable[VenueRules] = (),
        *,
        key: bytes | None = None,
        approval_ttl_ns: int = 5 * NS_PER_SECOND,
        slippage: Decimal = Decimal("0.05"),
    ) -> None:
        self.book = Portfolio()
        self._signer = Signer(key, approval_ttl_ns)
        self._venues = {v.code: v for v in venues}
        self._rules: dict[str, InstrumentRules] = {}
        self._states: dict[str, MarketState] = {}
        self._approvals: dict[str, ApprovedOrder] = {}
        self._expiring: deque[ApprovedOrder] = deque()
        self._slippage = nanos_of(slippage) or 0

    # -- review -------------------------------------------------------------------------------------

    def review(self, intent: OrderIntent, view: MarketView) -> ApprovedOrder | Refusal:
        """Approve and reserve `intent`, or say why not. Changes nothing when it refuses."""
        now_ns = view.now_ns
        if self._expiring:
            self._expire(now_ns)
        raw: list[RawCheck] = []
        order = self._judge(intent, view, raw)
        if not isinstance(order, WorkingOrder):
            return Refusal(intent, order, tuple(raw), now_ns)
        approved = self._signer.sign(intent, order.price, tuple(raw), now_ns)
        order.nonce = approved.nonce
        self.book.reserve(order)
        self._approvals[intent.client_order_id] = approved
        self._expiring.append(approved)
        return approved

    def _judge(
        self, intent: OrderIntent, view: MarketView, raw: list[RawCheck]
    ) -> WorkingOrder | str:
        """Return the order as it would be booked, or the code of the first check that fails."""
        if intent.client_order_id in self.book.known:
            raw.append(("duplicate_id", intent.client_order_id, "new", False))
            return Code.DUPLICATE_ID
        rules = self._rules.get(intent.instrument_id)
        if rules is None:
            known = intent.venue in self._venues
            raw.append(("instrument", intent.instrument_id, "registered", False))
            return Code.UNKNOWN_INSTRUMENT if known else Code.UNKNOWN_VENUE
        if code := _named(intent, rules, raw):
            return code
        quantity = nanos_of(intent.quantity)
        if quantity is None or quantity <= 0:
            raw.append(("quantity", intent.quantity, "> 0", False))
            return Code.INVALID_QUANTITY
        if why := rules.state.closed_because(view.now_ns):
            raw.append(("market", why, "active", False))
            return Code.MARKET_CLOSED
        raw.append(("market", "active", "active", True))
        buy = intent.side is Side.BUY
        price = self._price(intent, rules, view, buy, raw)
        if isinstance(price, str):
            return price
        if code := _size(quantity, rules, raw) or self._shares(intent, rules, quantity, buy, raw):
            return code
        return self._money(intent, rules, buy, price, quantity, view.now_ns, raw)

    def _price(
        self,
        intent: OrderIntent,
        rules: InstrumentRules,
        view: MarketView,
        buy: bool,
        raw: list[RawCheck],
    ) -> int | str:
        """Return the worst price at which the order may trade, or the code of a refusal."""
        if intent.price is None:
            return self._market_price(rules, view, buy, raw)
        price = nanos_of(intent.price)
        if price is None and not intent.price.is_finite():
            raw.append(("price", intent.price, "finite", False))
            return Code.INVALID_PRICE
        good = price is not None and rules.grid.contains(price)
        grid = f"{shares(rules.grid.lowest)}..{shares(rules.grid.highest)}" if not good else "grid"
        raw.append(("price_grid", intent.price, grid, good))
        return price if good and price is not None else Code.PRICE_OFF_GRID

    def _market_price(
        self, rules: InstrumentRules, view: MarketView, buy: bool, raw: list[RawCheck]
    ) -> int | str:
        """Price a market order at its worst case: the touch moved by the allowed slippage."""
        touch = view.ask if buy else view.bid
        price = nanos_of(touch) if touch is not None else None
        if price is None or price <= 0:
            raw.append(("reference", touch, "a quote", False))
            return Code.NO_REFERENCE
        slip = price * self._slippage // NANO
        worst = rules.grid.ceil(price + slip) if buy else rules.grid.floor(price - slip)
        raw.append(("worst_price", ("#", worst), ("#", price), True))
        return worst

    def _shares(
        self,
        intent: OrderIntent,
        rules: InstrumentRules,
        quantity: int,
        buy: bool,
        raw: list[RawCheck],
    ) -> str:
        """Check that a sale is covered and that a buy does not open the opposite of what is held."""
        if not buy:
            free = self.book.sellable(intent.strategy_id, rules)
            raw.append(("covered_sell", ("#", quantity), ("#", free), quantity <= free))
            return "" if quantity <= free else Code.COVERED_SELL
        if rules.venue.nets_outcomes:
            opposite = self.book.held.get(rules.opposite_id, 0)
            raw.append(("opposite_held", ("#", opposite), 0, opposite <= 0))
            return "" if opposite <= 0 else Code.OPPOSITE_HELD
        return ""

    def _money(
        self,
        intent: OrderIntent,
        rules: InstrumentRules,
        buy: bool,
        price: int,
        quantity: int,
        now_ns: int,
        raw: list[RawCheck],
    ) -> WorkingOrder | str:
        """Check the worst-case cost and fee against cash that nothing else reserves."""
        try:
            bound = rules.venue.fees.worst_case(rules.fees, shares(price), intent.quantity, now_ns)
        except FeeError as exc:
            raw.append(("fee", exc.what, "a known fee rule", False))
            return Code.FEE_UNKNOWN
        fee_bound = max(0, attos_up(bound))
        cost = need(buy, price, quantity, fee_bound)
        free = self.book.free_cash(rules.venue.code)
        # A covered sale without a net cost needs no cash: exits stay possible with an empty purse.
        good = cost <= free or cost == 0
        raw.append(("cash", ("$", cost), ("$", free), good))
        if not good:
            return Code.CASH
        return WorkingOrder(
            intent.client_order_id, intent.strategy_id, rules, buy, price, quantity, fee_bound
        )

    # -- redeem -------------------------------------------------------------------------------------

    def approval(self, client_order_id: str) -> ApprovedOrder | None:
        """Return the approval that waits for this order, for the execution path to redeem."""
        return self._approvals.get(client_order_id)

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
        """
        self._signer.use(approved, now_ns)
        intent = approved.intent
        cid = intent.client_order_id
        self._approvals.pop(cid, None)
        order = self.book.orders.get(cid)
        same = sending is None or _same_order(intent, sending)
        if order is None or order.state is not OrderState.APPROVED or not same:
            if order is not None:
                self.book.close(order)
            raise ApprovalInvalid(
                "APPROVAL_OTHER_ORDER", "the approval is for another order", cid, "review the order"
            )
        self.book.set_state(order, OrderState.SENT)
        return intent

    def _expire(self, now_ns: int) -> None:
        """Drop approvals that were never redeemed: the signer refuses them from now on."""
        while self._expiring and self._expiring[0].expires_ns <= now_ns:
            approved = self._expiring.popleft()
            cid = approved.intent.client_order_id
            order = self.book.orders.get(cid)
            if order is not None and order.state is OrderState.APPROVED:
                self._signer.withdraw(approved.nonce)
                self._approvals.pop(cid, None)
                self.book.close(order)

    # -- what happens to orders ---------------------------------------------------------------------

    def on_working(self, client_order_id: str) -> None:
        """Note that the venue has accepted the order (also one that was unknown)."""
        self._set_state(client_order_id, OrderState.WORKING)

    def on_unknown(self, client_order_id: str) -> None:
        """Note that the fate of a sent order is unknown; it stays reserved until proof."""
        self._set_state(client_order_id, OrderState.UNKNOWN)

    def _set_state(self, client_order_id: str, state: OrderState) -> None:
        order = self.book.orders.get(client_order_id)
        if order is not None:
            self.book.set_state(order, state)

    def on_done(self, client_order_id: str, *, proven: bool = True) -> bool:
        """Note that the order can fill no more (cancelled, rejected, expired, denied).

        Parameters
        ----------
        proven : bool
            False when nobody at the venue said so (an engine's own time-out): an order whose fate is
            unknown, or that was sent and never answered, then stays reserved.

        Returns
        -------
        bool
            Whether the reservation was released.
        """
        order = self.book.orders.get(client_order_id)
        if order is None:
            return False
        if not proven and order.state is not OrderState.APPROVED:
            self.book.set_state(order, OrderState.UNKNOWN)
            return False
        if order.state is OrderState.APPROVED:
            self._signer.withdraw(order.nonce)
            self._approvals.pop(client_order_id, None)
        self.book.close(order)
        return True

    def on_fill(
        self,
        client_order_id: str,
        trade_id: str,
        quantity: Decimal,
        price: Decimal,
        fee: Decimal,
        *,
        provisional: bool = False,
        instrument_id: str = "",
        strategy_id: str = EXTERNAL,
        side: Side | None = None,
    ) -> bool:
        """Book a fill: shares, cash and fee move, the reservation shrinks by what was filled.

        Parameters
        ----------
        fee : Decimal
            Dollars taken; negative for a rebate.
        provisional : bool
            True for a trade that the venue can still undo: its shares cannot be sold and its proceeds
            cannot be spent until `on_confirmed`.
        instrument_id, strategy_id, side
            Needed only for a fill of an order that the gate has not seen.

        Returns
        -------
        bool
            False when this trade was booked before (nothing changes).
        """
        if trade_id in self.book.trades or trade_id in self.book.provisional:
            return False
        size, at, paid = nanos_of(quantity), nanos_of(price), attos_up(fee)
        if size is None or at is None or size <= 0 or at < 0:
            raise MarketError("a fill needs a positive quantity and a price", (quantity, price))
        order = self.book.orders.get(client_order_id) or self.book.finished.get(client_order_id)
        if order is None:
            rules = self._rules.get(instrument_id)
            if rules is None or side is None:
                raise MarketError("a fill of an unknown order and instrument", client_order_id)
            buy = side is Side.BUY
        else:
            rules, buy, strategy_id = order.rules, order.buy, order.strategy_id
            if client_order_id in self.book.orders:
                self.book.consume(order, size, paid)
        cash = -(at * size) - paid if buy else at * size - paid
        self.book.take(trade_id, Trade(rules, strategy_id, buy, size, cash, 0, provisional), at)
        return True

    def on_confirmed(self, trade_id: str) -> None:
        """Note that a provisional trade is final."""
        self.book.confirm(trade_id)

    def on_fill_voided(self, trade_id: str) -> bool:
        """Undo a trade the venue voided; False when it is not known."""
        return self.book.void(trade_id) is not None

    # -- what happens to markets and money ----------------------------------------------------------

    def on_market(self, market: Market) -> None:
        """Register a market, or take over its changed grid, fees or hours.

        Raises
        ------
        MarketError
            If its venue is not one of the gate's.
        """
        venue = self._venues.get(market.venue)
        if venue is None:
            raise MarketError("a market of a venue the gate does not know", market.venue)
        state = self._states.get(market.market_id)
        if state is None:
            state = self._states[market.market_id] = MarketState(market)
        else:
            state.move(market.status)
            state.open_ns, state.close_ns = market.open_ns, market.close_ns
        for rules in rules_of(market, venue, state):
            self._rules[rules.instrument_id] = rules

    def on_status(self, market_id: str, status: MarketStatus) -> None:
        """Move a market to a new status; unknown markets are ignored (they cannot be traded)."""
        if (state := self._states.get(market_id)) is not None:
            state.move(status)

    def on_settlement(self, instrument_id: str, payout: Decimal) -> None:
        """Pay out an outcome: its holdings become cash; the market takes no more orders."""
        rules, paid = self._rules.get(instrument_id), nanos_of(payout)
        if rules is None or paid is None or paid < 0:
            raise MarketError(
                "a settlement needs a known outcome and a payout", (instrument_id, payout)
            )
        rules.state.status = MarketStatus.RESOLVED
        self.book.settle(rules, paid)

    def on_merge(self, strategy_id: str, market_id: str, quantity: Decimal) -> None:
        """Turn pairs of both outcomes into dollars (a venue that nets, or a merge on chain)."""
        yes, no = self._pair(market_id)
        self.book.merge(strategy_id, yes, no, nanos_of(quantity) or 0)

    def on_split(self, strategy_id: str, market_id: str, quantity: Decimal) -> None:
        """Turn dollars into pairs of both outcomes."""
        yes, no = self._pair(market_id)
        self.book.split(strategy_id, yes, no, nanos_of(quantity) or 0)

    def _pair(self, market_id: str) -> tuple[InstrumentRules, InstrumentRules]:
        legs = [r for r in self._rules.values() if r.market_id == market_id]
        if len(legs) != 2:
            raise MarketError("only a binary market can be merged or split", market_id)
        return legs[0], legs[1]

    def on_position(
        self, strategy_id: str, instrument_id: str, quantity: Decimal, average_price: Decimal
    ) -> None:
        """Take over a holding found at the start (reconciliation)."""
        rules, size, at = (
            self._rules.get(instrument_id),
            nanos_of(quantity),
            nanos_of(average_price),
        )
        if rules is None or size is None or at is None or size <= 0:
            raise MarketError("a position needs a known outcome and a quantity", instrument_id)
        self.book.marks.setdefault(instrument_id, at)
        self.book.open_position(strategy_id, rules, size, at * size)

    def on_cash(self, venue: str, cash: Decimal) -> None:
        """Set a venue's whole balance (reserved money included) as its account states it.

        For the start, deposits, withdrawals and reconciliation. Fills, fees, settlements and merges are
        booked by their own calls; do not feed account updates that repeat them.
        """
        self.book.set_cash(venue, attos_down(cash))

    def on_mark(self, instrument_id: str, bid: Decimal | None, ask: Decimal | None) -> None:
        """Value a held outcome from its book; cheap when nothing is held."""
        if instrument_id not in self.book.held:
            return
        quote = bid if ask is None else ask if bid is None else (bid + ask) / 2
        if quote is not None and (price := nanos_of(quote.quantize(Decimal("1e-9")))) is not None:
            self.book.mark(instrument_id, price)

    # -- what others may read -----------------------------------------------------------------------

    def cash(self, venue: str) -> Decimal:
        """Return the venue's balance in dollars."""
        return dollars(self.book.cash.get(venue, 0))

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
        rules = self._rules.get(instrument_id)
        return shares(max(0, self.book.sellable(strategy_id, rules))) if rules else Decimal(0)

    def exposure(self) -> Decimal:
        """Return the money committed to holdings and working buys, in dollars."""
        return dollars(self.book.committed)


def _named(intent: OrderIntent, rules: InstrumentRules, raw: list[RawCheck]) -> str:
    """Check that the intent names the instrument's own venue, market and event."""
    named = (intent.venue, intent.market_id, intent.event_id)
    own = (rules.venue.code, rules.market_id, rules.event_id)
    if named == own:
        return ""
    raw.append(("names", "/".join(named), "/".join(own), False))
    return Code.INTENT_MISMATCH


def _size(quantity: int, rules: InstrumentRules, raw: list[RawCheck]) -> str:
    """Check the size step and the minimum size."""
    if quantity % rules.size_step:
        raw.append(("size_step", ("#", quantity), ("#", rules.size_step), False))
        return Code.SIZE_OFF_STEP
    good = quantity >= rules.min_size
    raw.append(("size", ("#", quantity), ("#", rules.min_size), good))
    return "" if good else Code.SIZE_TOO_SMALL


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
