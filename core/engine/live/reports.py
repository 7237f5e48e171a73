"""What the engine is told when it asks: fills first, then orders, and nothing when it is not certain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nautilus_trader.model import (
    AvgPxReconciliation,
    ClientOrderId,
    FillReport,
    InstrumentId,
    LiquiditySide,
    OrderSide,
    OrderStatus,
    OrderStatusReport,
    OrderType,
    PositionSide,
    PositionStatusReport,
    TimeInForce,
    TradeId,
    VenueOrderId,
)

from core.domain.fees import Role, Side
from core.engine.currency import money
from core.engine.live.conversions import net_away
from core.engine.live.port import VenueFill, VenueOrder, VenueOrderStatus
from core.engine.live.slices import sliced
from core.engine.units import price_of, quantity_of

if TYPE_CHECKING:
    from core.engine.live.client import VenueClient

STATUSES = {
    VenueOrderStatus.FILLED: OrderStatus.FILLED,
    VenueOrderStatus.CANCELED: OrderStatus.CANCELED,
    VenueOrderStatus.EXPIRED: OrderStatus.EXPIRED,
    VenueOrderStatus.REJECTED: OrderStatus.REJECTED,
}
SIDES = {Side.BUY: OrderSide.BUY, Side.SELL: OrderSide.SELL}


class ReportHooks:
    """The report half of `VenueClient`."""

    def _client(self) -> VenueClient:
        return self  # type: ignore[return-value]

    async def _generate_order_status_report(self, command: Any) -> Any:
        """Answer about one order; None only when the venue surely does not have it."""
        client = self._client()
        cid = command.client_order_id.value if command.client_order_id is not None else ""
        if not cid or command.instrument_id is None:
            return None
        order = await client.port.find(cid, command.instrument_id.value, client.since_of(cid))
        if order is None:
            return None
        await client.take_report(order, cid)
        if cid in client.closed.kept:
            return None
        return self._order_report(order)

    async def _generate_order_status_reports(self, command: Any) -> list[Any]:
        """Answer about all orders but those that are over and done, after delivering every fill they count."""
        with self._client().closed:
            return await self._order_reports(command)

    async def _order_reports(self, command: Any) -> list[Any]:
        client = self._client()
        since = client.context.since_ns(client.clock.timestamp_ns())
        orders = await client.port.orders(working_only=bool(command.open_only), since_ns=since)
        reports = []
        async for order in sliced(orders):
            if (
                command.instrument_id is not None
                and order.instrument_id != command.instrument_id.value
            ):
                continue
            cid = client.client_id_of(order)
            if cid:
                await client.take_report(order, cid)
            if cid in client.closed:
                continue
            report = self._order_report(order)
            if report is not None:
                reports.append(report)
        return reports

    def _order_report(self, order: VenueOrder) -> Any:
        client = self._client()
        instrument = client.cache.instrument(InstrumentId.from_str(order.instrument_id))
        if instrument is None:
            return None
        cid = client.client_id_of(order)
        ours = client.cache.order(ClientOrderId(cid)) if cid else None
        if ours is None and order.instrument_id in client.context.resolved:
            return None  # paid out, as its fills: the engine would make it somebody else's and invent them
        filled = order.filled
        if (
            ours is not None
        ):  # never say more than has been booked: the engine would invent the rest
            filled = min(filled, ours.filled_qty.as_decimal())
        status = STATUSES.get(order.status)
        if status is OrderStatus.FILLED and filled < order.quantity:
            status = None
        if status is None:
            status = OrderStatus.PARTIALLY_FILLED if filled > 0 else OrderStatus.ACCEPTED
        return OrderStatusReport(
            client.account_id,
            instrument.id,
            VenueOrderId(order.venue_order_id),
            SIDES[order.side],
            OrderType.LIMIT,
            TimeInForce.GTD if order.expire_ns else TimeInForce.GTC,
            status,
            quantity_of(order.quantity, instrument.size_precision),
            quantity_of(filled, instrument.size_precision),
            order.ts_ns,
            order.ts_last_ns,
            client.clock.timestamp_ns(),
            client_order_id=ClientOrderId(cid) if cid else None,
            price=price_of(order.price, instrument.price_precision)
            if order.price is not None
            else None,
            expire_time=order.expire_ns or None,
            post_only=order.post_only,
        )

    async def _generate_fill_reports(self, command: Any) -> list[Any]:
        """Report executions of orders the engine does not know; the others are delivered as fills."""
        client = self._client()
        since = client.context.since_ns(client.clock.timestamp_ns())
        vid = command.venue_order_id.value if command.venue_order_id is not None else ""
        reports = []
        for fill in await client.port.fills(since, vid):
            if (
                command.instrument_id is not None
                and fill.instrument_id != command.instrument_id.value
            ):
                continue
            cid = client.client_id_of(fill)
            if cid and (client.order_of(cid) is not None or cid in client.closed):
                client.on_fill(fill)
                continue
            report = self._fill_report(fill, cid)
            if report is not None:
                client.saw(fill.trade_id)
                self._write_recovered(fill, cid)
                reports.append(report)
        if not vid and command.instrument_id is None:
            client.context.resume_ns = 0  # what happened while no node ran is known now
        return reports

    def _write_recovered(self, fill: VenueFill, cid: str) -> None:
        """Write a fill that happened while no node ran, once; the gate hears of it unless it began with it."""
        client = self._client()
        owner = client.context.owner_of(fill.instrument_id, cid)
        client.leftovers.missed(fill, owner, cid)
        if fill.trade_id not in client.context.known_trades:
            client.context.known_trades.add(fill.trade_id)
            client.journal.filled(fill, cid, owner)
            net_away(client, fill, owner)
        else:
            client.leftovers.confirm(fill, cid)

    def _fill_report(self, fill: VenueFill, cid: str) -> Any:
        client = self._client()
        instrument = client.cache.instrument(InstrumentId.from_str(fill.instrument_id))
        if instrument is None or fill.instrument_id in client.context.resolved:
            return None
        return FillReport(
            client.account_id,
            instrument.id,
            VenueOrderId(fill.venue_order_id),
            TradeId(fill.trade_id),
            SIDES[fill.side],
            quantity_of(fill.quantity, instrument.size_precision),
            price_of(fill.price, instrument.price_precision),
            money(fill.fee, client.context.currency),
            LiquiditySide.MAKER if fill.role is Role.MAKER else LiquiditySide.TAKER,
            fill.ts_ns,
            client.clock.timestamp_ns(),
            client_order_id=ClientOrderId(cid) if cid else None,
        )

    async def _generate_position_status_reports(self, command: Any) -> list[Any]:
        """Report holdings of unresolved markets; average prices only open what fills do not explain."""
        client = self._client()
        now = client.clock.timestamp_ns()
        reports = []
        for position in await client.port.positions():
            wanted = (
                command.instrument_id is None
                or position.instrument_id == command.instrument_id.value
            )
            instrument = client.cache.instrument(InstrumentId.from_str(position.instrument_id))
            if (
                not wanted
                or instrument is None
                or position.instrument_id in client.context.resolved
            ):
                continue
            reports.append(
                PositionStatusReport(
                    client.account_id,
                    instrument.id,
                    PositionSide.LONG,
                    quantity_of(position.quantity, instrument.size_precision),
                    now,
                    now,
                    avg_px_open=position.average_price,
                    avg_px_open_reconciliation=AvgPxReconciliation.OPENING_ONLY,
                )
            )
        return reports
