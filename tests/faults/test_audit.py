"""The gate's holdings and cash beside the venue's: what differs is told, counted, and halts when it lasts."""

import asyncio
from decimal import Decimal

import pytest

from adapters.fake.matrix.run import run_one
from core.domain.decision import TimeInForce
from core.domain.fees import Side
from core.engine.live.audit import Audit
from core.ledger.kinds import AccountDiffers, PositionsMerged, Transferred
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from tests.conformance.rig import VENUES, play

D = Decimal
BUY, IOC = Side.BUY, TimeInForce.IOC


def audited(tmp_path, venue, script):
    """Run a script with the comparison going on; return what it wrote."""
    slow = {"mine_s": 1.0, "confirm_s": 1.0} if venue == "POLYMARKET" else {}

    async def work(stand, trader):
        stand.audit = Audit(stand.client, every_s=5.0, confirm_s=3.0)
        task = asyncio.get_running_loop().create_task(stand.audit.run())
        try:
            await trader.send(stand.markets[0], BUY, D(5), D("0.42"), IOC)
            await asyncio.sleep(20.0)
            await script(stand, trader)
        finally:
            task.cancel()

    play(tmp_path, venue, work, at_rest=False, options=slow)
    rows = LedgerReader(tmp_path / "ledger").rows(Selection())
    kinds = (AccountDiffers, Transferred)
    return [p for r in rows if isinstance(p := r.decoded(), kinds)]


def halts(tmp_path):
    """Return each halt row with the kinds of the rows it names."""
    rows = {r.seq: r for r in LedgerReader(tmp_path / "ledger").rows(Selection())}
    found = [(r.decoded(), r.parent_seqs) for r in rows.values() if r.name == "halt"]
    return [(p, [rows[s].name for s in seqs]) for p, seqs in found]


@pytest.mark.parametrize("venue", VENUES)
def test_equal_books_say_nothing(tmp_path, venue):
    async def script(stand, trader):
        await trader.send(stand.markets[0], BUY, D(5), D("0.38"), TimeInForce.GTC)
        await asyncio.sleep(60.0)
        assert stand.audit.looks >= 8 and not stand.halted

    assert audited(tmp_path, venue, script) == []


@pytest.mark.parametrize("venue", VENUES)
def test_cash_that_is_missing_is_told_counted_and_halts(tmp_path, venue):
    async def script(stand, trader):
        stand.gate.on_strategy("Matrix-001", stand.gate.breaker.family)
        stand.exchange.account.cash -= 3_000_000
        await asyncio.sleep(6.0)
        assert not stand.halted, "once seen is not lasting"
        assert stand.gate.breaker.errors == 1
        await asyncio.sleep(20.0)
        assert "cash" in stand.halted and "restart the node" in stand.halted

    rows = audited(tmp_path, venue, script)
    assert [r.action for r in rows] == ["looked at again", "trading halted"]
    assert rows[0].here - rows[0].there == 3 and rows[0].subject == "cash"
    ((halt, behind),) = halts(tmp_path)
    assert halt.source == "node" and "cash" in halt.reason
    assert behind == ["account.difference"]


@pytest.mark.parametrize("venue", VENUES)
def test_shares_that_are_missing_are_told_counted_and_halt(tmp_path, venue):
    async def script(stand, trader):
        stand.gate.on_strategy("Matrix-001", stand.gate.breaker.family)
        market = stand.markets[0].market_id
        before = stand.exchange.account.positions()[market, "YES"]
        stand.exchange.account.apply(market, "ask", 0, 200, "YES")
        assert stand.exchange.account.positions()[market, "YES"] == before - 200
        await asyncio.sleep(6.0)
        assert stand.gate.breaker.mismatches == {market: 1}
        await asyncio.sleep(20.0)
        assert stand.instrument(stand.markets[0]) in stand.halted

    rows = audited(tmp_path, venue, script)
    assert [r.action for r in rows] == ["looked at again", "trading halted"]
    assert rows[0].here - rows[0].there == 2


@pytest.mark.parametrize("venue", VENUES)
def test_a_difference_that_goes_away_by_itself_halts_nothing(tmp_path, venue):
    async def script(stand, trader):
        stand.exchange.account.cash -= 3_000_000
        await asyncio.sleep(7.0)
        stand.exchange.account.cash += 3_000_000
        await asyncio.sleep(30.0)
        assert not stand.halted

    rows = audited(tmp_path, venue, script)
    assert [r.action for r in rows] == ["looked at again"]


@pytest.mark.parametrize("venue", VENUES)
def test_money_that_comes_in_is_booked_as_a_transfer_and_halts_nothing(tmp_path, venue):
    async def script(stand, trader):
        profit = stand.gate.governor
        before = stand.gate.cash(stand.markets[0].venue)
        stand.exchange.account.cash += 7_000_000
        await asyncio.sleep(60.0)
        assert not stand.halted and profit is stand.gate.governor
        assert stand.gate.cash(stand.markets[0].venue) == before + 7

    rows = audited(tmp_path, venue, script)
    assert [getattr(r, "action", "transfer") for r in rows] == [
        "looked at again", "booked as a transfer", "transfer",
    ]  # fmt: skip
    assert rows[-1].amount == 7


@pytest.mark.parametrize("payout", [0, 10_000])
@pytest.mark.parametrize("venue", VENUES)
def test_a_resolution_that_one_side_hears_first_is_no_difference(tmp_path, venue, payout):
    async def script(stand, trader):
        market, now = stand.markets[0], stand.clock.timestamp_ns
        stand.settle(market.market_id, payout)
        await asyncio.sleep(0.0)
        yes = D(payout) / 10_000
        for outcome, paid in zip(market.outcomes, (yes, 1 - yes), strict=True):
            stand.gate.on_settlement(outcome.instrument_id, paid, now())
            stand.context.resolved.add(outcome.instrument_id)
        await asyncio.sleep(40.0)
        assert not stand.halted

    assert audited(tmp_path, venue, script) == []


def test_a_payout_that_must_be_redeemed_is_owed_and_nothing_else_hides_behind_it(tmp_path):
    async def script(stand, trader):
        market, now = stand.markets[0], stand.clock.timestamp_ns()
        for outcome, paid in zip(market.outcomes, (D(1), D(0)), strict=True):
            stand.gate.on_settlement(outcome.instrument_id, paid, now)
            stand.context.resolved.add(outcome.instrument_id)
        await asyncio.sleep(40.0)
        assert not stand.halted, "five dollars are to be redeemed"
        stand.exchange.account.cash += 5_000_000
        await asyncio.sleep(20.0)
        assert not stand.halted, "redeemed"
        stand.exchange.account.cash -= 5_000_000
        await asyncio.sleep(30.0)
        assert "cash" in stand.halted

    audited(tmp_path, "POLYMARKET", script)


@pytest.mark.parametrize("seed", range(1, 9))
def test_the_comparison_is_never_wrong_whatever_else_is(seed):
    run = run_one("AUDIT", seed)
    assert not run.broken, run.command


async def _pairs_of_five(stand, trader):
    """Hold five more of the second outcome than the one bought before: five pairs."""
    await trader.send(stand.markets[0], BUY, D(5), D("0.62"), IOC, outcome=1)
    await asyncio.sleep(20.0)
    return [stand.instrument(stand.markets[0], n) for n in (0, 1)]


def test_a_merge_by_the_owner_at_the_venue_is_booked_as_one_and_halts_nothing(tmp_path):
    """Three pairs become three dollars while the node runs; nobody sends an order for it."""

    async def script(stand, trader):
        stand.gate.on_strategy("Matrix-001", stand.gate.breaker.family)
        legs = await _pairs_of_five(stand, trader)
        held = [stand.gate.position("Matrix-001", i) for i in legs]
        assert min(held) > 4
        cash = stand.gate.cash("POLYMARKET")
        assert stand.exchange.account.merge(stand.markets[0].market_id, 300)
        await asyncio.sleep(60.0)
        assert not stand.halted
        assert stand.gate.breaker.errors == 0 and not stand.gate.breaker.mismatches
        assert [stand.gate.position("Matrix-001", i) for i in legs] == [h - 3 for h in held]
        assert stand.gate.cash("POLYMARKET") == cash + 3
        looks = stand.audit.looks
        await asyncio.sleep(30.0)
        assert stand.audit.looks > looks and not stand.halted

    rows = audited(tmp_path, "POLYMARKET", script)
    assert {r.subject for r in rows} == {"cash", *(r.subject for r in rows[:3])}
    assert [r.action for r in rows] == ["looked at again"] * 3 + ["booked as a merge or split"] * 3
    (merged,) = [p for r in LedgerReader(tmp_path / "ledger").rows(Selection()) if isinstance(p := r.decoded(), PositionsMerged)]  # fmt: skip
    assert (merged.quantity, merged.proceeds, merged.strategy_id) == (3, 3, "Matrix-001")


def test_shares_that_go_in_pairs_without_dollars_are_no_merge(tmp_path):
    async def script(stand, trader):
        await _pairs_of_five(stand, trader)
        assert stand.exchange.account.merge(stand.markets[0].market_id, 300)
        stand.exchange.account.cash -= 3_000_000
        await asyncio.sleep(60.0)
        assert "the account differs" in stand.halted

    rows = audited(tmp_path, "POLYMARKET", script)
    assert "trading halted" in {r.action for r in rows}
    assert "booked as a merge or split" not in {r.action for r in rows}


def test_a_split_by_the_owner_is_booked_as_one(tmp_path):
    async def script(stand, trader):
        market, account = stand.markets[0].market_id, stand.exchange.account
        cash = stand.gate.cash("POLYMARKET")
        for outcome in ("YES", "NO"):
            account.held[market, outcome] = account.held.get((market, outcome), 0) + 400
        account.cash -= 4_000_000
        await asyncio.sleep(60.0)
        assert not stand.halted
        assert stand.gate.cash("POLYMARKET") == cash - 4

    rows = audited(tmp_path, "POLYMARKET", script)
    assert rows[-1].action == "booked as a merge or split"
