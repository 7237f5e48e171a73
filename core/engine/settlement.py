"""Resolution of an outcome: holdings become cash, once, in the order of the strategies.

The engine settles its own legs when it meets the `InstrumentClose` in the data, in an order of its own; this
runs right after, on the feed's callback, and is what the gate, the result and the strategies see.
"""

from __future__ import annotations

from decimal import Decimal

from core.engine.references import InstrumentRef
from core.engine.results import SettlementRow
from core.engine.session import Session


def settle(session: Session, ref: InstrumentRef, payout: Decimal, ts_ns: int) -> None:
    """Pay out `ref`; a second settlement of the same outcome pays nothing."""
    if ref.iid in session.payouts:
        return
    session.payouts[ref.iid] = payout
    gate = session.gate
    held = [
        (strategy, quantity)
        for strategy in session.strategies
        if (quantity := gate.position(strategy._bt_sid, ref.iid)) > 0
    ]
    if ref.venue in session.fee_books:  # a venue that is only watched has no holdings to pay out
        gate.on_settlement(ref.iid, payout, ts_ns)
    session.last_price[ref.iid] = payout
    for strategy, quantity in held:
        row = SettlementRow(
            ts_ns,
            ref.market.market_id,
            ref.iid,
            payout,
            quantity,
            payout * quantity,
            strategy._bt_sid,
        )
        session.journal.settlement(row, ref)
    if held:
        session.sample(ts_ns)
        session.keep_account(ts_ns)
    if ts_ns < session.begin_ns:
        return  # books are still being built up: no author has started, and nothing is held
    for strategy in session.strategies:
        strategy.tell_settlement(ref.iid, payout)
