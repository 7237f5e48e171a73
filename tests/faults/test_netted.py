"""Kalshi nets the account: what filled while the node was dead, or by hand, is dollars in every book, and nothing halts."""

import asyncio
from decimal import Decimal

import pytest

from adapters.fake.faults import Fault, FaultKind
from adapters.fake.matrix.cases import CREATE
from adapters.fake.matrix.lives import PowerCut
from adapters.fake.matrix.script import Trader, quiesce
from adapters.fake.matrix.stand import CAPITAL, Stand
from adapters.fake.matrix.virtual import run_virtual
from adapters.kalshi.port import KalshiPort
from core.domain.decision import TimeInForce
from core.domain.fees import Side
from core.engine.live.assembly import live_gate
from core.engine.live.context import EXTERNAL
from core.engine.paper.exchange import FakeOrder
from core.ledger.kinds import PositionsMerged
from core.ledger.projections import Projections
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from core.risk.projection import rebuild

D = Decimal
MINE = "Matrix-001"
BUY, IOC, GTC = Side.BUY, TimeInForce.IOC, TimeInForce.GTC


def live(tmp_path, script, faults=()):
    """Run `script(stand, trader)` with the account compared all the time; return the stand, closed and at rest."""

    async def work(loop):
        stand = Stand(loop, tmp_path, "KALSHI", faults, {})
        stand.cut = PowerCut(stand, (), ())
        await stand.open()
        stand.cut.install()
        await script(stand, Trader(stand))
        stand.watch_account()
        await asyncio.sleep(60.0)
        assert not stand.halted, stand.halted
        assert stand.audit.looks >= 20
        assert await quiesce(stand)
        await stand.close()
        return stand

    return run_virtual(work)


async def killed(stand, meanwhile):
    """Kill the client, let the venue go on, begin again."""
    stand.cut.dead = True
    stand.ledger.power.cut(True)
    stand.cut.cuts.append("killed")
    meanwhile()
    await stand.rise(1.0)


def rows(stand):
    found = LedgerReader(stand.root / "ledger").rows(Selection())
    return [p for r in found if isinstance(p := r.decoded(), PositionsMerged)]


def equal_books(stand):
    """Compare venue, gate, ledger, projection (also when folded anew) and a gate made of the rows; return shares by owner."""
    market = stand.markets[0]
    names = {"YES": stand.instrument(market, 0), "NO": stand.instrument(market, 1)}
    truth = {names[n]: D(q) / 100 for (_, n), q in stand.exchange.account.positions().items()}
    cash = D(stand.exchange.account.cash) / 1_000_000
    stored = [(r.ts_event, r.decoded()) for r in LedgerReader(stand.root / "ledger").rows(Selection())]  # fmt: skip
    fresh = live_gate(["KALSHI"], stand.markets)
    fresh.on_strategy(MINE)
    fresh.on_cash("KALSHI", CAPITAL)
    again = rebuild(fresh, stored)
    for gate in (stand.gate, again):
        assert {i: gate.position(o, i) for o, i in gate.book.holdings} == truth
        assert gate.cash("KALSHI") == cash
    with Projections(stand.root / "ledger") as projections:
        projections.catch_up()
        held = {
            (str(p["strategy_id"]), str(p["instrument_id"])): D(str(p["quantity"]))
            for p in projections.query("SELECT strategy_id, instrument_id, quantity FROM positions")
        }
        held = {key: q for key, q in held.items() if q}
        assert {iid: q for (_, iid), q in held.items()} == truth
        told = {str(a["code"]) for a in projections.query("SELECT * FROM anomalies")}
        assert told <= {"fill_without_intent"}, told
        digest = projections.content_sha256()
        assert projections.rebuild() == digest
    return {(o, names_of(names, i)): q for (o, i), q in held.items()}


def names_of(names, iid):
    return next(n for n, i in names.items() if i == iid)


def trade(stand, price, contracts, aggressor):
    """Let others trade through the level and through our order there."""
    stand.trade(stand.markets[0].market_id, price, int(contracts * 100), aggressor)


async def yes_and_a_bid_for_no(stand, trader):
    """Hold five YES with a bid for three NO resting at 0.57 (the book's ask at 0.43)."""
    assert await trader.send(stand.markets[0], BUY, D(3), D("0.57"), GTC, outcome=1)
    await asyncio.sleep(1.0)
    assert await trader.send(stand.markets[0], BUY, D(5), D("0.42"), IOC)
    await asyncio.sleep(2.0)


def test_the_opposite_leg_that_fills_while_the_node_is_dead_is_netted_at_its_start(tmp_path):
    async def script(stand, trader):
        await yes_and_a_bid_for_no(stand, trader)
        await killed(stand, lambda: trade(stand, 4300, 60, "bid"))

    stand = live(tmp_path, script)
    (merged,) = rows(stand)
    assert (merged.strategy_id, merged.quantity, merged.proceeds) == (MINE, 3, 3)
    assert equal_books(stand) == {(MINE, "YES"): 2}


def test_both_legs_that_fill_while_the_node_is_dead_are_netted_at_its_start(tmp_path):
    async def script(stand, trader):
        assert await trader.send(stand.markets[0], BUY, D(3), D("0.57"), GTC, outcome=1)
        assert await trader.send(stand.markets[0], BUY, D(5), D("0.38"), GTC)
        await asyncio.sleep(2.0)

        def others():
            trade(stand, 4300, 60, "bid")
            trade(stand, 3800, 100, "ask")

        await killed(stand, others)

    stand = live(tmp_path, script)
    assert [(m.quantity, m.proceeds) for m in rows(stand)] == [(3, 3)]
    assert equal_books(stand) == {(MINE, "YES"): 2}


def test_the_opposite_leg_that_fills_while_the_node_starts_is_netted_in_gate_and_ledger(
    tmp_path, monkeypatch
):
    """The account is read before it, the start's reports come after it."""
    connect, lives = KalshiPort.connect, []

    async def slowly(self, news):
        lives.append(1)
        if len(lives) == 2:
            await asyncio.sleep(4.0)
        await connect(self, news)

    monkeypatch.setattr(KalshiPort, "connect", slowly)

    async def script(stand, trader):
        assert await trader.send(stand.markets[0], BUY, D(3), D("0.60"), IOC, outcome=1)
        await asyncio.sleep(0.1)
        assert await trader.send(stand.markets[0], BUY, D(5), D("0.42"), IOC)
        await asyncio.sleep(0.6)
        await killed(stand, lambda: None)

    late = Fault(FaultKind.DELAY, match=CREATE["KALSHI"], at=0, seconds=4.0)
    stand = live(tmp_path, script, [late])
    assert [(m.quantity, m.proceeds) for m in rows(stand)] == [(3, 3)]
    assert equal_books(stand) == {(MINE, "YES"): 2}


def by_hand(stand, contracts, price=4000):
    """Sell YES (or buy NO, the venue knows no difference) on the venue's own page."""
    order = FakeOrder(
        order_id="", client_order_id="", market=stand.markets[0].market_id, side="ask", outcome="YES",
        price=price, quantity=contracts * 100, tif="IOC", post_only=False, created_ns=stand.loop.time_ns(),
    )  # fmt: skip
    stand.exchange.submit(order, stand.loop.time_ns())


@pytest.mark.parametrize("dead", [False, True])
def test_shares_that_are_closed_by_hand_at_the_venue_are_dollars_and_nothing_halts(tmp_path, dead):
    async def script(stand, trader):
        assert await trader.send(stand.markets[0], BUY, D(5), D("0.42"), IOC)
        await asyncio.sleep(2.0)
        if dead:
            await killed(stand, lambda: by_hand(stand, 3))
        else:
            by_hand(stand, 3)
            await asyncio.sleep(30.0)

    stand = live(tmp_path, script)
    assert equal_books(stand) == {(MINE, "YES"): 2}
    found = {
        (m.strategy_id, m.instrument_ids[0][-10:], m.quantity, m.proceeds) for m in rows(stand)
    }
    assert found == {
        (EXTERNAL, "-NO.KALSHI", D(3), D("1.80")), (MINE, "YES.KALSHI", D(3), D("1.20")),
    }  # fmt: skip


def test_more_by_hand_than_is_held_leaves_the_rest_of_the_other_side(tmp_path):
    async def script(stand, trader):
        assert await trader.send(stand.markets[0], BUY, D(5), D("0.42"), IOC)
        await asyncio.sleep(2.0)
        by_hand(stand, 9)
        await asyncio.sleep(30.0)

    assert equal_books(live(tmp_path, script)) == {(EXTERNAL, "NO"): 4}
