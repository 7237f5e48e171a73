"""Free pairs of a strategy: final shares that no sale and no call has promised."""

from __future__ import annotations

from core.domain.fees import Side
from core.risk.pairs import free_by_market, promise, release
from core.risk.units import NANO
from tests.unit.core.risk.world import KNO, KYES, PNO, PYES, D, Desk, world

BOTH = (PNO, PYES)


def desk(*held: tuple[str, str, str]) -> Desk:
    made = Desk(world())
    for iid, quantity, strategy in held:
        made.hold(iid, quantity, strategy=strategy)
    return made


def test_a_pair_of_one_strategy_is_free_and_shares_of_two_are_no_pair() -> None:
    made = desk((PYES, "7", "S1"), (PNO, "5", "S1"), (PNO, "9", "S2"))
    assert free_by_market(made.gate, "POLYMARKET") == {"P1": (BOTH, D(5))}
    made = desk((PYES, "7", "S1"), (PNO, "9", "S2"))
    assert free_by_market(made.gate, "POLYMARKET") == {}


def test_what_nets_by_itself_or_was_paid_out_is_never_merged() -> None:
    made = desk((KYES, "5", "S1"), (KNO, "5", "S2"), (PYES, "5", "S1"), (PNO, "5", "S1"))
    assert free_by_market(made.gate, "KALSHI") == {}
    made.gate.on_settlement(PYES, D(1), 20)
    assert free_by_market(made.gate, "POLYMARKET") == {}


def test_a_resting_sale_and_a_fill_that_is_not_final_hold_pairs_back() -> None:
    made = desk((PYES, "20", "S1"), (PNO, "20", "S1"))
    assert made.send(PYES, "SELL", "6", "0.45").approved
    assert free_by_market(made.gate, "POLYMARKET") == {"P1": (BOTH, D(14))}
    made = desk((PYES, "20", "S1"))
    made.gate.on_fill(
        "", "T-p", D(20), D("0.5"), D(0), provisional=True, instrument_id=PNO, strategy_id="S1",
        side=Side.BUY,
    )  # fmt: skip
    assert free_by_market(made.gate, "POLYMARKET") == {}
    made.gate.on_confirmed("T-p")
    assert free_by_market(made.gate, "POLYMARKET") == {"P1": (BOTH, D(20))}


def test_a_promised_pair_cannot_be_sold_until_the_promise_is_taken_back() -> None:
    made = desk((PYES, "10", "S1"), (PNO, "8", "S1"), (PYES, "4", "S2"), (PNO, "4", "S2"))
    resting = [made.gate.book.resting(iid) for iid in BOTH]
    before = dict(made.gate.book.selling), [r.selling for r in resting]
    parts = promise(made.gate, BOTH, D(10))
    assert parts == (("S1", 8 * NANO), ("S2", 2 * NANO))
    assert made.gate.sellable("S1", PYES) == 2
    assert not made.send(PNO, "SELL", "5", "0.45").approved
    assert free_by_market(made.gate, "POLYMARKET") == {"P1": (BOTH, D(2))}
    release(made.gate, BOTH, parts)
    assert (made.gate.book.selling, [r.selling for r in resting]) == before
    assert made.send(PNO, "SELL", "5", "0.45").approved
