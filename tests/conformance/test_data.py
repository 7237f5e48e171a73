"""Market data, TC-001 to TC-013: the same on Kalshi, Polymarket and paper."""

import asyncio
from decimal import Decimal

import pytest
from nautilus_trader.model import (
    AggressorSide,
    BookAction,
    InstrumentClose,
    InstrumentStatus,
    MarketStatusAction,
    OrderBookDeltas,
    QuoteTick,
    TradeTick,
)

from adapters.fake.faults import Fault, FaultKind
from adapters.fake.matrix.cases import SNAPSHOT
from adapters.outcomes import RELEASE_S
from core.domain.market import MarketStatus
from core.engine.live.books import is_release
from tests.conformance.market_rig import FRAMES, follow
from tests.conformance.rig import VENUES, eventually

D = Decimal
pytestmark = pytest.mark.parametrize("venue", VENUES)


def frames(venue):
    """Frame type of a book change of the venue that feeds `venue`."""
    return FRAMES.get(venue, FRAMES["KALSHI"])


def test_tc_001_connecting_loads_both_outcomes_and_their_books(tmp_path, venue):
    async def script(rig):
        loaded = {i.id.value for i in rig.client.instruments}
        assert set(rig.ids) <= loaded
        assert {m.market_id for m in rig.markets} >= {rig.id}

    follow(tmp_path, venue, script)


def test_tc_002_a_snapshot_is_the_venues_book_for_both_outcomes(tmp_path, venue):
    async def script(rig):
        for iid in rig.ids:
            assert rig.client.shown[iid] == rig.truth()[iid]
            first = rig.of(OrderBookDeltas, iid)[0]
            assert len(first.deltas) == 1 + sum(map(len, rig.truth()[iid]))

    follow(tmp_path, venue, script)


def test_tc_003_a_changed_level_is_a_delta_and_size_nothing_deletes_it(tmp_path, venue):
    async def script(rig):
        rig.level("bid", 3900, 0)
        rig.level("bid", 3950 // 100 * 100 - 500, 7)
        await eventually(rig.equal)
        assert D("0.39") not in rig.client.shown[rig.ids[0]][0]
        rig.shake()
        await eventually(rig.equal)

    follow(tmp_path, venue, script)


def test_tc_004_a_quote_is_the_best_price_of_each_outcome(tmp_path, venue):
    async def script(rig):
        rig.level("bid", 4100, 3)
        await eventually(lambda: rig.top(rig.ids[0]) == (D("0.41"), D("0.42"), D(3), D(20)))
        await eventually(lambda: rig.top(rig.ids[1]) == (D("0.58"), D("0.59"), D(20), D(3)))

    follow(tmp_path, venue, script)


def test_tc_005_after_a_gap_the_book_is_emptied_and_then_the_venues_again(tmp_path, venue):
    async def script(rig):
        before = len(rig.client.out)
        rig.level("bid", 4100, 3)  # lost on the way
        rig.level("bid", 3900, 9)  # and this shows it
        await eventually(lambda: any(cleared(x) for x in rig.client.out[before:]))
        await eventually(rig.equal)

    follow(tmp_path, venue, script, [Fault(FaultKind.WS_DROP, match=frames(venue))])


def cleared(item):
    """Whether an item empties a book and says nothing else."""
    return isinstance(item, OrderBookDeltas) and [d.action for d in item.deltas] == [
        BookAction.CLEAR
    ]


def test_tc_006_a_public_trade_is_told_once_with_who_took(tmp_path, venue):
    async def script(rig):
        now = rig.stand.loop.time_ns()
        rig.stand.fake.streams.traded(rig.id, 4200, 300, "bid", now, "public-1")
        await eventually(lambda: rig.of(TradeTick))
        await asyncio.sleep(1.0)
        (trade,) = rig.of(TradeTick, rig.ids[0])
        assert (trade.price.as_decimal(), trade.size.as_decimal()) == (D("0.42"), D(3))
        assert trade.aggressor_side == AggressorSide.BUY
        for mirrored in rig.of(TradeTick, rig.ids[1]):  # Kalshi has one book: the other side of it
            assert mirrored.price.as_decimal() == D("0.58")
            assert mirrored.aggressor_side == AggressorSide.SELL

    follow(tmp_path, venue, script)


def test_tc_007_a_market_that_closes_is_told_to_gate_and_engine(tmp_path, venue):
    async def script(rig):
        now = rig.stand.loop.time_ns()
        rig.stand.exchange.markets[rig.id].close_ns = now + 3 * 10**9
        if rig.stand.venue == "KALSHI":  # told beforehand: then our own clock closes it
            rig.stand.fake.streams.close_moved(rig.id)
        else:  # the catalogue calls it closed
            rig.stand.exchange.close(rig.id, now)
            await rig.client.ask_results([rig.id])
        await eventually(lambda: (rig.id, MarketStatus.CLOSED) in rig.statuses, 90.0)
        actions = {s.action for s in rig.of(InstrumentStatus)}
        assert MarketStatusAction.CLOSE in actions
        if rig.paper is not None:
            assert rig.paper.exchange.markets[rig.id].status == "closed"

    follow(tmp_path, venue, script)


@pytest.mark.parametrize(("payout", "paid"), [(10_000, (1, 0)), (0, (0, 1))])
def test_tc_008_a_result_pays_the_winner_one_and_the_loser_nothing_once(
    tmp_path, venue, payout, paid
):
    async def script(rig):
        rig.stand.exchange.settle(rig.id, payout, rig.stand.loop.time_ns())
        await eventually(lambda: len(rig.settled) == 2)
        await asyncio.sleep(20.0)  # asked again by poll: nothing is paid twice
        assert rig.settled == list(zip(rig.ids, map(D, paid), strict=True))
        assert [c.close_price.as_decimal() for c in rig.of(InstrumentClose)] == list(map(D, paid))
        if rig.paper is not None:
            assert rig.paper.exchange.markets[rig.id].yes_payout == payout

    follow(tmp_path, venue, script)


def test_tc_009_a_void_market_pays_half_to_each_outcome(tmp_path, venue):
    async def script(rig):
        rig.stand.exchange.settle(rig.id, 5_000, rig.stand.loop.time_ns())
        await eventually(lambda: len(rig.settled) == 2, 90.0)
        assert [p for _, p in rig.settled] == [D("0.5"), D("0.5")]

    follow(tmp_path, venue, script)


@pytest.mark.parametrize("kind", [FaultKind.WS_GARBAGE, FaultKind.WS_DUPLICATE])
def test_tc_010_an_unreadable_or_repeated_frame_leaves_the_book_right(tmp_path, venue, kind):
    async def script(rig):
        rig.shake()
        await eventually(rig.equal)
        assert rig.stand.faults.fired

    follow(tmp_path, venue, script, [Fault(kind, at=7, count=3, match=frames(venue))])


def test_tc_011_while_the_link_is_down_there_is_no_book_and_afterwards_the_venues(tmp_path, venue):
    async def script(rig):
        before = len(rig.client.out)
        await rig.stand.fake.streams.drop_all()
        await eventually(lambda: any(cleared(x) for x in rig.client.out[before:]))
        rig.level("ask", 4700, 4)
        await eventually(rig.equal)

    follow(tmp_path, venue, script)


def test_tc_012_an_empty_side_shows_no_quote(tmp_path, venue):
    async def script(rig):
        await asyncio.sleep(1.0)
        for price in list(rig.book.levels["ask"]):
            rig.level("ask", price, 0)
        await eventually(rig.equal)
        before = len(rig.of(QuoteTick))
        rig.level("bid", 3500, 4)
        await eventually(rig.equal)
        assert len(rig.of(QuoteTick)) == before

    follow(tmp_path, venue, script)


def test_tc_013_a_snapshot_older_than_the_book_changes_nothing(tmp_path, venue):
    async def script(rig):
        rig.stand.fake.streams.snapshot_all(rig.id)  # and once more, late
        await asyncio.sleep(1.0)
        rig.level("ask", 4700, 4)
        rig.level("bid", 3300, 5)
        await eventually(rig.equal)
        assert rig.stand.faults.fired
        wrong = []
        for _ in range(200):
            await asyncio.sleep(0.05)
            if not rig.equal():
                wrong.append(rig.stand.loop.time())
        assert not wrong

    snapshot = SNAPSHOT.get(venue, SNAPSHOT["KALSHI"])
    faults = [Fault(FaultKind.WS_AGAIN, match=snapshot, count=9, seconds=4.0)]
    follow(tmp_path, venue, script, faults)


def test_tc_014_the_books_of_a_market_that_is_paid_out_are_freed_and_stay_so(tmp_path, venue):
    async def script(rig):
        rig.stand.exchange.settle(rig.id, 10_000, rig.stand.loop.time_ns())
        await eventually(lambda: len(rig.settled) == 2, 90.0)
        before = len(rig.client.out)
        await asyncio.sleep(RELEASE_S + 10.0)
        told = [x for x in rig.client.out[before:] if isinstance(x, OrderBookDeltas)]
        freed = [x.instrument_id.value for x in told if is_release(x)]
        assert sorted(freed) == sorted(rig.ids)
        assert all(is_release(x) for x in told[-2:])
        assert not any(b.bids or b.asks for b in rig.client.books.values())
        if rig.paper is not None:
            assert rig.paper.exchange.markets[rig.id].book.levels == {"bid": {}, "ask": {}}
        before = len(rig.client.out)
        await (
            rig.stand.fake.streams.drop_all()
        )  # the reconnect brings snapshots of all that is followed
        rig.level("ask", 4700, 4)
        await asyncio.sleep(10.0)
        assert not [x for x in rig.client.out[before:] if isinstance(x, OrderBookDeltas)]

    follow(tmp_path, venue, script)


def test_a_part_of_the_data_client_that_fails_halts_trading(tmp_path, venue):
    async def script(rig):
        async def fails(book):
            raise KeyError(book)

        halts: list[str] = []
        rig.client.on_failed = halts.append
        rig.client.audit.audit, rig.client.audit.soon = fails, True
        await eventually(lambda: bool(halts))
        assert "audit failed: KeyError" in halts[0] and "restart the node" in halts[0]

    follow(tmp_path, venue, script)
