"""Own news of a live run that comes before the market data which made it: told as recorded, then checked.

A live venue tells us of our orders by another way than of the market. A busy node may book a fill before its strategies are handed
news that the venue sent, and acted on, earlier. The engine of a replay must see that news first, so it cannot have filled yet. The gate
and the strategy are then told what the node was told; what the engine makes of the order is kept apart, and it alone is compared.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from core.domain.fees import FeeCharge, Role, Side
from core.domain.money import ZERO
from core.engine.arrivals import Arrivals, Known, Made
from core.engine.fees import Charged
from core.engine.hearing import OwnNews

if TYPE_CHECKING:
    from core.engine.journal import OrderRecord
    from core.engine.session import Session

#: Name of the rule of a fee that was read from the record.
AS_RECORDED = "as recorded"
#: Callbacks by how a recorded order ended.
TOLD_BY = {
    "CANCELED": "canceled",
    "EXPIRED": "expired",
    "REJECTED": "rejected",
    "ABSENT": "rejected",
}


@dataclass(slots=True, eq=False)
class _Foretold:
    """One order: the fills that were told before the engine made them, and whether the engine has ended it."""

    fills: list[Known] = field(default_factory=list)
    ended: bool = False


class LiveNews(OwnNews):
    """`OwnNews` that tells what was recorded when the engine has not come so far."""

    def __init__(self, arrivals: Arrivals) -> None:
        super().__init__(arrivals)
        self._foretold: dict[str, _Foretold] = defaultdict(_Foretold)
        self._cash: dict[str, Decimal] = defaultdict(Decimal)
        self._shares: dict[str, Decimal] = defaultdict(Decimal)

    def expect(self, strategy: Any, record: OrderRecord) -> None:
        """Wait for the recorded news of an order that was decided again."""
        intent = record.intent
        arrival = self._arrivals.recorded_of(intent.client_order_id)
        if arrival is None or (arrival.quantity, arrival.price) != (intent.quantity, intent.price):
            return
        for known in arrival.fills:
            self.hold(known.booked, partial(self._book_ahead, strategy, record, known))
            self.hold(known.heard, partial(self._tell_ahead, strategy, record, known))
        kind = TOLD_BY.get(arrival.ended)
        if arrival.end is not None and kind is not None:
            self.hold(arrival.end.booked, partial(self._end_ahead, strategy, record, ""))
            self.hold(arrival.end.heard, partial(self._end_ahead, strategy, record, kind))

    # -- what was recorded ------------------------------------------------------------------
    def _book_ahead(self, strategy: Any, record: OrderRecord, known: Known) -> None:
        session, intent, ref = strategy.session, record.intent, record.ref
        cid = intent.client_order_id
        if self._over or not record.is_open or self.filled(cid) >= known.filled:
            return
        if self._on_its_way(record) or ref.iid in session.payouts:
            return
        if ref.opposite is not None and session.gate.position(strategy._bt_sid, ref.opposite.iid):
            return  # it would complete pairs, which the engine's fee model counts
        self._switch(session, cid)
        role = Role.MAKER if known.role == "maker" else Role.TAKER
        charge = FeeCharge(known.fee, AS_RECORDED)
        charged: Charged = charge, ZERO, intent.side, role, known.price, known.quantity
        trade_id = self.took(cid, record.fills, known.filled, charged)
        session.gate.on_fill(cid, trade_id, known.quantity, known.price, known.fee, self.now_ns())
        self._foretold[cid].fills.append(known)
        self._moved(record, known.quantity, known.price, known.fee)

    def _tell_ahead(self, strategy: Any, record: OrderRecord, known: Known) -> None:
        if known in self._foretold[record.intent.client_order_id].fills:
            self.hears(strategy)["filled"](self._event(record))

    def _end_ahead(self, strategy: Any, record: OrderRecord, kind: str) -> None:
        cid = record.intent.client_order_id
        if (
            self._over
            or not record.is_open
            or self._foretold[cid].ended
            or self._on_its_way(record)
        ):
            return
        self._switch(strategy.session, cid)
        if kind:
            self.hears(strategy)[kind](self._event(record))
        else:
            strategy.session.gate.on_done(cid)

    def _event(self, record: OrderRecord) -> Any:
        return SimpleNamespace(client_order_id=record.native, ts_event=self.now_ns(), reason="")

    def _on_its_way(self, record: OrderRecord) -> bool:
        """Return whether the strategy has not heard yet of a fill that the engine made."""
        cid = record.intent.client_order_id
        return cid not in self._arrivals.made and record.filled != self.filled(cid)

    def _switch(self, session: Session, cid: str) -> None:
        """From here on what the engine makes of an order is kept apart."""
        if cid not in self._arrivals.made:
            before = [f for f in session.journal.fills if f.order_id == cid]
            self._arrivals.made[cid] = [
                Made(f.ts_ns, f.price, f.quantity, f.fee, f.role) for f in before
            ]

    # -- what the engine makes of it --------------------------------------------------------
    def _filled(self, strategy: Any, hear: Any, event: Any) -> None:
        cid = event.client_order_id.value
        made = self._arrivals.made.get(cid)
        if made is None:
            super()._filled(strategy, hear, event)
            return
        record = strategy.session.journal.orders[cid]
        charge, _, _, role, price, quantity = strategy.session.fee_models[record.ref.venue].take(
            cid
        )
        made.append(Made(event.ts_event, price, quantity, charge.fee, role.value))
        self._moved(record, -quantity, price, -charge.fee)

    def _ended(self, strategy: Any, hear: Any, event: Any) -> None:
        cid = event.client_order_id.value
        self._foretold[cid].ended = True
        if cid not in self._arrivals.made or strategy.session.journal.orders[cid].is_open:
            super()._ended(strategy, hear, event)

    def is_foretold(self, client_order_id: str) -> bool:
        """Return whether gate and strategy know of an order what the engine has not made yet, or never made."""
        return client_order_id in self._arrivals.made

    def reported(self, client_order_id: str, fills: int) -> int:
        """Return how many fills the engine has told."""
        made = self._arrivals.made.get(client_order_id)
        return fills if made is None else len(made)

    def _moved(self, record: OrderRecord, quantity: Decimal, price: Decimal, fee: Decimal) -> None:
        """Count what the gate has and the engine has not."""
        signed = quantity if record.intent.side is Side.BUY else -quantity
        self._cash[record.ref.venue] -= signed * price + fee
        self._shares[record.ref.iid] += signed

    def ahead(self, session: Session, code: str) -> Decimal:
        """Return dollars that the gate has at a venue and the engine has not, of fills that it never made."""
        owed = self._cash[code]
        for iid, shares in self._shares.items():
            if session.references.by_iid[iid].venue == code:
                owed += shares * session.payouts.get(iid, ZERO)
        return owed
