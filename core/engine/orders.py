"""Third layer of a strategy: every way an order can leave, each through the gate, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import replace
from decimal import Decimal
from functools import partial
from threading import get_ident
from typing import Any

from nautilus_trader.model import OrderSide, OrderType
from nautilus_trader.model import TimeInForce as EngineTif

from core.domain.decision import Forecast, OrderIntent, TimeInForce
from core.domain.errors import StrategyError
from core.domain.fees import Side
from core.domain.money import ZERO, floor_to
from core.engine.arrivals import strategy_key
from core.engine.guard import guarded
from core.engine.journal import OrderRecord
from core.engine.mirror import MIRROR_BUSY
from core.engine.references import InstrumentRef, PriceSource
from core.engine.session import Level
from core.engine.units import exact, plain, price_of, quantity_of
from core.engine.views import ViewingStrategy
from core.risk.verdict import MarketView, Refusal

#: Refusals made before the gate is asked.
FORECAST_EXPIRED = "FORECAST_EXPIRED"
ORDER_EXPIRED = "ORDER_EXPIRED"
ORDER_TYPE = "ORDER_TYPE"
LIQUIDITY_TAKEN = "LIQUIDITY_TAKEN"
#: Levels of a book that an order is compared with.
REACH = 100

#: Venues count the end of an order in whole seconds; counted so everywhere, it ends at the same moment everywhere.
EXPIRY_STEP_NS = 1_000_000_000
#: Orders of these kinds can rest in the book.
RESTING = frozenset({TimeInForce.GTC, TimeInForce.GTD})

_SIDES = {Side.BUY: OrderSide.BUY, Side.SELL: OrderSide.SELL}
_TIFS = {
    TimeInForce.GTC: EngineTif.GTC,
    TimeInForce.GTD: EngineTif.GTD,
    TimeInForce.IOC: EngineTif.IOC,
    TimeInForce.FOK: EngineTif.FOK,
}
_OUR_TIFS = {engine: ours for ours, engine in _TIFS.items()}


class SendingStrategy(ViewingStrategy):
    """Acting side of `BetaStrategy`."""

    def start_bound(self) -> None:
        """Start without orders on their way."""
        super().start_bound()
        self._bt_working: dict[str, dict[str, OrderRecord]] = {}
        self._bt_exits: dict[str, str] = {}
        self._bt_factory = self.order_factory
        self._bt_alerts = 0
        self._bt_list: list[Any] | None = None

    # -- act --------------------------------------------------------------------------------
    def buy(
        self,
        iid: str,
        quantity: Decimal,
        price: Decimal,
        *,
        tif: TimeInForce = TimeInForce.IOC,
        post_only: bool = False,
        reason: str = "",
        forecast: Forecast | None = None,
        expire_ns: int = 0,
    ) -> str | None:
        """Send a limit buy through the gate; return the client order id, or None when refused."""
        return self._bt_place(
            iid, Side.BUY, quantity, price, tif, post_only, reason, forecast, expire_ns
        )

    def sell(
        self,
        iid: str,
        quantity: Decimal,
        price: Decimal,
        *,
        tif: TimeInForce = TimeInForce.IOC,
        post_only: bool = False,
        reason: str = "",
        forecast: Forecast | None = None,
        expire_ns: int = 0,
    ) -> str | None:
        """Send a limit sell of held shares through the gate; None when refused."""
        return self._bt_place(
            iid, Side.SELL, quantity, price, tif, post_only, reason, forecast, expire_ns
        )

    def exit(self, iid: str, reason: str) -> str | None:
        """Cancel own working orders, then sell what is held at the best bid or better, IOC.

        While a resting sale still promises shares, the sale waits for its cancel and follows by itself;
        None is returned then, as when there is nothing to sell or no bid.
        """
        working = self._bt_working.get(iid)
        if working:
            self.cancel_all(iid)
            if any(r.intent.side is Side.SELL for r in working.values()):
                self._bt_exits[iid] = reason
                return None
        held = self.position(iid)
        bid = self.best_bid(iid)
        if held <= 0 or bid is None:
            return None
        return self.sell(iid, held, bid.price, reason=reason)

    def cancel(self, client_order_id: str) -> None:
        """Cancel a working order; unknown or closed ids are ignored."""
        self.on_engine_thread()
        record = self.session.journal.orders.get(client_order_id)
        if record is None or not record.is_open or record.intent.strategy_id != self._bt_sid:
            return
        arrivals = self.session.arrivals
        if arrivals is None:
            self.cancel_order(record.native)
            self._bt_wake_for(record.ref, self.now_ns)
            return

        def arrive(again: int = 3) -> None:
            own = self.session.own_news
            if not record.is_open and (own is None or not own.is_foretold(client_order_id)):
                return
            if self._bt_cache.order(record.native) is not None:
                self.cancel_order(record.native)
            elif again:  # its own arrival is of this moment
                self._bt_at(self.now_ns + 1, partial(arrive, again - 1))

        self._bt_at(arrivals.of_cancel(client_order_id, self.now_ns), arrive)

    def cancel_all(self, iid: str) -> None:
        """Cancel every own working order of an instrument."""
        for client_order_id in list(self._bt_working.get(iid, ())):
            self.cancel(client_order_id)

    def withdraw(self) -> None:
        """Take back what works when the recorded run that is replayed was stopped."""
        session = self.session
        if session.ending is None or session.ending.keeps_orders:
            return
        for client_order_id in [cid for orders in self._bt_working.values() for cid in orders]:
            if session.arrivals is None or session.arrivals.is_withdrawn(client_order_id):
                self.cancel(client_order_id)

    def working(self, iid: str) -> list[OrderRecord]:
        """Own orders of an instrument that are on their way or resting, oldest first."""
        return list(self._bt_working.get(iid, {}).values())

    # -- one place --------------------------------------------------------------------------
    def _bt_place(
        self,
        iid: str,
        side: Side,
        quantity: Decimal,
        price: Decimal | None,
        tif: TimeInForce,
        post_only: bool,
        reason: str,
        forecast: Forecast | None,
        expire_ns: int,
        native: Any = None,
    ) -> str | None:
        if get_ident() != self.session.thread_id:
            self.on_engine_thread()
        if type(quantity) is not Decimal or (price is not None and type(price) is not Decimal):
            raise StrategyError(
                "quantity and price of an order are Decimal",
                f"quantity={quantity!r} price={price!r}",
                f'Decimal("{quantity}") in place of {quantity!r}',
            )
        ref = self._bt_refs.by_iid.get(iid) or self._bt_refs[iid]
        now = self._bt_clock.timestamp_ns()
        if native is None:
            native = self._bt_factory.generate_client_order_id()
        market = ref.market
        if tif is TimeInForce.GTC and market.close_ns > now:
            # A venue takes resting orders away when it closes; the engine does so only at expiry.
            tif, expire_ns = TimeInForce.GTD, market.close_ns
        elif tif is TimeInForce.GTD and market.close_ns > now:
            expire_ns = min(expire_ns, market.close_ns)
        if tif is TimeInForce.GTD:  # never later than what was asked for
            expire_ns -= expire_ns % EXPIRY_STEP_NS
        intent = OrderIntent(
            native.value,
            self._bt_sid,
            market.venue,
            iid,
            market.market_id,
            market.event_id,
            side,
            quantity,
            price,
            tif,
            now,
            post_only,
            side is Side.SELL,
            expire_ns if tif is TimeInForce.GTD else 0,
            reason,
        )
        return self._bt_ask(intent, ref, native, forecast)

    def _bt_ask(
        self, intent: OrderIntent, ref: InstrumentRef, native: Any, forecast: Forecast | None
    ) -> str | None:
        """Ask the gate; send what it approves."""
        session, now = self.session, intent.ts_ns
        gate, journal = session.gate, session.journal
        if forecast is not None and not forecast.fresh(now):
            seen = ("forecast", f"expires {forecast.expires_ns}", f"now {now}", False)
            self._bt_refuse(Refusal(intent, FORECAST_EXPIRED, (seen,), now))
            return None
        if intent.tif is TimeInForce.GTD and intent.expire_ns <= now:
            seen = ("expiry", f"ends {intent.expire_ns}", f"now {now}", False)
            self._bt_refuse(Refusal(intent, ORDER_EXPIRED, (seen,), now))
            return None
        if ref.iid in gate.book.held and session.top(ref) is not ref.marked:
            session.mark(ref, now)
        answer = gate.review(intent, self._bt_view(intent, ref))
        if isinstance(answer, Refusal):
            self._bt_refuse(answer)
            return None
        if session.redeem_on_submit:
            gate.redeem(answer, now, intent)
        sent, code = self._bt_fillable(intent, ref)
        if code:
            gate.on_done(intent.client_order_id)
            seen = ("shown", plain(sent), plain(intent.quantity), False)
            self._bt_refuse(Refusal(intent, code, (seen,), now))
            return None
        record = OrderRecord(intent, ref, sent, native, intent.quantity, intent.price)
        if journal.ledger is None:
            journal.sent(record, None, None)
        else:
            journal.sent(record, answer.verdict, session.top(ref))
        if ref.iid not in session.prices:
            session.traded(ref)
        self._bt_send(record, answer.worst_price if intent.price is None else intent.price)
        return intent.client_order_id

    def _bt_view(self, intent: OrderIntent, ref: InstrumentRef) -> MarketView:
        """Return the market as the gate judges the intent by.

        Depth is told for orders that would walk the book or leave a remainder in it; what an IOC does
        not find is cancelled by itself. Recorded books are as fresh as the recording.
        """
        best, offer = ref.levels if ref.current else self.session.top(ref)
        if best is None or offer is None:
            bid, ask = self.session.reference(ref)
        else:
            bid, ask = best.price, offer.price
        price, buy, depth = intent.price, intent.side is Side.BUY, None
        if price is None or (intent.tif in RESTING and not intent.post_only):
            near = ask if buy else bid
            crosses = near is not None and (
                price is None or (price >= near if buy else price <= near)
            )
            if crosses and ref.source in (PriceSource.BOOK, PriceSource.QUOTES):
                depth = sum((x.size for x in self._bt_reach(intent, ref)), ZERO)
        return MarketView(intent.ts_ns, bid, ask, depth)

    def _bt_reach(self, intent: OrderIntent, ref: InstrumentRef) -> list[Level]:
        """Return the shown levels that the order can reach."""
        price, buy = intent.price, intent.side is Side.BUY
        bid, ask = self.session.top(ref)
        best = ask if buy else bid
        if best is not None and price == best.price:
            return [best]
        levels = self.depth(ref.iid, intent.side, REACH)
        if price is None:
            return levels
        return [x for x in levels if (x.price <= price if buy else x.price >= price)]

    def _bt_fillable(self, intent: OrderIntent, ref: InstrumentRef) -> tuple[Decimal, str]:
        """Return how much of an approved order is sent, and the code when none is.

        Only where fills are simulated: the real venue knows what we took, and has one book. In a replay of a node's run
        everything is sent that the node sent, and what is left is asked when it arrives (`_bt_arrive`).
        """
        session, asked = self.session, intent.quantity
        if session.mirror is None or session.arrivals is not None:
            return asked, ""
        if ref.opposite is not None and session.mirror.blocked(ref, intent.side):
            return ZERO, MIRROR_BUSY
        return self._bt_left(intent, ref)

    def _bt_left(self, intent: OrderIntent, ref: InstrumentRef) -> tuple[Decimal, str]:
        """Return how much of an order the book can still fill now, and the code when nothing may be sent."""
        session, asked = self.session, intent.quantity
        if intent.tif in RESTING or (ref.iid, intent.side) not in session.liquidity.taken:
            return asked, ""
        sent = self._bt_available(intent, ref)
        short = sent <= 0 or (sent < asked and intent.tif is TimeInForce.FOK)
        return sent, LIQUIDITY_TAKEN if short else ""

    def _bt_available(self, intent: OrderIntent, ref: InstrumentRef) -> Decimal:
        """Return what of an order the shown book can still fill, after what we took of it before.

        An order that reaches no shown level is left as it is: the book may move until it arrives.
        """
        levels = self._bt_reach(intent, ref)
        if not levels:
            return intent.quantity
        found = self.session.liquidity.available(intent.instrument_id, intent.side, levels)
        if found is None:
            return intent.quantity
        return min(intent.quantity, floor_to(found, ref.market.size_step))

    def _bt_send(self, record: OrderRecord, price: Decimal) -> None:
        """Hand an approved order to the engine: always a limit order, a market order as IOC at its worst price."""
        intent, ref, session = record.intent, record.ref, self.session
        tif, side, cid = intent.tif, intent.side, intent.client_order_id
        if intent.price is None and tif is not TimeInForce.FOK:
            tif = TimeInForce.IOC
        working = self._bt_working.get(ref.iid)
        if working is None:
            working = self._bt_working[ref.iid] = {}
        working[cid] = record
        if ref.opposite is not None and session.mirror is not None:
            session.mirror.opened(ref.iid, side)
        order = self._bt_factory.limit(
            ref.native,
            _SIDES[side],
            quantity_of(record.sent, ref.size_precision),
            price_of(price, ref.price_precision),
            _TIFS[tif],
            expire_time=intent.expire_ns or None,
            post_only=intent.post_only,
            client_order_id=record.native,
        )
        arrivals, ending = session.arrivals, session.ending
        if ending is not None and intent.ts_ns > ending.stopped_ns:
            self._bt_at(intent.ts_ns + 1, partial(self._bt_unsent, record))
            return
        if self._bt_list is not None:
            self._bt_list.append(order)  # leaves with the others
            return
        if arrivals is None:
            if session.early is not None:
                session.early.begin(intent, price)
            super().submit_order(order)
            self._bt_wake_for(ref, intent.ts_ns)
            return
        at_ns = arrivals.of_order(
            intent.client_order_id,
            strategy_key(self._bt_sid),
            ref.iid,
            intent.side.value,
            intent.ts_ns,
        )
        if at_ns is None:
            unsent = partial(self._bt_unsent, record)
            if session.own_news is not None:
                unsent = partial(session.own_news.end, self, intent.client_order_id, unsent)
            self._bt_at(intent.ts_ns + 1, unsent)
        else:
            if session.own_news is not None:
                session.own_news.expect(self, record)
            self._bt_at(at_ns, partial(self._bt_arrive, record, order))

    def _bt_arrive(self, record: OrderRecord, order: Any) -> None:
        """Submit an order of a replay now that it arrives, for what is left of the levels that it reaches."""
        sent, code = self._bt_left(record.intent, record.ref)
        if code:
            over = partial(self._bt_unsent, record, "CANCELED", code)
            assert self.session.own_news is not None, "a replay of a node's run"
            self.session.own_news.end(self, record.intent.client_order_id, over)
            return
        if sent < record.sent:  # one that takes what there is, and does not rest
            record.sent, quantity = sent, quantity_of(sent, record.ref.size_precision)
            order = self._bt_factory.limit(
                order.instrument_id, order.side, quantity, order.price, order.time_in_force,
                client_order_id=record.native,
            )  # fmt: skip
        super().submit_order(order)

    def _bt_unsent(self, record: OrderRecord, status: str = "DENIED", code: str = "") -> None:
        """Book that the node that is replayed held this order back, or that it found nothing: it never left."""

    def _bt_at(self, at_ns: int, act: Callable[[], None]) -> None:
        """Act when a recorded run's order reached the venue: now, or by an alert."""
        if at_ns <= self.now_ns:
            act()
            return
        self._bt_alerts += 1
        self.clock.set_time_alert_ns(
            f"arrival-{self._bt_alerts}", at_ns, guarded(lambda event: act(), self.fail)
        )

    def _bt_wake_for(self, ref: InstrumentRef, now_ns: int) -> None:
        """Let the engine match what is sent now at its arrival, not at the next data event."""
        session = self.session
        if latency := session.latency_ns.get(ref.venue):
            session.wake(now_ns + latency)

    def _bt_refuse(self, refusal: Refusal) -> None:
        self.session.journal.refusal(
            refusal.intent,
            str(refusal.code),
            refusal.verdict if self.session.journal.ledger is not None else None,
        )
        self.on_refused(refusal.intent, refusal)

    def on_refused(self, intent: OrderIntent, refusal: Any) -> None:
        """React to a refusal of the gate (`refusal.code` says why)."""

    # -- the engine's own paths -------------------------------------------------------------
    def submit_order(
        self, order: Any, position_id: Any = None, client_id: Any = None, params: Any = None
    ) -> None:
        """Review an engine order; what is sent is a limit order with the same id.

        Limit and market orders only: stops and other conditional orders are decisions of the strategy,
        sent when their condition is met.
        """
        intent_id = order.client_order_id.value
        ref = self._bt_refs.by_native.get(order.instrument_id)
        if ref is None:
            raise StrategyError(
                "instrument is not part of this run",
                str(order.instrument_id),
                "order what the run has: name its market with --market",
            )
        side = Side.BUY if order.side == OrderSide.BUY else Side.SELL
        quantity, tif = exact(order.quantity), _OUR_TIFS.get(order.time_in_force)
        if order.order_type not in (OrderType.LIMIT, OrderType.MARKET) or tif is None:
            intent = self._bt_bare_intent(intent_id, ref, side, quantity)
            seen = ("order_type", str(order.order_type), "limit or market, GTC GTD IOC FOK", False)
            self._bt_refuse(Refusal(intent, ORDER_TYPE, (seen,), intent.ts_ns))
            return
        limit = order.order_type == OrderType.LIMIT
        expire = getattr(order, "expire_time", None) or 0
        self._bt_place(
            ref.iid,
            side,
            quantity,
            exact(order.price) if limit else None,
            tif,
            bool(getattr(order, "is_post_only", False)),
            "raw order",
            None,
            int(expire),
            order.client_order_id,
        )

    def _bt_bare_intent(
        self, cid: str, ref: InstrumentRef, side: Side, quantity: Decimal
    ) -> OrderIntent:
        market = ref.market
        return OrderIntent(
            cid,
            self._bt_sid,
            market.venue,
            ref.iid,
            market.market_id,
            market.event_id,
            side,
            quantity,
            None,
            TimeInForce.IOC,
            self.now_ns,
        )

    def submit_order_list(
        self, order_list: Any, position_id: Any = None, client_id: Any = None, params: Any = None
    ) -> None:
        """Review each order of a list by itself, in order; live, what passes leaves together.

        A venue that takes several orders in one request then gets one; each is answered for itself. In a backtest
        they leave one after the other.
        """
        live = not self.session.redeem_on_submit and self.session.arrivals is None
        passed: list[Any] | None = [] if live else None
        self._bt_list = passed
        try:
            for order in getattr(order_list, "orders", order_list):
                self.submit_order(order)
        finally:
            self._bt_list = None
        if passed is not None and len(passed) == 1:
            super().submit_order(passed[0])
        elif passed:
            super().submit_order_list(passed)

    def modify_order(
        self,
        client_order_id: Any,
        quantity: Any = None,
        price: Any = None,
        trigger_price: Any = None,
        client_id: Any = None,
        params: Any = None,
    ) -> None:
        """Review the changed terms, then change the order in place.

        Until the venue answers the worse of the old and the new terms stays reserved.
        """
        self.on_engine_thread()
        session = self.session
        record = session.journal.orders.get(str(client_order_id))
        if record is None or not record.is_open or record.intent.strategy_id != self._bt_sid:
            return
        old = record.intent
        total = exact(quantity) if quantity is not None else record.quantity
        limit = exact(price) if price is not None else record.limit
        if limit is None:
            return
        intent = replace(old, quantity=total, price=limit, ts_ns=self.now_ns)
        answer = session.gate.review_change(
            old.client_order_id, total, limit, old, self._bt_view(intent, record.ref)
        )
        if isinstance(answer, Refusal):
            self._bt_refuse(answer)
            return
        if session.redeem_on_submit:
            session.gate.redeem(answer, intent.ts_ns)
        record.pending = intent
        kept = session.journal.ledger is not None
        session.journal.modifying(record, intent, answer.verdict() if kept else None)
        super().modify_order(
            record.native,
            quantity_of(total, record.ref.size_precision),
            price_of(limit, record.ref.price_precision),
        )
        self._bt_wake_for(record.ref, intent.ts_ns)

    def modify_orders(self, updates: Sequence[Any] = (), *args: Any, **kwargs: Any) -> None:
        """Change several orders, each through `modify_order`."""
        for client_order_id, quantity, price, trigger in updates:
            self.modify_order(client_order_id, quantity, price, trigger)

    def close_position(self, position: Any, *args: Any, **kwargs: Any) -> None:
        """Exit the position's instrument through the gate."""
        self.exit(str(position.instrument_id), "close position")

    def close_all_positions(self, instrument_id: Any, *args: Any, **kwargs: Any) -> None:
        """Exit an instrument through the gate."""
        self.exit(str(instrument_id), "close position")

    def market_exit(self) -> None:
        """Cancel everything and exit every position through the gate."""
        self.liquidate("market exit")

    def liquidate(self, reason: str) -> None:
        """Cancel everything and exit every position through the gate; safe to call again."""
        for iid in sorted(self._bt_working):
            if any(r.intent.tif in RESTING for r in self.working(iid)):
                self.cancel_all(iid)
        for iid in self.positions():
            if not self._bt_working.get(iid):
                self.exit(iid, reason)
            elif iid not in self._bt_exits:
                self._bt_exits[iid] = reason
