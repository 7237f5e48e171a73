"""Fills that flatter: half-built books, late arrivals, taken levels, mirrored books, sizes beyond the top."""

from __future__ import annotations

from pathlib import Path

import pytest
from nautilus_trader.model import AggressorSide, BookAction, BookType, TradeId, TradeTick

from core.domain.decision import TimeInForce
from core.engine.strategy import BetaStrategy
from tests.unit.core.engine.contract import bare
from tests.unit.core.engine.rig import (
    ASK,
    BID,
    D,
    Tape,
    level,
    market,
    ns,
    run,
    snapshot,
    write,
)

YES, NO = "M-YES.PM", "M-NO.PM"
L2 = {"book_type": BookType.L2_MBP, "liquidity_consumption": True, "queue_position": True}
ADD, UPDATE, DELETE = BookAction.ADD, BookAction.UPDATE, BookAction.DELETE
NOTES: list = []


class Plan(BetaStrategy):
    """Runs a class-level script: event number -> what to do; keeps refusals."""

    script: dict = {}

    def on_start(self) -> None:
        self.n = 0
        NOTES.clear()
        for iid in self.universe:
            self.watch_book(iid)

    def on_book(self, iid: str) -> None:
        self.n += 1
        NOTES.append((iid, self.best_bid(iid), self.best_ask(iid)))
        if self.n in self.script:
            self.script[self.n](self)


def takers(result) -> list[tuple[str, str, str]]:
    return [
        (f.instrument_id[2:-3], f"{f.price.normalize():f}", f"{f.quantity.normalize():f}")
        for f in result.fills
        if f.role != "settlement"
    ]


def plan(tmp_path: Path, tapes: dict[str, Tape], script: dict, **spec):
    path = tmp_path / "c"
    if not path.exists():
        write(path, [market()], tapes)
    Plan.script = script
    return run(path, Plan, **spec)


# -- half-built snapshots ---------------------------------------------------------------------------
def test_the_engine_shows_half_built_books_when_deltas_come_singly() -> None:
    seen = []

    class Look(bare.Bare):
        def on_book_deltas(self, deltas) -> None:
            seen.append(self.cache.top_of_book(bare.YES.id))

    whole = bare.book(1, [(0.39, 50)], [(0.40, 30)])
    bare.play(list(whole.deltas), {}, Look, book_type=BookType.L2_MBP, quotes_from_book=False)
    assert len(seen) == 3


def test_a_book_is_seen_only_when_it_is_whole(tmp_path: Path) -> None:
    rows = snapshot(1, [("0.39", "50")], [("0.40", "30")])
    rows += snapshot(2, [("0.29", "50"), ("0.28", "5")], [("0.30", "30")])
    plan(tmp_path, {YES: Tape(books=rows, close=(9, "1"))}, {})
    assert [(str(b.price), str(a.price)) for _, b, a in NOTES] == [
        ("0.3900", "0.4000"),
        ("0.2900", "0.3000"),
    ]


def test_a_resting_order_is_not_matched_inside_a_snapshot(tmp_path: Path) -> None:
    # While the second snapshot is rebuilt, its asks are there before nothing else is.
    rows = snapshot(1, [("0.39", "50")], [("0.45", "30")])
    rows += snapshot(2, [("0.39", "50")], [("0.45", "30")]) + level(3, BID, "0.39", "60")
    script = {1: lambda s: s.buy(YES, D(10), D("0.41"), tif=TimeInForce.GTC)}
    result = plan(tmp_path, {YES: Tape(books=rows, close=(9, "1"))}, script)
    assert takers(result) == []


# -- latency in a quiet market ----------------------------------------------------------------------
def quiet() -> list:
    rows = snapshot(1, [("0.39", "50")], [("0.40", "30")])
    return rows + level(60, ASK, "0.40", "0") + level(61, ASK, "0.38", "30")


def test_the_engine_matches_a_late_order_only_at_the_next_event() -> None:
    data = [
        bare.book(1, [(0.39, 50)], [(0.40, 30)]),
        bare.one(60, ADD, bare.SELL, 0.395, 30),
        bare.one(61, UPDATE, bare.BUY, 0.30, 1),
    ]
    s, _ = bare.play(
        data, {1: lambda s: s.limit(bare.BUY, 10, 0.40, bare.IOC)}, latency_ns=75_000_000, **L2
    )
    assert s.fills[0].ts_event == bare.at(60)
    assert str(s.fills[0].last_px) == "0.3950"


def test_an_order_meets_the_book_of_its_arrival(tmp_path: Path) -> None:
    script = {1: lambda s: s.buy(YES, D(10), D("0.40"))}
    result = plan(tmp_path, {YES: Tape(books=quiet(), close=(99, "1"))}, script, venue="SLOW")
    assert takers(result) == [("YES", "0.4", "10")]
    assert result.fills[0].ts_ns == ns(1.075)


def test_a_cancel_arrives_after_its_latency_too(tmp_path: Path) -> None:
    def send(s) -> None:
        s.kept = s.buy(YES, D(10), D("0.30"), tif=TimeInForce.GTC)

    rows = snapshot(1, [("0.39", "50")], [("0.40", "30")]) + level(2, BID, "0.38", "1")
    script = {1: send, 2: lambda s: s.cancel(s.kept)}
    result = plan(tmp_path, {YES: Tape(books=rows, close=(99, "1"))}, script, venue="SLOW")
    assert [o.status for o in result.orders] == ["CANCELED"]


# -- what was taken stays taken ---------------------------------------------------------------------
def test_without_consumption_the_engine_fills_the_same_depth_again_as_maker() -> None:
    data = [
        bare.book(1, [(0.39, 50)], [(0.40, 30), (0.41, 40)]),
        bare.one(2, UPDATE, bare.BUY, 0.3, 1),
    ]
    script = {1: lambda s: s.limit(bare.BUY, 100, 0.41)}
    s, _ = bare.play(data, script, book_type=BookType.L2_MBP)
    assert sum(f.last_qty.as_decimal() for f in s.fills) == 100
    s, _ = bare.play(data, script, **L2)
    assert sum(f.last_qty.as_decimal() for f in s.fills) == 70


def test_the_engine_forgets_consumption_when_the_level_shrinks() -> None:
    data = [
        bare.book(1, [(0.39, 50)], [(0.40, 30)]),
        bare.one(2, UPDATE, bare.SELL, 0.40, 20),
        bare.one(3, UPDATE, bare.BUY, 0.30, 1),
    ]

    def take(s) -> None:
        s.limit(bare.BUY, 30, 0.40, bare.IOC)

    s, _ = bare.play(data, {1: take, 2: take}, **L2)
    assert [f.last_qty.as_decimal() for f in s.fills] == [30, 20]


@pytest.mark.parametrize("venue", ["PLAIN", "SLOW"])
def test_a_level_that_shrinks_is_not_taken_again(tmp_path: Path, venue: str) -> None:
    rows = snapshot(1, [("0.39", "50")], [("0.40", "30")]) + level(2, ASK, "0.40", "20")
    rows += level(3, ASK, "0.40", "25") + level(4, ASK, "0.40", "0") + level(5, ASK, "0.40", "9")
    take = lambda s: s.buy(YES, D(30), D("0.40"))  # noqa: E731
    result = plan(
        tmp_path,
        {YES: Tape(books=rows, close=(9, "1"))},
        dict.fromkeys(range(1, 6), take),
        venue=venue,
    )
    # 30 of 30; nothing of the 20 left; the 5 that were added; none; the 9 of a new level.
    assert takers(result) == [("YES", "0.4", "30"), ("YES", "0.4", "5"), ("YES", "0.4", "9")]
    assert [o.code for o in result.orders if o.status == "REFUSED"] == ["LIQUIDITY_TAKEN"]
    cut = [o for o in result.orders if o.filled and o.filled < o.quantity]
    assert {o.status for o in cut} == {"CANCELED"}


def mirrored() -> dict[str, Tape]:
    # YES asks are NO bids: 0.40 <-> 0.60. One liquidity, recorded in two books.
    yes = snapshot(1, [("0.39", "50")], [("0.40", "30")])
    no = snapshot(1, [("0.60", "30")], [("0.61", "50")])
    yes += level(4, BID, "0.38", "1")
    no += level(5, ASK, "0.62", "1")
    return {YES: Tape(books=yes, close=(99, "1")), NO: Tape(books=no, close=(99, "0"))}


def test_two_orders_for_one_liquidity_are_not_on_their_way_together(tmp_path: Path) -> None:
    def both(s) -> None:
        s.sell(NO, D(20), D("0.60"), reason="no")
        s.buy(YES, D(20), D("0.40"), reason="yes")

    # Holding NO first needs another price: buy it at its ask.
    script = {2: lambda s: s.buy(NO, D(20), D("0.61")), 3: both}
    result = plan(tmp_path, mirrored(), script, venue="SLOW")
    assert [(o.reason, o.status, o.code) for o in result.orders[1:]] == [
        ("no", "FILLED", ""),
        ("yes", "REFUSED", "MIRROR_BUSY"),
    ]


def test_a_fill_on_one_book_is_taken_from_its_mirror(tmp_path: Path) -> None:
    script = {
        2: lambda s: s.buy(NO, D(40), D("0.61")),
        3: lambda s: s.buy(YES, D(20), D("0.40")),
        4: lambda s: s.sell(NO, D(40), D("0.60")),
    }
    result = plan(tmp_path, mirrored(), script, venue="SLOW")
    # 30 stood at NO 0.60; 20 of them were taken through YES 0.40.
    assert takers(result) == [("NO", "0.61", "40"), ("YES", "0.4", "20"), ("NO", "0.6", "10")]


# -- queue ------------------------------------------------------------------------------------------
def trade(t: float, price: float, size: float) -> TradeTick:
    return TradeTick(
        bare.YES.id,
        bare.p(price),
        bare.q(size),
        AggressorSide.SELL,
        TradeId(f"t{t}"),
        bare.at(t),
        bare.at(t),
    )


def test_a_resting_bid_waits_for_the_queue_before_it(tmp_path: Path) -> None:
    rows = snapshot(1, [("0.39", "50")], [("0.45", "30")]) + level(9, BID, "0.30", "1")
    trades = [
        (2, "0.39", "20", 2),
        (3, "0.39", "20", 2),
        (4, "0.39", "40", 2),
        (5, "0.39", "40", 2),
    ]
    script = {1: lambda s: s.buy(YES, D(50), D("0.39"), tif=TimeInForce.GTC)}
    result = plan(tmp_path, {YES: Tape(books=rows, trades=trades, close=(99, "1"))}, script)
    assert takers(result) == [("YES", "0.39", "30"), ("YES", "0.39", "20")]
    assert {f.role for f in result.fills[:2]} == {"maker"}
    other = tmp_path / "no-queue"
    other.mkdir()
    result = plan(tmp_path, {}, script, queue_position=False)
    assert takers(result)[0] == ("YES", "0.39", "20")


def test_a_trade_through_our_price_is_the_careful_case_not_filled_until_the_level_is_gone() -> None:
    data = [
        bare.book(1, [(0.39, 50)], [(0.45, 30)]),
        trade(2, 0.38, 200),
        bare.one(3, DELETE, bare.BUY, 0.39, 0),
        trade(4, 0.38, 200),
        bare.one(5, UPDATE, bare.BUY, 0.30, 1),
    ]
    script = {1: lambda s: s.limit(bare.BUY, 10, 0.39)}
    s, _ = bare.play(data, script, **L2)
    assert [f.ts_event for f in s.fills] == [bare.at(4)]
    s, _ = bare.play(data, script, book_type=BookType.L2_MBP)
    assert [f.ts_event for f in s.fills] == [bare.at(2)]


# -- top of book only -------------------------------------------------------------------------------
def test_a_size_beyond_the_shown_top_is_not_filled_at_invented_depth(tmp_path: Path) -> None:
    quotes = [(float(t), "0.39", "0.40", "50", "30") for t in (1, 2, 3)]
    quotes += [(4.0, "0.39", "0.40", "50", "20"), (5.0, "0.38", "0.41", "50", "20")]
    script = {
        1: lambda s: s.buy(YES, D(100), D("0.45")),
        4: lambda s: s.buy(YES, D(100), D("0.45")),
        5: lambda s: s.buy(YES, D(100), D("0.45")),
    }
    result = plan(tmp_path, {YES: Tape(quotes=quotes, close=(99, "1"))}, script)
    assert takers(result) == [("YES", "0.4", "30"), ("YES", "0.41", "20")]
    assert [o.code for o in result.orders if o.status == "REFUSED"] == ["LIQUIDITY_TAKEN"]
    assert any("top of book only" in w for w in result.warnings)


def test_the_engine_invents_a_tick_for_a_market_order_without_consumption() -> None:
    def send(s) -> None:
        s.submit_order(s.order_factory.market(bare.YES.id, bare.BUY, bare.q(500)))

    s, _ = bare.play([bare.quote(1, 0.39, 0.40, 100), bare.quote(2, 0.39, 0.40, 100)], {1: send})
    assert sum(f.last_qty.as_decimal() for f in s.fills) > 100


# -- data that does not fit -------------------------------------------------------------------------
def test_quotes_of_other_decimals_are_ignored_by_matching_in_the_engine() -> None:
    from nautilus_trader.model import Price, QuoteTick

    odd = QuoteTick(
        bare.YES.id, Price(0.39, 2), Price(0.40, 2), bare.q(9), bare.q(9), bare.at(1), bare.at(1)
    )
    s, _ = bare.play(
        [odd, bare.quote(2, 0.5, 0.6)], {1: lambda s: s.limit(bare.BUY, 5, 0.45, bare.IOC)}
    )
    assert not s.fills


def test_recorded_quotes_of_a_book_instrument_are_left_out(tmp_path: Path) -> None:
    rows = snapshot(1, [("0.39", "50")], [("0.40", "30")])
    tape = Tape(books=rows, quotes=[(2.0, "0.10", "0.11", "5", "5")], close=(9, "1"))
    plan(tmp_path, {YES: tape}, {})
    assert [(str(b.price), str(a.price)) for _, b, a in NOTES] == [("0.3900", "0.4000")]
