"""Markets that resolve while no node runs: paid out in account and ledger, once, before trading begins."""

from decimal import Decimal

import pytest

from core.domain.fees import FeeSchedule, Side
from core.domain.grid import Band, TickGrid
from core.domain.market import Market, Outcome
from core.engine.live.away import holdings, settle_away
from core.engine.live.bought import bought
from core.engine.live.memory import remember
from core.engine.live.netting import Shares
from core.engine.paper.port import PaperPort
from core.engine.paper.store import PaperStore
from core.engine.venues import load_venue
from core.ledger import DurableLedger
from core.ledger.kinds import OrderFilled, RunMode, RunStarted, Settled
from core.ledger.kinds.money import PositionsMerged
from core.ledger.kinds.orders import FillVoided
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection

D = Decimal
YES, NO = "C-1.POLYMARKET", "C-2.POLYMARKET"


def market(*payouts):
    made = Market(
        venue="POLYMARKET",
        market_id="C",
        question="?",
        outcomes=(Outcome(YES, "Yes", "1"), Outcome(NO, "No", "2")),
        grid=TickGrid((Band(D(0), D(1), D("0.01")),)),
        fees=FeeSchedule("POLYMARKET", rate=D(0), exponent=D(1), kind="curve"),
        event_id="E",
    )
    return made.resolved_as(tuple(map(D, payouts))) if payouts else made


def fill(trade, quantity, side=Side.BUY, iid=YES):
    return OrderFilled(
        client_order_id="O-1", venue_order_id="v", trade_id=trade, strategy_id="S-001",
        venue="POLYMARKET", instrument_id=iid, side=side, quantity=D(quantity), price=D("0.40"),
        fee=D(0), currency="USD", liquidity="TAKER",
    )  # fmt: skip


@pytest.fixture
def ledger(tmp_path):
    made = DurableLedger(tmp_path / "ledger")
    made.begin_run(
        RunStarted(
            run_id="r", mode=RunMode.PAPER, config_sha256="", code_sha="", seed=0, strategies=(),
            data=(), capital=D(100), currency="USD",
        ),
        ts_event=1,
    )  # fmt: skip
    yield made
    made.close()


def write(ledger, *payloads):
    for payload in payloads:
        ledger.append_durable(payload, ts_event=2)


def test_what_is_held_is_bought_less_sold_merged_taken_back_and_paid_out(tmp_path, ledger):
    void = FillVoided(client_order_id="O-1", trade_id="t2", venue="POLYMARKET", reason="FAILED")
    pair = PositionsMerged(
        venue="POLYMARKET", instrument_ids=(YES, NO), quantity=D(1), proceeds=D(1), currency="USD"
    )
    write(
        ledger, fill("t1", 10), fill("t2", 5), void, fill("t3", 3, Side.SELL),
        fill("t1", 10), fill("n1", 4, iid=NO), pair,
    )  # fmt: skip
    assert holdings(tmp_path / "ledger") == {YES: D(6), NO: D(3)}
    paid = Settled(
        venue="POLYMARKET", instrument_id=YES, payout=D(1), quantity=D(6), currency="USD"
    )
    write(ledger, paid)
    assert holdings(tmp_path / "ledger") == {NO: D(3)}


def test_a_ledger_that_is_not_there_holds_nothing(tmp_path):
    assert holdings(tmp_path / "none") == {}


def paper(tmp_path, made):
    port = PaperPort(
        "POLYMARKET", load_venue("POLYMARKET").fee_book(), PaperStore(tmp_path / "paper.sqlite"),
        lambda: 3, capital=D(100), netted=False,
    )  # fmt: skip
    port.on_market(made)
    return port


async def test_a_paper_account_is_paid_once_and_the_ledger_gets_its_row(tmp_path, ledger):
    write(ledger, fill("t1", 10))
    port = paper(tmp_path, market())
    port.exchange.account.held[("C", "YES")] = 1_000
    port.exchange.account.cash -= 4_000_000
    for _ in range(2):  # and a second start pays nothing more
        memory = remember(tmp_path / "ledger")
        held = holdings(tmp_path / "ledger")
        left = settle_away([market(1, 0), open_one()], memory, held, port, ledger, "USD", now_ns=4)
        assert [m.market_id for m in left] == ["OPEN"]
        assert {YES, NO} <= memory.settled
        assert (await port.cash()).total == D(106)
        assert await port.positions() == []
        ledger.append_durable(fill("x", 1, iid="OTHER-1.POLYMARKET"), ts_event=5)
    rows = [
        r.decoded()
        for r in LedgerReader(tmp_path / "ledger").rows(Selection(kinds=("settlement",)))
    ]
    assert [(r.instrument_id, r.payout, r.quantity) for r in rows] == [(YES, D(1), D(10))]
    port.store.close()


def open_one():
    from dataclasses import replace

    made = market()
    outcomes = tuple(replace(o, instrument_id=f"OPEN-{o.instrument_id}") for o in made.outcomes)
    return replace(made, market_id="OPEN", outcomes=outcomes)


def test_a_pair_that_a_netting_venue_took_before_a_kill_is_written_at_the_next_start(
    ledger, tmp_path
):
    """Kalshi turned both into dollars; the node died between the fills and the row of the merge."""
    first = ledger.append(fill("1", "3"), ts_event=1)
    second = ledger.append(fill("2", "2", iid=NO), ts_event=2)
    ledger.flush()
    memory = remember(tmp_path / "ledger")
    held = holdings(tmp_path / "ledger")
    for nets in (False, True):
        shares = Shares(bought(tmp_path / "ledger"), nets=nets)
        settle_away([market()], memory, held, None, ledger, "USD", 9, (), shares)
        ledger.flush()
        rows = list(LedgerReader(tmp_path / "ledger").rows(Selection(kinds=("position.merged",))))
        assert len(rows) == nets
    merged = rows[0].decoded()
    assert (merged.quantity, merged.proceeds, merged.strategy_id) == (D(2), D(2), "S-001")
    assert rows[0].parent_seqs == (first, second)
    assert holdings(tmp_path / "ledger") == {YES: D(1)}
