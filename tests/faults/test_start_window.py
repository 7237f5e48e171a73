"""A fill that lands between the reading of the account and the start's reports is in every book once."""

import asyncio
from decimal import Decimal

import pytest

from adapters.fake.faults import Fault, FaultKind
from adapters.fake.matrix.cases import CREATE
from adapters.fake.matrix.compare import compare
from adapters.fake.matrix.lives import PowerCut
from adapters.fake.matrix.script import Trader, quiesce
from adapters.fake.matrix.stand import Stand
from adapters.fake.matrix.virtual import run_virtual
from adapters.kalshi.port import KalshiPort
from adapters.polymarket.port import PolymarketPort
from core.domain.decision import TimeInForce
from core.domain.fees import Side

D = Decimal


def second_life(tmp_path, venue, arrives_s, before_connect_s=0.0, monkeypatch=None):
    """Kill the client while an order is on its way, begin again at once, and compare the books at rest."""
    port = {"KALSHI": KalshiPort, "POLYMARKET": PolymarketPort}[venue]
    connect, lives = port.connect, []

    async def slowly(self, news):
        lives.append(1)
        if len(lives) == 2:
            await asyncio.sleep(before_connect_s)
        await connect(self, news)

    monkeypatch.setattr(port, "connect", slowly)

    async def work(loop):
        late = Fault(FaultKind.DELAY, match=CREATE[venue], at=1, seconds=arrives_s)
        stand = Stand(loop, tmp_path, venue, [late], {})
        stand.cut = PowerCut(stand, (), ())
        await stand.open()
        stand.cut.install()
        trader = Trader(stand)
        await trader.send(stand.markets[1], Side.BUY, D(5), D("0.43"))
        await asyncio.sleep(3.0)
        await trader.send(stand.markets[0], Side.BUY, D(7), D("0.43"), TimeInForce.IOC)
        await asyncio.sleep(0.2)
        stand.cut.dead = True
        stand.ledger.power.cut(True)
        stand.cut.cuts.append("killed")
        await stand.rise(0.1)
        iid = stand.instrument(stand.markets[0])
        held = stand.gate.position("Matrix-001", iid)
        assert await quiesce(stand)
        stand.client.refresh_cash()
        await asyncio.sleep(1.0)
        await stand.close()
        assert compare(stand, trader).broken == []
        return held, stand.halted

    return run_virtual(work)


@pytest.mark.parametrize("venue", ["KALSHI", "POLYMARKET"])
def test_a_fill_between_adoption_and_the_start_reports_is_in_the_gate(tmp_path, venue, monkeypatch):
    held, halted = second_life(tmp_path, venue, 2.0, 4.0, monkeypatch)
    assert held >= D(7), "known to the gate when trading begins"
    assert not halted


@pytest.mark.parametrize("venue", ["KALSHI", "POLYMARKET"])
@pytest.mark.parametrize("arrives_s", [0.21, 0.3, 0.305, 0.31, 0.35])
def test_a_fill_at_any_moment_of_the_start_is_booked_once(tmp_path, venue, arrives_s, monkeypatch):
    second_life(tmp_path, venue, arrives_s, 0.0, monkeypatch)


@pytest.mark.parametrize("venue", ["KALSHI", "POLYMARKET"])
def test_a_fill_while_the_account_is_read_has_it_read_again(tmp_path, venue, monkeypatch):
    reads = []
    port = {"KALSHI": KalshiPort, "POLYMARKET": PolymarketPort}[venue]
    positions = port.positions

    async def slow(self):
        found = await positions(self)
        reads.append(found)
        if len(reads) == 1:
            await asyncio.sleep(
                4.0
            )  # the order lands after positions were read, before the cash is
        return found

    monkeypatch.setattr(port, "positions", slow)
    held, _ = second_life(tmp_path, venue, 2.0, 0.0, monkeypatch)
    assert held >= D(7)
    assert len(reads) >= 2
