"""Trades that died with their node, in markets that resolved before the next start: rows first, then the payout."""

from dataclasses import replace
from decimal import Decimal

import pytest

from core.domain.decision import OrderIntent, TimeInForce
from core.domain.fees import Side
from core.engine.live.away import holdings, settle_away
from core.engine.live.bought import bought
from core.engine.live.journal import OrderJournal
from core.engine.live.memory import remember
from core.engine.live.missed import missed
from core.engine.live.netting import Shares
from core.ledger import DurableLedger
from core.ledger.kinds import OrderFilled, OrderIntended, Settled
from core.ledger.kinds.orders import OrderCanceled
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from tests.unit.core.engine.live.test_away import YES, market, paper
from tests.unit.core.engine.live.test_memory import START

D = Decimal


@pytest.fixture
def stand(tmp_path):
    """A ledger with a run, and a paper account that can buy fifteen shares at 40 and 41 cents."""
    ledger = DurableLedger(tmp_path / "ledger")
    ledger.begin_run(START, ts_event=1)
    port = paper(tmp_path, replace(market(), min_size=D(1)))
    port.on_levels(YES, True, [(False, D("0.40"), D(10)), (False, D("0.41"), D(5))])
    yield ledger, port
    ledger.close()
    port.store.close()


def order(cid="O-1", quantity=10, price="0.40", tif=TimeInForce.IOC, strategy="S-001"):
    return OrderIntent(
        client_order_id=cid, strategy_id=strategy, venue="POLYMARKET", instrument_id=YES,
        market_id="C", event_id="E", side=Side.BUY, quantity=D(quantity), price=D(price), tif=tif,
        ts_ns=2,
    )  # fmt: skip


def sent(stand, intent, *, written=False):
    """Write an intent and let its order arrive; its fills have rows or not."""
    ledger, port = stand
    ledger.append(OrderIntended.of(intent), ts_event=2)
    found = port._submit(intent, intent.price, 3)
    for fill in [port.fill(e) for e in port.exchange.executions] if written else []:
        journal = OrderJournal(ledger, lambda: 3, "POLYMARKET", "USD")
        journal.filled(fill, intent.client_order_id, intent.strategy_id)
    ledger.flush()
    return found


async def restarted(stand, tmp_path):
    """Do what a node does at its start for a market that has paid out YES; return rows and what is left to chase."""
    ledger, port = stand
    memory, held = remember(tmp_path / "ledger"), holdings(tmp_path / "ledger")
    resolved = [market(1, 0)]
    journal = OrderJournal(ledger, lambda: 4, "POLYMARKET", "USD", last=memory.rows)
    shares = Shares(bought(tmp_path / "ledger"), nets=False)
    held = await missed(resolved, memory, held, port, journal, shares)
    settle_away(resolved, memory, held, port, ledger, "USD", 5, (), shares)
    ledger.flush()
    rows = [r.decoded() for r in LedgerReader(tmp_path / "ledger").rows(Selection())]
    return rows, memory


def of(rows, kind):
    return [r for r in rows if isinstance(r, kind)]


async def test_a_trade_without_a_row_gets_one_before_the_payout_that_counts_it(stand, tmp_path):
    sent(stand, order())
    rows, memory = await restarted(stand, tmp_path)
    (fill,), (paid,) = of(rows, OrderFilled), of(rows, Settled)
    assert (fill.strategy_id, fill.quantity, paid.quantity) == ("S-001", D(10), D(10))
    assert rows.index(fill) < rows.index(paid)
    assert memory.leftovers == {} and fill.trade_id in memory.trades
    assert holdings(tmp_path / "ledger") == {}
    again, _ = await restarted(stand, tmp_path)
    assert len(of(again, OrderFilled)) == len(of(again, Settled)) == 1, "once"


async def test_only_the_part_that_is_missing_is_written(stand, tmp_path):
    sent(stand, order(quantity=10), written=True)
    sent(stand, order("O-2", quantity=8, price="0.41", strategy="T-001"))
    rows, memory = await restarted(stand, tmp_path)
    told = [(f.strategy_id, f.quantity) for f in of(rows, OrderFilled)]
    assert told == [("S-001", D(10)), ("T-001", D(5))]
    paid = [(p.strategy_id, p.quantity) for p in of(rows, Settled)]
    assert paid == told, "to each what is his"
    assert [c.client_order_id for c in of(rows, OrderCanceled)] == ["O-2"]
    assert memory.leftovers == {}


async def test_what_still_works_is_left_to_the_chase_but_not_its_trades(stand, tmp_path):
    sent(stand, order(quantity=12, tif=TimeInForce.GTC))
    rows, memory = await restarted(stand, tmp_path)
    assert [f.quantity for f in of(rows, OrderFilled)] == [D(10)]
    assert list(memory.leftovers) == ["O-1"] and not of(rows, OrderCanceled)


async def test_an_order_that_never_arrived_is_left_to_the_chase(stand, tmp_path):
    ledger, _ = stand
    ledger.append(OrderIntended.of(order()), ts_event=2)
    ledger.flush()
    rows, memory = await restarted(stand, tmp_path)
    assert list(memory.leftovers) == ["O-1"]
    assert not of(rows, OrderFilled) and not of(rows, Settled)
