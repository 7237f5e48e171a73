"""What a node gives back to its strategies after a restart: shares as the gate has them, cost and age from the ledger."""

from decimal import Decimal

import pytest

from core.domain.fees import Side
from core.engine.adopted import Adopted
from core.engine.live.bought import bought
from core.ledger import DurableLedger
from core.ledger.kinds import OrderFilled, Settled
from core.ledger.kinds.money import PositionsMerged, PositionsSplit
from core.ledger.kinds.orders import FillVoided

D = Decimal
YES, NO = "C-1.POLYMARKET", "C-2.POLYMARKET"


@pytest.fixture
def ledger(tmp_path):
    made = DurableLedger(tmp_path / "ledger", on_halt=lambda why: None)
    yield made
    made.close()


def fill(trade_id, quantity, price="0.40", side=Side.BUY, iid=YES, fee="0", strategy="S-001"):
    return OrderFilled(
        client_order_id=f"O-{trade_id}", venue_order_id="v", trade_id=trade_id, strategy_id=strategy,
        venue="POLYMARKET", instrument_id=iid, side=side, quantity=D(quantity), price=D(price),
        fee=D(fee), currency="USD",
    )  # fmt: skip


def written(ledger, *payloads):
    for number, payload in enumerate(payloads, 1):
        ledger.append_durable(payload, ts_event=number)


def test_bought_twice_and_sold_once_costs_the_average_with_its_fees(tmp_path, ledger):
    written(
        ledger, fill("a", 10, fee="0.10"), fill("b", 10, "0.50", fee="0.10"), fill("a", 10),
        fill("c", 5, "0.90", Side.SELL, fee="0.05"),
    )  # fmt: skip
    assert bought(tmp_path / "ledger").held == {("S-001", YES): Adopted(D(15), D("6.90"), 1)}


def test_what_is_sold_out_begins_anew(tmp_path, ledger):
    written(ledger, fill("a", 10), fill("b", 10, "0.5", Side.SELL), fill("c", 4, "0.30"))
    assert bought(tmp_path / "ledger").held == {("S-001", YES): Adopted(D(4), D("1.20"), 3)}


def test_a_trade_taken_back_was_never_paid(tmp_path, ledger):
    void = FillVoided(client_order_id="O-a", trade_id="a", venue="POLYMARKET", reason="FAILED")
    written(ledger, fill("a", 10), void)
    assert bought(tmp_path / "ledger").held == {}


def test_strategies_keep_apart_and_a_payout_ends_its_own(tmp_path, ledger):
    paid = Settled(
        venue="POLYMARKET", instrument_id=YES, payout=D(1), quantity=D(1), currency="USD",
        strategy_id="S-001",
    )  # fmt: skip
    written(ledger, fill("a", 1), fill("b", 2, strategy="T-002"), paid)
    assert bought(tmp_path / "ledger").held == {("T-002", YES): Adopted(D(2), D("0.80"), 2)}


def test_merged_pairs_are_gone_and_split_ones_are_there(tmp_path, ledger):
    told = {"venue": "POLYMARKET", "instrument_ids": (YES, NO), "currency": "USD"}
    written(
        ledger, fill("a", 10), fill("b", 10, "0.50", iid=NO),
        PositionsMerged(quantity=D(4), proceeds=D(4), **told),
        PositionsSplit(quantity=D(2), cost=D(2), strategy_id="S-001", **told),
    )  # fmt: skip
    found = bought(tmp_path / "ledger").held
    assert found["S-001", YES] == Adopted(D(8), D("3.40"), 1)
    assert found["S-001", NO] == Adopted(D(8), D("4.00"), 2)


def test_no_ledger_has_bought_nothing(tmp_path):
    assert bought(tmp_path / "none").held == {}
