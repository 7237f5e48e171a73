"""What a restart finds in the ledger about changes, voids and bars."""

from decimal import Decimal

from msgspec.structs import replace

from core.domain.fees import Side
from core.engine.live.memory import SENT_BACK_NS, remember
from core.engine.live.port import SentOrder
from core.ledger import DurableLedger
from core.ledger.kinds import OrderFilled, OrderIntended, Resumed, RunMode, RunStarted
from core.ledger.kinds.orders import (
    FillConfirmed,
    FillVoided,
    OrderModified,
    OrderModifyRejected,
    OrderModifyRequested,
    OrderModifyUnknown,
)

D = Decimal
START = RunStarted(
    run_id="r", mode=RunMode.LIVE, config_sha256="", code_sha="", seed=0, strategies=(), data=(),
    capital=D(100), currency="USD",
)  # fmt: skip
INTENT = OrderIntended(
    client_order_id="O-1", strategy_id="S-001", venue="POLYMARKET", instrument_id="I",
    market_id="M", event_id="", side=Side.BUY, quantity=D(5), price=D("0.4"), tif="GTC",
)  # fmt: skip


def fill(trade="T-1", quantity="5", provisional=True):
    return OrderFilled(
        client_order_id="O-1", venue_order_id="V", trade_id=trade, strategy_id="S-001",
        venue="POLYMARKET", instrument_id="I", side=Side.BUY, quantity=D(quantity),
        price=D("0.4"), fee=D(0), currency="USD", provisional=provisional,
    )  # fmt: skip


def remembered(tmp_path, *payloads, resumed_ns=0):
    ledger = DurableLedger(tmp_path)
    ledger.begin_run(START, ts_event=1)
    for at, payload in enumerate(payloads, 10):
        ledger.append(payload, ts_event=at)
    ledger.close()
    return remember(tmp_path, resumed_ns)


def test_the_last_orders_with_an_id_at_the_venue_are_known_with_the_price_they_were_signed_with(
    tmp_path,
):
    ledger = DurableLedger(tmp_path)
    ledger.begin_run(START, ts_event=1)
    signed = replace(INTENT, venue_order_id="0xa", limit=None)
    ledger.append(INTENT, ts_event=5)
    for at, cid in ((10, "O-1"), (20, "O-2"), (SENT_BACK_NS + 20, "O-3")):
        ledger.append(replace(signed, client_order_id=cid, venue_order_id=cid), ts_event=at)
    market = replace(signed, client_order_id="O-4", price=None, limit=D("0.41"), tif="IOC")
    ledger.append(market, ts_event=SENT_BACK_NS + 20)
    ledger.close()
    last = remember(tmp_path).sent
    assert [o.client_order_id for o in last] == ["O-2", "O-3", "O-4"]
    at = SENT_BACK_NS + 20
    assert last[-1] == SentOrder("0xa", "O-4", "I", Side.BUY, D(5), D("0.41"), at, False, 0, "IOC")


VOID = FillVoided(client_order_id="O-1", trade_id="T-1", venue="POLYMARKET", reason="FAILED")


def test_a_void_bars_its_market_and_a_resume_lifts_it(tmp_path):
    memory = remembered(tmp_path / "a", INTENT, fill(), VOID)
    assert memory.barred == {"M": "trade T-1 was taken back"}
    resumed = Resumed(source="operator", reason="looked")
    assert remembered(tmp_path / "b", INTENT, fill(), VOID, resumed).barred == {}
    assert remembered(tmp_path / "c", INTENT, fill(), VOID, resumed_ns=99).barred == {}
    assert remembered(tmp_path / "d", INTENT, fill(), VOID, resumed_ns=11).barred


def test_fills_that_are_not_final_are_known_until_they_are(tmp_path):
    assert remembered(tmp_path / "a", INTENT, fill()).provisional == {"T-1": "O-1"}
    final = FillConfirmed(client_order_id="O-1", trade_id="T-1", venue="POLYMARKET")
    assert remembered(tmp_path / "b", INTENT, fill(), final).provisional == {}
    assert remembered(tmp_path / "c", INTENT, fill(provisional=False)).provisional == {}


def test_an_order_whose_change_was_not_answered_can_still_be_as_large_as_either(tmp_path):
    asked = OrderModifyRequested(client_order_id="O-1", quantity=D(8), price=D("0.4"))
    unknown = OrderModifyUnknown(client_order_id="O-1", reason="no answer")
    open_ = remembered(tmp_path / "a", INTENT, asked, unknown, fill()).leftovers["O-1"]
    assert (open_.quantity, open_.filled) == (D(8), D(5)), "three more may have filled"
    rejected = OrderModifyRejected(client_order_id="O-1", reason="it never arrived")
    assert not remembered(tmp_path / "b", INTENT, asked, unknown, rejected, fill()).leftovers
    made = OrderModified(client_order_id="O-1", quantity=D(8), price=D("0.4"))
    assert remembered(tmp_path / "c", INTENT, asked, made, fill()).leftovers["O-1"].quantity == D(8)


def test_an_order_filled_whole_while_a_change_was_open_ends_with_the_answer(tmp_path):
    larger = OrderModifyRequested(client_order_id="O-1", quantity=D(8), price=D("0.4"))
    refused = OrderModifyRejected(client_order_id="O-1", reason="not_found")
    assert remembered(tmp_path / "a", INTENT, larger, fill()).leftovers
    assert not remembered(tmp_path / "b", INTENT, larger, fill(), refused).leftovers
    smaller = OrderModifyRequested(client_order_id="O-1", quantity=D(3), price=D("0.4"))
    made = OrderModified(client_order_id="O-1", quantity=D(3), price=D("0.4"))
    part = fill(quantity="3")
    assert remembered(tmp_path / "c", INTENT, smaller, part).leftovers
    assert not remembered(tmp_path / "d", INTENT, smaller, part, made).leftovers
