"""`news.heard`: after which market data a node booked a fill or the end of an order, and after which its strategy heard."""

from decimal import Decimal

import pytest

from core.domain.fees import Role, Side
from core.engine.journal import Causes
from core.engine.live.hearing import MOST_WAITING, Hearing
from core.engine.live.journal import OrderJournal
from core.engine.live.port import VenueFill
from core.engine.session import Moments
from core.ledger import DurableLedger
from core.ledger.kinds import NewsHeard
from core.ledger.reader import LedgerReader
from tests.unit.core.ledger.rows_for_tests import started


class Clock:
    def timestamp_ns(self):
        return 77


@pytest.fixture
def node(tmp_path):
    ledger = DurableLedger(tmp_path / "ledger")
    ledger.begin_run(started(), ts_event=1)
    moments, causes = Moments(), Causes()
    causes.hearing = Hearing(ledger, moments)
    yield ledger, moments, causes, OrderJournal(ledger, lambda: 3, "KALSHI", "USD", causes)
    ledger.close()


def fill(trade_id):
    return VenueFill(
        trade_id=trade_id, venue_order_id="v", client_order_id="A", instrument_id="I", side=Side.BUY,
        quantity=Decimal(1), price=Decimal("0.5"), fee=Decimal(0), role=Role.TAKER, ts_ns=2,
    )  # fmt: skip


def heard(ledger, tmp_path):
    ledger.flush()
    rows = list(LedgerReader(tmp_path / "ledger").rows())
    by_seq = {row.seq: row for row in rows}
    return [
        (by_seq[row.parent_seqs[0]].name, told.booked_after_ns, told.heard_after_ns, row.ts_event)
        for row in rows
        if isinstance(told := row.decoded(), NewsHeard)
    ]


def test_market_data_between_booking_and_hearing_is_on_record(node, tmp_path):
    ledger, moments, causes, journal = node
    moments.clock, moments.last_ns = Clock(), 10
    journal.filled(fill("t1"), "A", "S-001")
    moments.last_ns = 12
    journal.filled(fill("t2"), "A", "S-001")
    journal.denied("B", "RISK: no")
    causes.hearing.told("A", "t1")
    moments.last_ns = 15
    causes.hearing.told("A", "t2")
    causes.hearing.told("A", "t2")  # once
    causes.hearing.told("B")
    causes.hearing.told("unknown")
    assert heard(ledger, tmp_path) == [
        ("order.filled", 10, 12, 77),
        ("order.filled", 12, 15, 77),
        ("order.denied", 12, 15, 77),
    ]


def test_news_that_nobody_hears_of_is_forgotten(node):
    _, _, causes, _ = node
    for seq in range(MOST_WAITING + 50):
        causes.hearing.booked(f"o{seq}", "", seq)
    assert len(causes.hearing._waiting) == MOST_WAITING


def test_before_there_is_a_clock_nothing_is_written(node, tmp_path):
    ledger, _, causes, journal = node
    journal.filled(fill("t1"), "A", "S-001")
    causes.hearing.told("A", "t1")
    assert heard(ledger, tmp_path) == []
