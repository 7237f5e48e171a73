"""An order that is over comes back from its bytes as it was."""

from __future__ import annotations

import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.model import ClientOrderId

from core.domain.decision import OrderIntent, TimeInForce
from core.domain.fees import Side
from core.engine.journal import OrderRecord
from core.engine.live.assembly import references_of
from core.engine.live.journal import LiveJournal
from core.engine.live.over import packed, unpacked
from core.engine.results import FillRow
from tests.integration.kalshi_session import market

MARKET = market("KXTEST-26NOV21-A", 0)
REFERENCES = references_of([MARKET])
AMOUNT = st.decimals(min_value=0, max_value=10**12, allow_nan=False, allow_infinity=False)
TEXT = st.text(max_size=30)


@st.composite
def records(draw: st.DrawFn) -> OrderRecord:
    """Orders that are over, of any terms."""
    outcome = draw(st.sampled_from(MARKET.outcomes))
    cid, ref = (
        draw(st.text(min_size=1, max_size=36, alphabet="abcO-0123")),
        REFERENCES[outcome.instrument_id],
    )
    intent = OrderIntent(
        cid, draw(TEXT), MARKET.venue, ref.iid, MARKET.market_id, MARKET.event_id, draw(st.sampled_from(Side)),
        draw(AMOUNT), draw(st.none() | AMOUNT), draw(st.sampled_from(TimeInForce)), draw(st.integers(0, 2**62)),
        draw(st.booleans()), draw(st.booleans()), draw(st.integers(0, 2**62)), draw(TEXT),
    )  # fmt: skip
    return OrderRecord(
        intent, ref, draw(AMOUNT), ClientOrderId(cid), draw(AMOUNT), draw(st.none() | AMOUNT), draw(TEXT), draw(TEXT),
        False, None, draw(st.integers(0, 9)), draw(AMOUNT), draw(AMOUNT),
    )  # fmt: skip


@given(records())
def test_an_order_comes_back_as_it_was(record: OrderRecord) -> None:
    body = packed(record)
    again = unpacked(record.intent.client_order_id, body, REFERENCES)
    for name in OrderRecord.__struct_fields__:
        assert getattr(again, name) == getattr(record, name), name
    assert str(again.quantity) == str(record.quantity), "with all its digits"


def record(cid: str, *, is_open: bool = False) -> OrderRecord:
    """An ordinary order that is over."""
    ref = REFERENCES[MARKET.outcomes[0].instrument_id]
    intent = OrderIntent(
        cid, "Churn-001", MARKET.venue, ref.iid, MARKET.market_id, MARKET.event_id, Side.BUY, Decimal(1),
        Decimal("0.42"), TimeInForce.IOC, 1_790_000_000_000_000_000, reason="churn",
    )  # fmt: skip
    native = ClientOrderId(cid)
    return OrderRecord(
        intent, ref, Decimal(1), native, Decimal(1), Decimal("0.42"), "FILLED", "", is_open
    )


@pytest.fixture
def journal() -> LiveJournal:
    """A journal without a ledger."""
    return LiveJournal(None, {"KALSHI": "USD"}, lambda cid, seq: None)  # type: ignore[arg-type]


def test_a_node_keeps_counts_and_less_than_half_a_kilobyte_of_an_order_that_is_over(
    journal: LiveJournal,
) -> None:
    one = record("O-20261121-140000-001-001-1")
    journal.sent(one, None, None)
    assert list(journal.orders) == ["O-20261121-140000-001-001-1"] and not journal.arrivals
    fill = FillRow(
        1, "O-20261121-140000-001-001-1", "Churn-001", "KALSHI", MARKET.market_id, one.ref.iid, "BUY", "taker",
        Decimal("0.42"), Decimal(1), Decimal("0.02"), "kalshi.as_charged", "churn",
    )  # fmt: skip
    journal.fill(one, fill, "t-1", "v-1")
    assert (journal.asked, journal.filled, journal.fees) == (1, 1, Decimal("0.02"))
    assert not journal.fills and one.filled == 1
    journal.forget("O-20261121-140000-001-001-1")
    assert not journal.orders
    assert sum(map(sys.getsizeof, next(iter(journal._over.items())))) < 400
    journal.recall("O-20261121-140000-001-001-1", REFERENCES)
    assert journal.orders["O-20261121-140000-001-001-1"].filled == 1 and not journal._over


def test_an_order_that_is_open_or_unknown_is_not_forgotten(journal: LiveJournal) -> None:
    journal.sent(record("works", is_open=True), None, None)
    journal.forget("works")
    journal.forget("never")
    journal.recall("never", REFERENCES)
    assert list(journal.orders) == ["works"] and not journal._over
