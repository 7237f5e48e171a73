"""Movements of positions folded into lots, trades and positions; a voided fill is folded out again."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from core.domain.money import ONE, ZERO, half_even_to
from core.ledger.kinds import PositionsMerged, PositionsSplit, Settled
from core.ledger.lots import EXACT, FEE_STEP, Closure, FifoBook, Lot
from core.ledger.projections.state import State, text
from core.ledger.rows import Row

SETTLEMENT = "settlement"


class Key(NamedTuple):
    """A position: whose, where, what."""

    book: str
    strategy_id: str
    venue: str
    instrument_id: str


class Movement(NamedTuple):
    """A change of one position. A settlement closes whatever is open; with no strategy, everybody's."""

    seq: int
    leg: int
    key: Key
    how: str
    quantity: Decimal
    price: Decimal
    multiplier: Decimal
    fee: Decimal
    currency: str
    strategy_version: str
    ts_ns: int


@dataclass(slots=True)
class Held:
    """A position in memory during one fold: its lots, the strategy version of each, what it earned."""

    book: FifoBook
    versions: dict[int, str]
    realized: Decimal
    fees: Decimal
    currency: str


_WHERE = "WHERE book = ? AND strategy_id = ? AND venue = ? AND instrument_id = ?"


def move(state: State, movement: Movement) -> None:
    """Record a movement and fold it into its position."""
    _record(state, movement)
    fold(state, movement.key, movement)


def settle(state: State, book: str, row: Row, payload: Settled) -> None:
    """Close the lots of an instrument at its payout: one strategy's, or everybody's."""
    key = Key(book, payload.strategy_id, payload.venue, payload.instrument_id)
    movement = Movement(
        row.seq,
        0,
        key,
        SETTLEMENT,
        ZERO,
        payload.payout,
        ONE,
        ZERO,
        payload.currency,
        "",
        row.ts_event,
    )
    _record(state, movement)
    held = ZERO
    for strategy, quantity in state.all(
        "SELECT strategy_id, quantity FROM positions WHERE book = ? AND venue = ? AND instrument_id = ? "
        "AND quantity <> '0' AND (? = '' OR strategy_id = ?) ORDER BY strategy_id",
        book,
        payload.venue,
        payload.instrument_id,
        payload.strategy_id,
        payload.strategy_id,
    ):
        held = EXACT.add(held, Decimal(str(quantity)))
        fold(state, key._replace(strategy_id=str(strategy)), movement)
    state.run(
        "INSERT INTO settlements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        row.seq,
        book,
        payload.venue,
        payload.instrument_id,
        text(payload.payout),
        text(payload.quantity),
        text(held),
        payload.source,
        row.ts_event,
    )
    if held != payload.quantity:
        state.anomaly(
            row.seq,
            "settled_quantity",
            f"the venue settled {payload.quantity}, the book held {held}",
        )


def convert(state: State, book: str, row: Row, payload: PositionsMerged | PositionsSplit) -> None:
    """Turn outcomes into cash or cash into outcomes: one movement a leg, at equal shares of the money."""
    merged = isinstance(payload, PositionsMerged)
    money = payload.proceeds if isinstance(payload, PositionsMerged) else payload.cost
    prices = leg_prices(money, payload.quantity, len(payload.instrument_ids))
    short = EXACT.subtract(EXACT.multiply(sum(prices, ZERO), payload.quantity), money)
    for leg, (instrument, price) in enumerate(zip(payload.instrument_ids, prices, strict=True)):
        last = leg == len(prices) - 1
        residue = (short if merged else -short) if last else ZERO
        move(
            state,
            Movement(
                row.seq,
                leg,
                Key(book, payload.strategy_id, payload.venue, instrument),
                "merge" if merged else "split",
                -payload.quantity if merged else payload.quantity,
                price,
                ONE,
                residue,
                payload.currency,
                state.versions.get((row.run_id, payload.strategy_id), ""),
                row.ts_event,
            ),
        )


def leg_prices(money: Decimal, quantity: Decimal, legs: int) -> list[Decimal]:
    """Return a price for each leg; all but the last are equal, the last takes the remainder."""
    if not quantity or not legs:
        return [ZERO] * legs
    unit = half_even_to(EXACT.divide(money, quantity), FEE_STEP)
    each = half_even_to(EXACT.divide(unit, Decimal(legs)), FEE_STEP)
    return [each] * (legs - 1) + [unit - each * (legs - 1)]


def void(state: State, key: Key) -> None:
    """Fold a position again without the movements that were voided since."""
    old = _held(state, key)
    del state.positions[key]
    state.run(f"DELETE FROM lots {_WHERE}", *key)
    state.run(f"DELETE FROM trades {_WHERE}", *key)
    state.run(f"DELETE FROM positions {_WHERE}", *key)
    state.add_totals(
        key.book,
        cost=-old.book.cost,
        pnl=-old.realized,
        fees=-old.fees,
        positions=-1 if old.book.quantity else 0,
    )
    for values in state.all(
        "SELECT seq, leg, how, quantity, price, multiplier, fee, currency, strategy_version, ts_ns "
        "FROM movements WHERE book = ? AND venue = ? AND instrument_id = ? AND voided = 0 "
        "AND (strategy_id = ? OR (strategy_id = '' AND how = 'settlement')) ORDER BY seq, leg",
        key.book,
        key.venue,
        key.instrument_id,
        key.strategy_id,
    ):
        seq, leg, how, quantity, price, multiplier, fee, currency, version, ts_ns = map(str, values)
        numbers = (Decimal(quantity), Decimal(price), Decimal(multiplier), Decimal(fee))
        fold(
            state,
            key,
            Movement(int(seq), int(leg), key, how, *numbers, currency, version, int(ts_ns)),
        )


def fold(state: State, key: Key, movement: Movement) -> None:
    """Apply a movement to the lots of one position and write what changed."""
    held, m = _held(state, key), movement
    before, cost_before = held.book.quantity, held.book.cost
    if m.how == SETTLEMENT:
        closures = held.book.close_all(m.seq, m.ts_ns, m.price)
    else:
        closures = held.book.trade(m.seq, m.ts_ns, m.quantity, m.price, m.fee, m.multiplier)
    held.currency = held.currency or m.currency
    lots = held.book.lots
    for c in closures:
        _write_trade(state, key, c, m.how, held.currency, held.versions[c.open_seq])
        if lots and lots[0].open_seq == c.open_seq:
            state.run(
                f"UPDATE lots SET quantity = ?, fee = ? {_WHERE} AND open_seq = ?",
                text(lots[0].quantity),
                text(lots[0].fee),
                *key,
                c.open_seq,
            )
        else:
            del held.versions[c.open_seq]
            state.run(f"DELETE FROM lots {_WHERE} AND open_seq = ?", *key, c.open_seq)
    if lots and lots[-1].open_seq == m.seq:
        lot = lots[-1]
        held.versions[m.seq] = m.strategy_version
        numbers = map(text, (lot.opened, lot.quantity, lot.price, lot.multiplier, lot.fee))
        state.run(
            "INSERT INTO lots VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *key,
            lot.open_seq,
            *numbers,
            m.currency,
            m.strategy_version,
            lot.opened_ns,
        )
    pnl = sum((c.pnl for c in closures), ZERO)
    held.realized += pnl
    held.fees += m.fee
    now, cost = held.book.quantity, held.book.cost
    state.run(
        "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        *key,
        text(now),
        text(cost),
        text(held.realized),
        text(held.fees),
        held.currency,
        m.seq,
        m.ts_ns,
    )
    opened = (1 if now else 0) - (1 if before else 0)
    state.add_totals(key.book, cost=cost - cost_before, pnl=pnl, fees=m.fee, positions=opened)


def _write_trade(state: State, key: Key, c: Closure, how: str, currency: str, version: str) -> None:
    """Write one closed lot or part of a lot."""
    numbers = (
        c.quantity,
        c.open_price,
        c.close_price,
        c.cost,
        c.proceeds,
        c.open_fee + c.close_fee,
        c.pnl,
    )
    state.run(
        "INSERT INTO trades VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        *key,
        c.open_seq,
        c.close_seq,
        how,
        *map(text, numbers),
        currency,
        version,
        c.opened_ns,
        c.closed_ns,
    )


def _held(state: State, key: Key) -> Held:
    """Return a position, read once and then kept in step with the tables."""
    cached = state.positions.get(key)
    if cached is not None:
        assert isinstance(cached, Held)
        return cached
    lots: list[Lot] = []
    versions: dict[int, str] = {}
    for values in state.all(
        "SELECT open_seq, opened_ns, opened, quantity, price, multiplier, fee, strategy_version "
        f"FROM lots {_WHERE} ORDER BY open_seq",
        *key,
    ):
        seq, opened_ns, opened, quantity, price, multiplier, fee, version = map(str, values)
        numbers = (
            Decimal(opened),
            Decimal(quantity),
            Decimal(price),
            Decimal(multiplier),
            Decimal(fee),
        )
        lots.append(Lot(int(seq), int(opened_ns), *numbers))
        versions[int(seq)] = version
    row = state.one(f"SELECT realized_pnl, fees, currency FROM positions {_WHERE}", *key)
    realized, fees, currency = map(str, row) if row else ("0", "0", "")
    held = Held(FifoBook(lots), versions, Decimal(realized), Decimal(fees), currency)
    state.positions[key] = held
    return held


def _record(state: State, m: Movement) -> None:
    """Keep a movement, so that a position can be folded again."""
    numbers = map(text, (m.quantity, m.price, m.multiplier, m.fee))
    state.run(
        "INSERT INTO movements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
        m.seq,
        m.leg,
        *m.key,
        m.how,
        *numbers,
        m.currency,
        m.strategy_version,
        m.ts_ns,
    )
