"""The gate's state as a projection: the rows of a ledger, applied in order, rebuild it.

Markets are reference data and are registered first (`Gate.on_market`), strategies with `on_strategy`.
What a row does not carry (the worst-case fee) is worked out again from the same fee rules at the row's
own time. Rows of other kinds are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import singledispatchmethod

from core.domain.decision import OrderIntent, TimeInForce
from core.domain.errors import LedgerCorrupt
from core.ledger.kinds import (
    AccountState,
    FillConfirmed,
    FillVoided,
    Halted,
    OrderAbsent,
    OrderAccepted,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderIntended,
    OrderModified,
    OrderModifyRejected,
    OrderModifyRequested,
    OrderRejected,
    OrderSubmitted,
    OrderUnknown,
    PositionsMerged,
    PositionsSplit,
    Resumed,
    Settled,
    Transferred,
    VerdictGiven,
)
from core.ledger.registry import Payload
from core.risk.gate import Gate
from core.risk.states import TradingState

#: Ledger word for a hold of this level (the engine writes REDUCING for reduce-only).
LEVELS = {"REDUCING": TradingState.REDUCE_ONLY} | {str(s): s for s in TradingState}


class Fold:
    """Feeds rows to a gate.

    Parameters
    ----------
    gate : Gate
        Fresh, with venues, limits, markets and strategies.
    """

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self._worst: dict[str, Decimal] = {}

    def rows(self, rows: Iterable[tuple[int, Payload]]) -> Gate:
        """Apply (ts_event, payload) pairs in ledger order; return the gate."""
        for ts_ns, payload in rows:
            self.apply(payload, ts_ns)
        return self.gate

    def apply(self, payload: Payload, ts_ns: int) -> None:
        """Apply one row.

        Raises
        ------
        LedgerCorrupt
            If the row contradicts the state before it (a fill of an order never intended).
        """
        self._on(payload, ts_ns)

    @singledispatchmethod
    def _on(self, payload: Payload, ts_ns: int) -> None:
        """Pass over a row that moves nothing here."""

    @_on.register
    def _(self, row: VerdictGiven, ts_ns: int) -> None:
        for check in row.checks if row.approved else ():
            if check.name == "worst_price":
                self._worst[row.client_order_id] = Decimal(check.value)

    @_on.register
    def _(self, row: OrderIntended, ts_ns: int) -> None:
        intent = OrderIntent(
            client_order_id=row.client_order_id,
            strategy_id=row.strategy_id,
            venue=row.venue,
            instrument_id=row.instrument_id,
            market_id=row.market_id,
            event_id=row.event_id,
            side=row.side,
            quantity=row.quantity,
            price=row.price,
            tif=TimeInForce(row.tif),
            ts_ns=ts_ns,
            post_only=row.post_only,
            reduces=row.reduces,
            expire_ns=row.expire_ns,
            reason=row.reason,
        )
        self.gate.adopt(intent, self._worst.pop(row.client_order_id, row.price), ts_ns)

    @_on.register
    def _(self, row: OrderAccepted, ts_ns: int) -> None:
        self.gate.on_working(row.client_order_id, ts_ns)

    @_on.register
    def _(self, row: OrderSubmitted, ts_ns: int) -> None:
        """An intent is already counted as sent: after a crash it may have left."""

    @_on.register
    def _(self, row: OrderUnknown, ts_ns: int) -> None:
        self.gate.on_unknown(row.client_order_id, ts_ns)

    @_on.register
    def _(self, row: OrderRejected, ts_ns: int) -> None:
        self.gate.on_done(row.client_order_id, ts_ns, rejected=True)

    @_on.register(OrderCanceled)
    @_on.register(OrderExpired)
    @_on.register(OrderDenied)
    @_on.register(OrderAbsent)
    def _(self, row: OrderCanceled | OrderExpired | OrderDenied | OrderAbsent, ts_ns: int) -> None:
        self.gate.on_done(row.client_order_id, ts_ns)

    @_on.register
    def _(self, row: OrderModifyRequested, ts_ns: int) -> None:
        self.gate.adopt_request(row.client_order_id, row.quantity, row.price, ts_ns)

    @_on.register
    def _(self, row: OrderModifyRejected, ts_ns: int) -> None:
        self.gate.on_modify_rejected(row.client_order_id, ts_ns)

    @_on.register
    def _(self, row: OrderModified, ts_ns: int) -> None:
        self.gate.adopt_change(row.client_order_id, row.quantity, row.price, ts_ns)

    @_on.register
    def _(self, row: OrderFilled, ts_ns: int) -> None:
        if not row.provisional and row.trade_id in self.gate.book.provisional:
            self.gate.on_confirmed(row.trade_id)
            return
        self.gate.on_fill(
            row.client_order_id,
            row.trade_id,
            row.quantity,
            row.price,
            row.fee,
            ts_ns,
            provisional=row.provisional,
            instrument_id=row.instrument_id,
            strategy_id=row.strategy_id,
            side=row.side,
        )

    @_on.register
    def _(self, row: FillConfirmed, ts_ns: int) -> None:
        self.gate.on_confirmed(row.trade_id)

    @_on.register
    def _(self, row: FillVoided, ts_ns: int) -> None:
        self.gate.on_fill_voided(row.trade_id, ts_ns)

    @_on.register
    def _(self, row: Settled, ts_ns: int) -> None:
        self.gate.on_settlement(row.instrument_id, row.payout, ts_ns)

    @_on.register
    def _(self, row: PositionsMerged, ts_ns: int) -> None:
        market_id = self._market_of(row.instrument_ids)
        if len(row.instrument_ids) > 1:
            self.gate.on_merge(row.strategy_id, market_id, row.quantity, ts_ns)
        else:
            (iid,) = row.instrument_ids
            self.gate.on_netted(row.strategy_id, iid, row.quantity, row.proceeds, ts_ns)

    @_on.register
    def _(self, row: PositionsSplit, ts_ns: int) -> None:
        market_id = self._market_of(row.instrument_ids)
        self.gate.on_split(row.strategy_id, market_id, row.quantity, ts_ns)

    def _market_of(self, instrument_ids: tuple[str, ...]) -> str:
        rules = self.gate.rules.get(instrument_ids[0]) if instrument_ids else None
        if rules is None:
            raise LedgerCorrupt("a row names outcomes that no market has", instrument_ids)
        return rules.market_id

    @_on.register
    def _(self, row: AccountState, ts_ns: int) -> None:
        self.gate.on_cash(row.venue, row.total)

    @_on.register
    def _(self, row: Transferred, ts_ns: int) -> None:
        self.gate.on_transfer(row.venue, row.amount)

    @_on.register
    def _(self, row: Halted, ts_ns: int) -> None:
        state = LEVELS.get(row.level, TradingState.HALTED)
        if row.scope == "all":
            self.gate.on_hold(row.source, state, row.reason, ts_ns)

    @_on.register
    def _(self, row: Resumed, ts_ns: int) -> None:
        if row.scope == "all":
            self.gate.on_resume(ts_ns)


def rebuild(gate: Gate, rows: Iterable[tuple[int, Payload]]) -> Gate:
    """Fold rows into a fresh gate and return it."""
    return Fold(gate).rows(rows)
