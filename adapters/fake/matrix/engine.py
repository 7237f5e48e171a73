"""A thin double of the engine side: real orders and events of the engine, booked one after the other.

It keeps what the engine's cache keeps (orders, venue ids, positions), applies every event the client
generates to the engine's own order objects, and repeats the periodic checks of the live node. What the
order's own state machine refuses is a violation.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from nautilus_trader.core import UUID4
from nautilus_trader.model import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    OrderAccepted,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderFillVoided,
    OrderRejected,
    OrderSide,
    OrderStatus,
    OrderSubmitted,
    OrderUpdated,
    StrategyId,
    TraderId,
)

from core.domain.errors import VenueError
from core.engine.live.client import VenueClient
from core.engine.live.context import LiveContext
from core.risk.gate import Gate

TRADER, STRATEGY = TraderId("FAULT-001"), StrategyId("Matrix-001")


class EngineDouble:
    """Books, events and checks of the engine.

    Attributes
    ----------
    violations : list of str
        Events that the engine would have refused or booked wrongly.
    """

    def __init__(self, gate: Gate, clock: Callable[[], int], venue: str) -> None:
        self.gate, self.clock = gate, clock
        self.account = AccountId(f"{venue}-001")
        self.orders: dict[str, Any] = {}
        self.before: dict[str, Any] = {}
        self.purged: dict[str, Any] = {}
        self.by_venue_id: dict[str, ClientOrderId] = {}
        self.instruments: dict[str, Any] = {}
        self.positions: dict[str, Decimal] = {}
        self.trades: dict[str, tuple[str, Decimal, Decimal, Decimal]] = {}
        self.cash_shown: Decimal | None = None
        self.violations: list[str] = []
        self.events: list[str] = []
        self._numbers = itertools.count(1)

    # -- cache ------------------------------------------------------------------------------
    def order(self, client_order_id: Any) -> Any:
        """Return an order."""
        return self.orders.get(client_order_id.value)

    def client_order_id(self, venue_order_id: Any) -> ClientOrderId | None:
        """Return our id of a venue order."""
        return self.by_venue_id.get(venue_order_id.value)

    def instrument(self, instrument_id: InstrumentId) -> Any:
        """Return an instrument."""
        return self.instruments.get(instrument_id.value)

    def orders_open(self, instrument_id: Any = None) -> list[Any]:
        """Return open orders."""
        return [
            o
            for o in self.orders.values()
            if o.is_open and (instrument_id is None or o.instrument_id == instrument_id)
        ]

    def client_order_ids_closed(self) -> list[ClientOrderId]:
        """Return the ids of closed orders."""
        return [o.client_order_id for o in self.orders.values() if o.is_closed]

    def orders_total_count(self, instrument_id: Any) -> int:
        """Return how many orders of an instrument are here."""
        return sum(1 for o in self.orders.values() if o.instrument_id == instrument_id)

    def positions_closed(self) -> list[Any]:
        """Return none: the double keeps sums."""
        return []

    def positions_total_count(self, instrument_id: Any) -> int:
        """Return 1 when shares of an instrument are held, else 0."""
        return int(bool(self.positions.get(instrument_id.value)))

    def purge_instrument(self, instrument_id: InstrumentId) -> None:
        """Forget an instrument, as the engine's cache does."""
        del self.instruments[instrument_id.value]

    def purge_order(self, client_order_id: Any) -> None:
        """Forget a closed order, as the engine's cache does."""
        order = self.orders.pop(client_order_id.value)
        if order.venue_order_id is not None:
            self.by_venue_id.pop(order.venue_order_id.value, None)
        self.purged[client_order_id.value] = order

    def tell(self, event: Any) -> None:
        """Hear of a purged order what a strategy hears: it is booked as the order would have been."""
        if event.client_order_id.value in self.orders:
            self.violations.append(f"told past the engine: {event}")
        order = self.purged[event.client_order_id.value]
        self.events.append(f"{type(event).__name__}:{event.client_order_id.value}")
        order.apply(event)
        self._fill(event) if isinstance(event, OrderFilled) else self._void(event)

    @property
    def ever(self) -> dict[str, Any]:
        """All orders, also those that were purged."""
        return self.purged | self.orders

    # -- output -----------------------------------------------------------------------------
    def _common(self, order: Any) -> tuple[Any, Any, Any, Any]:
        return TRADER, STRATEGY, order.instrument_id, order.client_order_id

    def _book(self, event: Any) -> None:
        """Book an event at the next turn of the loop, as the engine's queue does."""
        asyncio.get_running_loop().call_soon(self._apply, event)

    def _apply(self, event: Any) -> None:
        order = self.orders[event.client_order_id.value]
        cid, kind = event.client_order_id.value, type(event).__name__
        self.events.append(f"{kind}:{cid}")
        try:
            order.apply(event)
        except Exception as exc:
            self.violations.append(f"engine refused {kind} of {cid} in {order.status}: {exc}")
            return
        if isinstance(event, OrderFilled):
            self._fill(event)
        elif isinstance(event, OrderFillVoided):
            self._void(event)
        elif isinstance(event, OrderAccepted):
            self.by_venue_id[event.venue_order_id.value] = event.client_order_id
            self.gate.on_working(cid, event.ts_event)
        elif isinstance(event, (OrderCanceled, OrderExpired, OrderDenied, OrderRejected)):
            self.gate.on_done(cid, event.ts_event)
        elif isinstance(event, OrderUpdated):
            quantity, price = event.quantity.as_decimal(), event.price
            self.gate.adopt_change(
                cid, quantity, price.as_decimal() if price else None, event.ts_event
            )

    def _fill(self, event: Any) -> None:
        trade, iid = event.trade_id.value, event.instrument_id.value
        if trade in self.trades:
            self.violations.append(f"the engine booked trade {trade} twice")
        signed = event.last_qty.as_decimal()
        if event.order_side != OrderSide.BUY:
            signed = -signed
        fee = event.commission.as_decimal() if event.commission is not None else Decimal(0)
        self.trades[trade] = (iid, signed, event.last_px.as_decimal(), fee)
        self.positions[iid] = self.positions.get(iid, Decimal(0)) + signed

    def _void(self, event: Any) -> None:
        iid, signed, _, _ = self.trades.pop(event.trade_id.value)
        self.positions[iid] -= signed

    def event(self, event: Any) -> None:
        """Take a ready-made event."""
        self._book(event)

    def account_state(self, balances: Any, *rest: Any) -> None:
        """Take a balance."""
        self.cash_shown = balances[0].total.as_decimal()

    def order_denied(self, order: Any, reason: str, ts: int) -> None:
        """Take a denial."""
        self._book(OrderDenied(*self._common(order), reason, UUID4(), ts, ts))

    def order_submitted(self, order: Any, ts: int) -> None:
        """Take a submit."""
        self._apply(OrderSubmitted(*self._common(order), self.account, UUID4(), ts, ts))

    def order_rejected(self, order: Any, reason: str, at: int, ts: int, post_only: bool) -> None:
        """Take a rejection."""
        self._book(
            OrderRejected(
                *self._common(order), self.account, reason, UUID4(), at, ts, False, post_only
            )
        )

    def order_accepted(self, order: Any, venue_id: Any, at: int, ts: int) -> None:
        """Take an acceptance."""
        self._book(
            OrderAccepted(*self._common(order), venue_id, self.account, UUID4(), at, ts, False)
        )

    def order_canceled(self, order: Any, venue_id: Any, at: int, ts: int) -> None:
        """Take a cancellation."""
        self._book(
            OrderCanceled(*self._common(order), UUID4(), at, ts, False, venue_id, self.account)
        )

    def order_expired(self, order: Any, venue_id: Any, at: int, ts: int) -> None:
        """Take an expiry."""
        self._book(
            OrderExpired(*self._common(order), UUID4(), at, ts, False, venue_id, self.account)
        )

    def order_updated(
        self, order: Any, venue_id: Any, quantity: Any, price: Any, *rest: Any
    ) -> None:
        """Take a change."""
        at, ts = rest[-2], rest[-1]
        self._book(
            OrderUpdated(
                *self._common(order),
                quantity,
                UUID4(),
                at,
                ts,
                False,
                venue_id,
                self.account,
                price,
            )
        )

    def order_modify_rejected(self, order: Any, venue_id: Any, reason: str, *rest: Any) -> None:
        """Take a refused change."""
        self.events.append(f"OrderModifyRejected:{order.client_order_id.value}:{reason}")
        self.gate.on_modify_rejected(order.client_order_id.value)

    def order_cancel_rejected(self, order: Any, venue_id: Any, reason: str, *rest: Any) -> None:
        """Take a refused cancellation."""
        self.events.append(f"OrderCancelRejected:{order.client_order_id.value}:{reason}")

    def order_filled(self, order: Any, *a: Any) -> None:
        """Take a fill."""
        venue_id, position, trade, quantity, price, money, fee, liquidity, at, ts = a
        self._book(
            OrderFilled(
                *self._common(order),
                venue_id,
                self.account,
                trade,
                order.side,
                order.order_type,
                quantity,
                price,
                money,
                liquidity,
                UUID4(),
                at,
                ts,
                False,
                position,
                fee,
            )
        )

    async def start(self, client: VenueClient) -> None:
        """Do what the live engine does at its start: orders, fills, then positions as the venue has them."""
        command = SimpleNamespace(open_only=False, instrument_id=None, venue_order_id=None)
        while True:
            try:
                await client._generate_order_status_reports(command)
                await client._generate_fill_reports(command)
                held = await client._generate_position_status_reports(command)
                break
            except VenueError:
                await asyncio.sleep(1.0)
        self.positions = {r.instrument_id.value: r.quantity.as_decimal() for r in held}

    # -- periodic checks of the engine ---------------------------------------------------------
    async def check(self, client: VenueClient) -> bool:
        """Do once what the live engine does every few seconds: ask for reports and act on them, if there are any."""
        command = SimpleNamespace(open_only=False, instrument_id=None)
        try:
            reports = await client._generate_order_status_reports(command)
        except VenueError:
            return False
        for report in reports:
            if report.client_order_id is not None:
                if report.client_order_id.value in self.purged:
                    self.violations.append(
                        f"the engine would make {report.client_order_id} EXTERNAL"
                    )
                self._reconcile(report)
        return True

    def _reconcile(self, report: Any) -> None:
        order = self.order(report.client_order_id)
        if order is None or order.is_closed:
            return
        booked, told = order.filled_qty.as_decimal(), report.filled_qty.as_decimal()
        if told > booked:
            self.violations.append(
                f"the engine would invent a fill of {told - booked} for {report.client_order_id}"
            )
        ts, head = self.clock(), self._common(order)
        if report.order_status == OrderStatus.CANCELED and order.is_open:
            self._book(
                OrderCanceled(*head, UUID4(), ts, ts, True, report.venue_order_id, self.account)
            )
        elif report.order_status == OrderStatus.EXPIRED and order.is_open:
            self._book(
                OrderExpired(*head, UUID4(), ts, ts, True, report.venue_order_id, self.account)
            )
        elif report.order_status == OrderStatus.ACCEPTED and order.status == OrderStatus.SUBMITTED:
            self._book(
                OrderAccepted(*head, report.venue_order_id, self.account, UUID4(), ts, ts, True)
            )


class HarnessClient(VenueClient):
    """The execution client outside a node: its events go to the double, its tasks to the running loop."""

    def __init__(self, context: LiveContext, engine: EngineDouble, clock: Any) -> None:
        from nautilus_trader.config import ExecutionClientConfig

        super().__init__(
            context=context,
            name=context.port.venue,
            config=ExecutionClientConfig(),
            cache=engine,
            clock=clock,
            trader_id=TRADER,
        )
        self._output = engine
        self.failures: list[str] = []
        self.running: set[asyncio.Task[Any]] = set()

    def create_task(self, coroutine: Any, name: str = "background") -> asyncio.Task[Any]:
        """Start a task and note what it raises: in a node it would only be logged."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self.running.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self.running.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            self.failures.append(f"task {task.get_name()} raised {type(exc).__name__}: {exc}")
