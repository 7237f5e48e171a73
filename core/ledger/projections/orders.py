"""Order rows folded into orders and fills."""

from __future__ import annotations

from decimal import Decimal

from core.domain.fees import Side
from core.domain.money import ZERO
from core.ledger.kinds import FillVoided, OrderFilled, OrderIntended, OrderModified
from core.ledger.kinds.orders import OrderEvent
from core.ledger.lots import EXACT
from core.ledger.projections.positions import Key, Movement, move, void
from core.ledger.projections.state import State, text
from core.ledger.rows import Row

#: Status that an order has after a row of this kind.
STATUS = {
    "order.submitted": "SUBMITTED",
    "order.accepted": "ACCEPTED",
    "order.rejected": "REJECTED",
    "order.denied": "DENIED",
    "order.canceled": "CANCELED",
    "order.expired": "EXPIRED",
    "order.unknown": "UNKNOWN",
    "order.absent": "ABSENT",
}
_CLOSED = ("REJECTED", "DENIED", "ABSENT")
_WHERE = "WHERE book = ? AND client_order_id = ?"


def intended(state: State, book: str, row: Row, p: OrderIntended) -> None:
    """Begin an order."""
    if state.one(f"SELECT 1 FROM orders {_WHERE}", book, p.client_order_id):
        state.anomaly(row.seq, "duplicate_intent", p.client_order_id)
        return
    version = state.versions.get((row.run_id, p.strategy_id), "")
    price = None if p.price is None else text(p.price)
    state.run(
        "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, '', ?, ?, ?, ?, ?, ?, ?, 'INTENDED', '0', '0', "
        "'0', ?, ?, ?, ?, ?)",
        book,
        p.client_order_id,
        row.run_id,
        p.strategy_id,
        version,
        p.venue,
        p.instrument_id,
        p.market_id,
        p.event_id,
        p.side,
        p.tif,
        text(p.quantity),
        price,
        p.reason,
        row.seq,
        row.seq,
        row.ts_event,
        row.ts_event,
    )


def changed(state: State, book: str, row: Row, p: OrderEvent) -> None:
    """Move an order to the status of the row; what was filled stays filled."""
    found = state.one(f"SELECT quantity, filled FROM orders {_WHERE}", book, p.client_order_id)
    if found is None:
        state.anomaly(row.seq, "event_without_intent", f"{row.name} {p.client_order_id}")
        return
    quantity, filled = Decimal(str(found[0])), Decimal(str(found[1]))
    status = STATUS[row.name]
    if filled >= quantity > 0:
        status = "FILLED"
    elif filled and status in ("SUBMITTED", "ACCEPTED", "UNKNOWN"):
        status = "PARTIALLY_FILLED"
    state.run(
        f"UPDATE orders SET status = ?, reason = CASE WHEN ? = '' THEN reason ELSE ? END, "
        f"venue_order_id = CASE WHEN ? = '' THEN venue_order_id ELSE ? END, last_seq = ?, updated_ns = ? "
        f"{_WHERE}",
        status,
        p.reason,
        p.reason,
        p.venue_order_id,
        p.venue_order_id,
        row.seq,
        row.ts_event,
        book,
        p.client_order_id,
    )


def modified(state: State, book: str, row: Row, p: OrderModified) -> None:
    """Change quantity and price of an order."""
    price = None if p.price is None else text(p.price)
    state.run(
        f"UPDATE orders SET quantity = ?, price = coalesce(?, price), last_seq = ?, updated_ns = ? {_WHERE}",
        text(p.quantity),
        price,
        row.seq,
        row.ts_event,
        book,
        p.client_order_id,
    )


def asked(state: State, book: str, row: Row, p: OrderEvent) -> None:
    """Note that a change was asked for, refused, or without an answer: the order's terms are what they were."""
    state.run(
        f"UPDATE orders SET last_seq = ?, updated_ns = ? {_WHERE}",
        row.seq,
        row.ts_event,
        book,
        p.client_order_id,
    )


def filled(state: State, book: str, row: Row, p: OrderFilled) -> None:
    """Book a fill once: on its order, in the fills, and as a movement of the position."""
    if state.one(
        "SELECT 1 FROM fills WHERE book = ? AND venue = ? AND trade_id = ? AND client_order_id = ? "
        "AND voided_seq = 0",
        book,
        p.venue,
        p.trade_id,
        p.client_order_id,
    ):
        state.anomaly(row.seq, "duplicate_fill", f"{p.venue} {p.trade_id}")
        return
    version = state.versions.get((row.run_id, p.strategy_id), "")
    state.run(
        "INSERT INTO fills VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '')",
        row.seq,
        book,
        p.venue,
        p.trade_id,
        p.client_order_id,
        p.strategy_id,
        version,
        p.instrument_id,
        p.side,
        text(p.quantity),
        text(p.price),
        text(p.fee),
        p.currency,
        p.liquidity,
        row.ts_event,
    )
    _on_order(
        state, book, row, p.client_order_id, p.quantity, _notional(p), p.fee, p.venue_order_id
    )
    key = Key(book, p.strategy_id, p.venue, p.instrument_id)
    signed = p.quantity if p.side == Side.BUY else -p.quantity
    move(
        state,
        Movement(
            row.seq,
            0,
            key,
            "fill",
            signed,
            p.price,
            p.multiplier,
            p.fee,
            p.currency,
            version,
            row.ts_event,
        ),
    )


def voided(state: State, book: str, row: Row, p: FillVoided) -> None:
    """Take a fill back: its row stays, marked; the position is folded again without it."""
    found = state.one(
        "SELECT seq, strategy_id, instrument_id, quantity, price, fee FROM fills WHERE book = ? "
        "AND venue = ? AND trade_id = ? AND client_order_id = ? AND voided_seq = 0",
        book,
        p.venue,
        p.trade_id,
        p.client_order_id,
    )
    if found is None:
        state.anomaly(row.seq, "void_without_fill", f"{p.venue} {p.trade_id}")
        return
    seq, strategy, instrument = int(str(found[0])), str(found[1]), str(found[2])
    quantity, price, fee = (Decimal(str(v)) for v in found[3:])
    multiplier = state.one("SELECT multiplier FROM movements WHERE seq = ? AND leg = 0", seq)
    factor = Decimal(str(multiplier[0])) if multiplier else Decimal(1)
    state.run(
        "UPDATE fills SET voided_seq = ?, void_reason = ? WHERE seq = ?", row.seq, p.reason, seq
    )
    state.run("UPDATE movements SET voided = 1 WHERE seq = ?", seq)
    notional = EXACT.multiply(EXACT.multiply(quantity, price), factor)
    _on_order(state, book, row, p.client_order_id, -quantity, -notional, -fee, "")
    void(state, Key(book, strategy, p.venue, instrument))


def _notional(p: OrderFilled) -> Decimal:
    """Return the money of a fill without its fee."""
    return EXACT.multiply(EXACT.multiply(p.quantity, p.price), p.multiplier)


def _on_order(
    state: State,
    book: str,
    row: Row,
    client_order_id: str,
    quantity: Decimal,
    notional: Decimal,
    fee: Decimal,
    venue_order_id: str,
) -> None:
    """Add a fill (or take one off) to its order; a fill for an order never intended is an anomaly."""
    found = state.one(
        f"SELECT quantity, filled, notional, fees, status FROM orders {_WHERE}",
        book,
        client_order_id,
    )
    if found is None:
        state.anomaly(row.seq, "fill_without_intent", client_order_id)
        return
    wanted = Decimal(str(found[0]))
    done, money, fees = (
        EXACT.add(Decimal(str(old)), new)
        for old, new in zip(found[1:4], (quantity, notional, fee), strict=True)
    )
    status = str(found[4])
    if status in _CLOSED and quantity > ZERO:
        state.anomaly(row.seq, "fill_after_" + status.lower(), client_order_id)
    if done >= wanted:
        status = "FILLED"
    elif status in ("CANCELED", "EXPIRED"):
        pass
    elif done > ZERO:
        status = "PARTIALLY_FILLED"
    elif status in ("PARTIALLY_FILLED", "FILLED"):
        status = "ACCEPTED"
    if done > wanted:
        state.anomaly(row.seq, "overfilled", f"{client_order_id}: {done} of {wanted}")
    state.run(
        f"UPDATE orders SET filled = ?, notional = ?, fees = ?, status = ?, venue_order_id = "
        f"CASE WHEN ? = '' THEN venue_order_id ELSE ? END, last_seq = ?, updated_ns = ? {_WHERE}",
        text(done),
        text(money),
        text(fees),
        status,
        venue_order_id,
        venue_order_id,
        row.seq,
        row.ts_event,
        book,
        client_order_id,
    )
