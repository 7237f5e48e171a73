"""Orders that are over leave memory after 70 minutes; news of them later books nothing twice."""

import asyncio
import gc
import tracemalloc
from decimal import Decimal

import pytest

from adapters.polymarket import order_ids
from adapters.polymarket.executions import Executions
from adapters.polymarket.fees import PolymarketFeeBook
from adapters.polymarket.order_ids import KEEP_NS, OrderIds, SentOrder
from adapters.polymarket.registry import Registry
from adapters.polymarket.retention import Retention
from adapters.polymarket.schemas import TradeMsg
from core.domain.decision import TimeInForce
from core.domain.fees import Side
from core.ledger.kinds import OrderFilled
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from tests.conformance.rig import play
from tests.unit.core.engine.live.test_away import YES, market

D = Decimal
SECOND = 1_000_000_000
STEP_S = 10
HOUR_OF_ORDERS = KEEP_NS // SECOND // STEP_S


class Wallet:
    """Tables of a port, and a venue that fills each order whole."""

    def __init__(self, folder):
        self.now = 1_790_000_000 * SECOND
        registry = Registry()
        registry.put(market())
        self.ids = OrderIds(folder / "ids")
        self.executions = Executions(registry, self.ids, PolymarketFeeBook(), lambda: self.now)
        self.retention = Retention(self.ids, self.executions, self.now)

    def order_id(self, number):
        return f"0x{number:064x}"

    def trade(self, number, status, size="10"):
        return TradeMsg(
            id=f"T-{number}", market="C", asset_id="1", side="BUY", size=size, price="0.40", status=status,
            taker_order_id=self.order_id(number), trader_side="TAKER", owner="key",
        )  # fmt: skip

    def hear(self, number, status):
        """Take news of a trade like the port does."""
        found = self.executions.take(self.trade(number, status), "key")
        for item in found:
            self.retention.heard(item.venue_order_id, self.now)
        return found

    def order(self, number, *statuses):
        self.now += STEP_S * SECOND
        self.ids.write(
            SentOrder(
                self.order_id(number), f"O-{number}", YES, Side.BUY, D(10), D("0.40"), self.now
            )
        )
        self.executions.expect(self.order_id(number), D(10))
        for status in statuses:
            self.hear(number, status)
        self.retention.over(self.order_id(number), self.now)
        return self.retention.step(self.now)

    def sizes(self):
        e = self.executions
        tables = (
            self.ids._kept, self.ids._by_client, e._taken, e._final, e._expected, e._shares._total,
            e._shares._booked, e._shares._spent, self.retention._since,
        )  # fmt: skip
        return [len(table) for table in tables]


@pytest.fixture
def wallet(tmp_path, monkeypatch):
    monkeypatch.setattr(order_ids.os, "fsync", lambda fd: None)  # nothing here is about a power cut
    made = Wallet(tmp_path)
    yield made
    made.ids.close()


def test_memory_does_not_grow_with_twenty_thousand_orders(wallet):
    traced = {}
    for number in range(20_000):
        if number == 19_000 - HOUR_OF_ORDERS:
            tracemalloc.start()  # from here on every order that is kept is traced
        if number == 19_000:
            gc.collect()
            traced[number] = tracemalloc.get_traced_memory()[0]
        wallet.order(number, "MATCHED", "CONFIRMED")
    gc.collect()
    traced[20_000] = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert set(wallet.sizes()) == {HOUR_OF_ORDERS}
    assert len(wallet.ids._index._keys) == 2 * (20_000 - HOUR_OF_ORDERS)
    # 32 bytes an order in columns that grow by an eighth of what they hold, not 2,500
    assert traced[20_000] - traced[19_000] < 1_000 * 100, traced
    assert wallet.ids.of_client("O-17").order_id == wallet.order_id(17)


@pytest.mark.parametrize("status", ["MATCHED", "MINED", "CONFIRMED", "FAILED"])
def test_news_of_what_was_let_go_has_the_ids_of_the_first_time_and_is_let_go_again(wallet, status):
    wallet.order(1)
    (first,) = wallet.hear(1, "CONFIRMED")
    wallet.now += KEEP_NS
    wallet.order(2, "CONFIRMED")
    assert not wallet.ids.kept(wallet.order_id(1))
    (again,) = wallet.hear(1, status)
    assert (again.trade_id, again.venue_order_id) == (first.trade_id, first.venue_order_id)
    if status != "FAILED":
        assert (again.client_order_id, again.quantity) == ("O-1", D(10))
    wallet.now += KEEP_NS
    wallet.order(3, "CONFIRMED")
    if status in ("CONFIRMED", "FAILED"):
        assert wallet.sizes()[2:8] == [1, 1, 1, 1, 1, 1]


def test_an_order_with_a_trade_that_can_still_change_is_kept(wallet):
    wallet.order(1, "MINED")
    for _ in range(3):
        wallet.now += KEEP_NS
        assert wallet.retention.step(wallet.now) == []
    wallet.hear(1, "CONFIRMED")
    wallet.now += KEEP_NS
    assert wallet.retention.step(wallet.now) == [wallet.order_id(1)]


def test_an_order_whose_answer_spoke_of_more_than_trades_have_shown_is_kept(wallet):
    wallet.order(1)
    wallet.now += KEEP_NS
    assert wallet.retention.step(wallet.now) == []


def test_a_failed_trade_stays_failed(wallet):
    wallet.order(1, "MATCHED", "FAILED")
    wallet.now += KEEP_NS
    assert wallet.retention.step(wallet.now) == [wallet.order_id(1)]
    assert wallet.hear(1, "CONFIRMED") == []


def test_a_message_of_a_forgotten_order_fills_nothing_twice_in_gate_ledger_and_engine(tmp_path):
    heard = []

    async def script(stand, trader):
        take = stand.port.take_trade

        def taken(trade):
            heard.append(trade)
            take(trade)

        stand.port.take_trade = taken
        cid = await trader.send(stand.markets[0], Side.BUY, D(5), D("0.43"), TimeInForce.IOC)
        await asyncio.sleep(30.0)
        for _ in range(12):
            await asyncio.sleep(600.0)
            await stand.engine.check(stand.client)
        order_id = stand.port.ids.of_client(cid).order_id
        assert not stand.port.ids.kept(order_id)
        assert not stand.port.executions._shares._total and not stand.port._ended
        told = [t for t in heard if t.status.endswith("CONFIRMED")]
        assert told
        cash, held = stand.gate.cash("POLYMARKET"), dict(stand.gate.book.held)
        for trade in (*heard, *told):
            take(trade)
        await asyncio.sleep(120.0)
        await stand.engine.check(stand.client)
        assert (stand.gate.cash("POLYMARKET"), stand.gate.book.held) == (cash, held)
        assert not stand.halted

    play(tmp_path, "POLYMARKET", script)
    rows = LedgerReader(tmp_path / "ledger").rows(Selection(kinds=("order.filled",)))
    fills = [p for r in rows if isinstance(p := r.decoded(), OrderFilled)]
    assert len({f.trade_id for f in fills}) == len(fills)
    assert sum(f.quantity for f in fills) >= 5 and {f.strategy_id for f in fills} == {"Matrix-001"}
