"""Orders that have ended and whose fills are all booked: a few words are kept of each, the engine's objects go.

The engine keeps kilobytes for every order and would take a report of one that it has dropped for somebody
else's (ADR 0097). So an order leaves in steps, one at each of the engine's checks of orders:

=========  ========================================================================
step       what happens
=========  ========================================================================
waiting    closed in the engine, nothing open about it (`ClosedOrders._done`), for the grace
aside      left out of reports from this check on
dropped    two checks later, when no report of an earlier one is on its way: the engine's order and ours go; `Closed` stays,
           for news that comes later
=========  ========================================================================

News of a dropped order is booked by gate and ledger like any other, and the strategy is told; the engine is not.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from nautilus_trader.core import UUID4
from nautilus_trader.model import (
    ClientOrderId,
    InstrumentId,
    LiquiditySide,
    OrderFilled,
    OrderFillVoided,
    OrderSide,
    OrderType,
    StrategyId,
    TradeId,
    TraderId,
    VenueOrderId,
)

from core.domain.errors import VenueUncertain
from core.domain.fees import Role
from core.domain.money import ZERO
from core.engine.currency import currency, money
from core.engine.live.conversions import net_after
from core.engine.live.over import MOST_OVER
from core.engine.live.paid_out import PaidOut
from core.engine.live.port import VenueFill, VenueOrder, VenueVoid
from core.engine.units import price_of, quantity_of

if TYPE_CHECKING:
    from core.engine.live.client import VenueClient

#: Checks that pass between "left out of reports" and "dropped".
CHECKS = 2


class Closed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is kept of an order: `fills` holds trade id, shares and price of each, `row` is its newest in the ledger."""

    venue_order_id: str
    instrument_id: str
    side: str
    kind: str
    strategy_id: str
    filled: Decimal
    fills: tuple[tuple[str, Decimal, Decimal], ...]
    row: int


_packed = msgspec.msgpack.Encoder().encode
_unpacked = msgspec.msgpack.Decoder(Closed).decode


def same_place(instrument_id: str, side: str, news: VenueOrder | VenueFill) -> None:
    """Raise `VenueUncertain` for news of an order of ours on an instrument or a side that it is not on."""
    if (instrument_id, side) != (news.instrument_id, news.side.value):
        raise VenueUncertain(
            "news of our order on another instrument or side",
            f"{news.instrument_id[:80]} {news.side}",
        )


class ClosedOrders:
    """Takes closed orders out of the engine, and the news of those that have gone.

    Attributes
    ----------
    kept : OrderedDict
        Client order id to what is kept of a dropped order (`find` reads it), oldest first.
    """

    def __init__(self, client: VenueClient) -> None:
        self._client = client
        self._since: dict[str, float] = {}
        self._aside: dict[str, int] = {}
        self._asking = 0
        self.kept: OrderedDict[str, bytes] = OrderedDict()
        self._ids: dict[str, str] = {}
        self.paid_out = PaidOut(client.context)

    # -- out of the engine ------------------------------------------------------------------
    def __enter__(self) -> None:
        """Begin a check of orders: move each closed order on by a step, unless another check still runs."""
        self._asking += 1
        if self._asking == 1:
            self._step()

    def __exit__(self, *error: object) -> None:
        """End a check of orders."""
        self._asking -= 1

    def _step(self) -> None:
        context, now = self._client.context, asyncio.get_running_loop().time()
        cache, grace_s, since = context.cache(), context.closed_grace_s, self._since
        if cache is None:
            return
        for native in cache.client_order_ids_closed():
            cid = native.value
            if not self._done(cid):
                since.pop(cid, None)
                self._aside.pop(cid, None)
            elif cid in self._aside:
                self._aside[cid] += 1
                if self._aside[cid] > CHECKS:
                    self._drop(cache, native, cid)
            elif now - since.setdefault(cid, now) >= grace_s:
                self._aside[cid] = 1
        self._drop_positions(cache)
        self.paid_out.step(cache)

    def _done(self, cid: str) -> bool:
        """Return whether an order is ours and ended, and nothing about it is open here or at the venue."""
        client, ours = self._client, self._client.order_of(cid)
        if ours is None or not ours.is_closed or cid in client.gate.book.orders:
            return False
        if cid not in client._accepted and cid not in client._ended:
            return False
        if cid in client.acks or cid in client.changes.open or client.unknowns.concerns(cid):
            return False
        filled, told = ours.filled_qty.as_decimal(), client.venue_orders.get(cid)
        if cid not in client._ended and filled < ours.quantity.as_decimal():
            return False
        if filled != client.sizes.told(cid) or (told is not None and told.filled > filled):
            return False
        provisional = client.gate.book.provisional
        return not any(t.value in provisional for t in ours.trade_ids)

    def _drop(self, cache: Any, native: Any, cid: str) -> None:
        client, ours = self._client, self._client.order_of(cid)
        vid = ours.venue_order_id.value if ours.venue_order_id is not None else ""
        fills = tuple(
            (e.trade_id.value, e.last_qty.as_decimal(), e.last_px.as_decimal())
            for e in (ours.events() if ours.trade_ids else ())
            if isinstance(e, OrderFilled)
        )
        cache.purge_order(native)
        if client.order_of(cid) is not None:
            return
        self._keep(
            cid,
            Closed(
                vid,
                ours.instrument_id.value,
                ours.side.name,
                ours.order_type.name,
                ours.strategy_id.value,
                ours.filled_qty.as_decimal() or ZERO,
                fills,
                client.journal.forget(cid),
            ),
        )
        del self._since[cid], self._aside[cid]
        client.venue_orders.pop(cid, None)
        client._accepted.discard(cid)
        client._ended.discard(cid)
        client.context.forget(cid)
        client.sizes.forget(cid, [f[0] for f in fills])

    def _keep(self, cid: str, closed: Closed) -> None:
        self.kept[cid] = _packed(closed)
        if closed.venue_order_id:
            self._ids[closed.venue_order_id] = cid
        if len(self.kept) > MOST_OVER:
            _, oldest = self.kept.popitem(last=False)
            self._ids.pop(_unpacked(oldest).venue_order_id, None)

    @staticmethod
    def _drop_positions(cache: Any) -> None:
        """Drop flat positions of instruments without any order: the engine keeps each earlier round of theirs."""
        for position in cache.positions_closed():
            if not cache.orders(instrument_id=position.instrument_id):
                cache.purge_position(position.id)

    # -- what is still known ----------------------------------------------------------------
    def __contains__(self, cid: str) -> bool:
        """Return whether the engine is told nothing more of an order."""
        return cid in self.kept or cid in self._aside

    def find(self, cid: str) -> Closed | None:
        """Return what is kept of a dropped order; None when it is none."""
        body = self.kept.get(cid)
        return None if body is None else _unpacked(body)

    def id_of(self, venue_order_id: str) -> str:
        """Return our id of a dropped order, or an empty string."""
        return self._ids.get(venue_order_id, "")

    def filled(self, cid: str) -> Decimal | None:
        """Return the booked shares of a dropped order; None when it is none."""
        closed = self.find(cid)
        return closed.filled if closed is not None else None

    # -- news of what has gone --------------------------------------------------------------
    def take(self, fill: VenueFill, cid: str) -> bool:
        """Book a fill of a dropped order in gate and ledger, and tell its strategy; False when it is of no such."""
        closed, client = self.find(cid), self._client
        if closed is None:
            return False
        self.about(cid, fill)
        client.saw(fill.trade_id)
        client.booked[fill.instrument_id] += 1
        client.gate.on_fill(
            cid, fill.trade_id, fill.quantity, fill.price, fill.fee, provisional=fill.provisional,
            instrument_id=fill.instrument_id, strategy_id=closed.strategy_id, side=fill.side,
        )  # fmt: skip
        client.journal.resume(cid, closed.row)
        client.journal.filled(fill, cid, closed.strategy_id)
        net_after(client, fill)
        one = (fill.trade_id, fill.quantity, fill.price)
        self._change(cid, closed, fill.quantity, (*closed.fills, one))
        client.context.tell(self._filled(fill, cid, closed))
        client.refresh_cash()
        return True

    def about(self, cid: str, news: VenueOrder | VenueFill) -> None:
        """Raise `VenueUncertain` for news of a dropped order on an instrument or a side that it was not on."""
        closed = self.find(cid)
        if closed is not None:
            same_place(closed.instrument_id, closed.side, news)

    def take_back(self, void: VenueVoid) -> bool:
        """Take a fill of a dropped order back in gate and ledger, and tell its strategy; False when it is none."""
        client, cid = self._client, self.id_of(void.venue_order_id)
        closed = self.find(cid)
        if closed is None or not client.gate.on_fill_voided(void.trade_id):
            return False
        client.journal.resume(cid, closed.row)
        client.journal.voided(void, cid)
        gone = next((f for f in closed.fills if f[0] == void.trade_id), None)
        if gone is not None:
            self._change(cid, closed, -gone[1], tuple(f for f in closed.fills if f != gone))
            client.context.tell(self._voided(void, cid, closed, gone))
        client.refresh_cash()
        return True

    def _change(
        self,
        cid: str,
        closed: Closed,
        shares: Decimal,
        fills: tuple[tuple[str, Decimal, Decimal], ...],
    ) -> None:
        """Keep other fills; the newest row stays in the journal, where more news finds it."""
        changed = msgspec.structs.replace(closed, filled=closed.filled + shares, fills=fills)
        self.kept[cid] = _packed(changed)

    def _head(
        self, cid: str, closed: Closed
    ) -> tuple[TraderId, StrategyId, InstrumentId, ClientOrderId]:
        client = self._client
        return (
            client.trader_id,
            StrategyId(closed.strategy_id),
            InstrumentId.from_str(closed.instrument_id),
            ClientOrderId(cid),
        )

    def _filled(self, fill: VenueFill, cid: str, closed: Closed) -> OrderFilled:
        client, now = self._client, self._client.clock.timestamp_ns()
        instrument, code = client.instrument(fill.instrument_id), client.context.currency
        return OrderFilled(
            *self._head(cid, closed),
            VenueOrderId(fill.venue_order_id),
            client.account_id,
            TradeId(fill.trade_id),
            OrderSide.BUY if closed.side == "BUY" else OrderSide.SELL,
            getattr(OrderType, closed.kind),
            quantity_of(fill.quantity, instrument.size_precision),
            price_of(fill.price, instrument.price_precision),
            currency(code),
            LiquiditySide.MAKER if fill.role is Role.MAKER else LiquiditySide.TAKER,
            UUID4(),
            fill.ts_ns,
            now,
            False,
            commission=money(fill.fee, code),
        )

    def _voided(
        self, void: VenueVoid, cid: str, closed: Closed, gone: tuple[str, Decimal, Decimal]
    ) -> OrderFillVoided:
        client, now = self._client, self._client.clock.timestamp_ns()
        instrument = client.instrument(closed.instrument_id)
        return OrderFillVoided(
            *self._head(cid, closed),
            VenueOrderId(void.venue_order_id),
            client.account_id,
            f"void-{void.trade_id}",
            TradeId(void.trade_id),
            quantity_of(gone[1], instrument.size_precision),
            OrderSide.BUY if closed.side == "BUY" else OrderSide.SELL,
            getattr(OrderType, closed.kind),
            price_of(gone[2], instrument.price_precision),
            currency(client.context.currency),
            LiquiditySide.TAKER,
            UUID4(),
            now,
            now,
            False,
            reason=void.reason,
        )
