"""Fourth layer of a strategy: what the venue says about its orders, booked once, then told to the author."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from core.engine.fees import SETTLEMENT_PREFIX, Charged
from core.engine.journal import OrderRecord
from core.engine.orders import SendingStrategy
from core.engine.results import FillRow
from core.engine.units import exact


class AnsweringStrategy(SendingStrategy):
    """Booking side of `BetaStrategy`."""

    def on_fill(self, fill: FillRow) -> None:
        """React to an own fill; position and cash are already updated."""

    def on_settlement(self, iid: str, payout: Decimal) -> None:
        """React to the resolution of an instrument of the universe; a position in it is already paid out."""

    def on_fill_voided(self, iid: str, quantity: Decimal, price: Decimal) -> None:
        """React to an own fill that the venue took back: position and cash are already as before it.

        Its market takes no purchases until the operator has looked.
        """

    def on_order_done(self, client_order_id: str, status: str) -> None:
        """React to the end of an own order without (further) fills: CANCELED, EXPIRED, REJECTED, DENIED."""

    # -- order events -----------------------------------------------------------------------
    def on_order_accepted(self, event: Any) -> None:
        """Book that the venue has the order."""
        session, order_id, ts_ns = self.session, event.client_order_id.value, event.ts_event
        record = session.journal.orders.get(order_id)
        if record is not None:
            session.gate.on_working(order_id, ts_ns)
            session.journal.event(record, "ACCEPTED", ts_ns)

    def on_order_rejected(self, event: Any) -> None:
        """Book a refusal of the venue."""
        self._bt_done(event, "REJECTED", str(event.reason))

    def on_order_denied(self, event: Any) -> None:
        """Book a refusal of the engine's own risk engine: the gate should have said no before."""
        if self.session.early is not None:
            self.session.early.denied(event.client_order_id.value, str(event.reason))
        self._bt_done(event, "DENIED", str(event.reason))

    def on_order_canceled(self, event: Any) -> None:
        """Book the end of an order."""
        self._bt_done(event, "CANCELED", "")

    def on_order_expired(self, event: Any) -> None:
        """Book the end of an order's life."""
        self._bt_done(event, "EXPIRED", "")

    def on_order_updated(self, event: Any) -> None:
        """Book the terms that the venue holds after a change; they need not be those asked for."""
        record = self._bt_record(event)
        if record is None or record.pending is None:
            return
        record.quantity = record.sent = exact(event.quantity)
        record.limit = exact(event.price) if event.price is not None else record.pending.price
        record.pending = None
        self.session.gate.adopt_change(
            record.intent.client_order_id, record.quantity, record.limit, event.ts_event
        )
        self.session.journal.modified(record, event.ts_event)

    def on_order_modify_rejected(self, event: Any) -> None:
        """Book a change that the venue refused: the new reservation goes."""
        record = self._bt_record(event)
        if record is not None and record.pending is not None:
            self.session.gate.on_modify_rejected(record.intent.client_order_id, event.ts_event)
            record.pending = None
            self.session.journal.modify_rejected(record, event.ts_event, str(event.reason))

    def on_order_filled(self, event: Any) -> None:
        """Book a fill: fee, gate, journal, curve; then tell the author."""
        order_id = event.client_order_id.value
        if order_id.startswith(SETTLEMENT_PREFIX):
            return  # paid out by `core.engine.settlement` in a fixed order
        session, ts_ns = self.session, event.ts_event
        gate, journal = session.gate, session.journal
        record = journal.orders.get(order_id)
        if record is None:
            return  # an order placed by hand at the venue: the execution client has booked its fill
        ref, intent = record.ref, record.intent
        market_id = intent.market_id
        record.fills += 1
        trade_id = f"{order_id}#{record.fills}"
        ahead = session.own_news
        if (
            not session.redeem_on_submit
        ):  # paper and live: the execution client has booked it already
            charged = session.charged(ref.venue, event)
        else:
            known = None if ahead is None else ahead.charged(order_id)
            charged = known or self._bt_booked(record, trade_id, ts_ns)
        charge, merged, side, role, price, quantity = charged
        fill = FillRow(
            ts_ns,
            order_id,
            self._bt_sid,
            ref.venue,
            market_id,
            ref.iid,
            side._value_,
            role._value_,
            price,
            quantity,
            charge.fee,
            charge.rule,
            intent.reason,
        )
        fill = journal.fill(record, fill, trade_id, event)
        if merged:
            journal.merge(self._bt_sid, ref, merged, ts_ns)
        session.filled(ref, ts_ns)
        cut = False
        if record.filled >= record.quantity:
            record.status = "FILLED"
            self._bt_close(record)
        elif record.filled >= record.sent:  # the engine was sent less than was asked for
            cut = True
            gate.on_done(order_id, ts_ns)
            journal.event(record, "CANCELED", ts_ns)
            self._bt_close(record)
        self.on_fill(fill)
        if cut:
            self.on_order_done(order_id, "CANCELED")
        if gate.stirred:
            session.watch_holds()
        if session.failure.stopping:
            self.shutdown_system("stopped")

    def _bt_booked(self, record: OrderRecord, trade_id: str, ts_ns: int) -> Charged:
        """Let the gate book the next fill of an order that the simulated venue has charged."""
        session, intent = self.session, record.intent
        order_id, gate = intent.client_order_id, session.gate
        charged = session.fee_models[record.ref.venue].take(order_id)
        charge, merged, _, _, price, quantity = charged
        gate.on_fill(order_id, trade_id, quantity, price, charge.fee, ts_ns)
        if merged:
            gate.on_merge(self._bt_sid, intent.market_id, merged, ts_ns)
        return charged

    def on_order_fill_voided(self, event: Any) -> None:
        """Book that a fill was taken back; the execution client has corrected gate and ledger."""
        record = self._bt_record(event)
        if record is None:
            return
        quantity = exact(event.voided_qty)
        self.session.journal.voided(record, quantity, exact(event.last_px), event.ts_event)
        self.on_fill_voided(record.ref.iid, quantity, exact(event.last_px))

    def _bt_done(self, event: Any, status: str, reason: str) -> None:
        record = self._bt_record(event)
        if record is None or not record.is_open:
            return
        session = self.session
        session.gate.on_done(
            record.intent.client_order_id, event.ts_event, rejected=status == "REJECTED"
        )
        record.pending = None
        session.journal.event(record, status, event.ts_event, reason)
        self._bt_close(record)
        self.on_order_done(record.intent.client_order_id, status)
        self._bt_continue_exit(record)

    def _bt_unsent(self, record: OrderRecord, status: str = "DENIED", code: str = "") -> None:
        """Book that the node that is replayed held this order back, or that it found nothing: it never left."""
        order_id, now = record.intent.client_order_id, self.now_ns
        self.session.gate.on_done(order_id, now)
        self.session.journal.event(record, status, now, code)
        self._bt_close(record)
        self.on_order_done(order_id, status)

    def _bt_record(self, event: Any) -> OrderRecord | None:
        """Return the record of an event's order; None for the engine's own settlement orders."""
        return self.session.journal.orders.get(event.client_order_id.value)

    def _bt_close(self, record: OrderRecord) -> None:
        record.is_open = False
        iid, intent = record.ref.iid, record.intent
        working = self._bt_working.get(iid)
        if working is not None:
            working.pop(intent.client_order_id, None)
            if not working:
                del self._bt_working[iid]
        mirror = self.session.mirror
        if record.ref.opposite is not None and mirror is not None:
            mirror.closed(iid, intent.side)

    def _bt_continue_exit(self, record: OrderRecord) -> None:
        """Send the sale of an exit once no resting sale promises its shares."""
        iid = record.ref.iid
        reason = self._bt_exits.get(iid)
        if reason is None or any(
            r.intent.side == record.intent.side and r.intent.side == "SELL"
            for r in self.working(iid)
        ):
            return
        del self._bt_exits[iid]
        self.exit(iid, reason)

    def tell_settlement(self, iid: str, payout: Decimal) -> None:
        """Tell the author about a resolution."""
        self._bt_exits.pop(iid, None)
        self.on_settlement(iid, payout)
