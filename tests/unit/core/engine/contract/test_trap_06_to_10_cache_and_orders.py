"""Traps 6 to 10: copies of orders, reserved tick memory, market orders without quotes, history copies, hedging."""

from __future__ import annotations

from pathlib import Path

import pytest
from nautilus_trader.model import BookType, InstrumentId, OmsType, OrderSide, Quantity
from nautilus_trader.model import TimeInForce as EngineTif

from core.domain.decision import TimeInForce
from core.engine.backtest import assembly, runners
from core.engine.strategy import BetaStrategy
from tests.unit.core.engine.contract import bare
from tests.unit.core.engine.rig import BID, D, Tape, level, market, run, snapshot, write

YES = "M-YES.PM"
NOTES: list = []


def catalog(path: Path) -> Path:
    rows = snapshot(1, [("0.39", "50")], [("0.40", "30"), ("0.41", "40"), ("0.42", "100")])
    rows += level(2, BID, "0.38", "5") + level(3, BID, "0.38", "6")
    return write(path, [market()], {YES: Tape(books=rows, close=(9, "1"))})


# -- 6 ----------------------------------------------------------------------------------------------
class Rests(BetaStrategy):
    def on_start(self) -> None:
        NOTES.clear()
        self.watch_book(YES)

    def on_book(self, iid: str) -> None:
        if not NOTES:
            self.buy(iid, D(10), D("0.35"), tif=TimeInForce.GTC, reason="rest")
        NOTES.append([(r.intent.reason, r.status, r.is_open) for r in self.working(iid)])


def test_trap_06_the_order_in_hand_never_changes_but_working_tells_its_state(
    tmp_path: Path,
) -> None:
    kept: list = []
    s, _ = bare.play(
        [bare.quote(t, 0.39, 0.40) for t in (1, 2)],
        {1: lambda s: kept.append(s.limit(bare.BUY, 10, 0.40, bare.IOC))},
    )
    assert s.fills
    assert str(kept[0].status) == "INITIALIZED"
    run(catalog(tmp_path / "c"), Rests, venue="SLOW")
    assert NOTES[0] == [("rest", "SUBMITTED", True)]
    assert NOTES[1] == [("rest", "ACCEPTED", True)]


# -- 7 ----------------------------------------------------------------------------------------------
def test_trap_07_tick_capacity_is_small() -> None:
    config = assembly.engine_config()
    assert config.cache is not None
    assert config.cache.tick_capacity <= 100
    assert config.cache.bar_capacity <= 100


# -- 8 ----------------------------------------------------------------------------------------------
class Market(BetaStrategy):
    """Sends two raw market orders: one larger than the book within the worst price, one not."""

    def on_start(self) -> None:
        self.sent = False
        self.watch_book(YES)

    def on_book(self, iid: str) -> None:
        if not self.sent:
            self.sent = True
            native = InstrumentId.from_str(iid)
            for size in ("200.00", "100.00"):
                order = self.order_factory.market(
                    native, OrderSide.BUY, Quantity.from_str(size), EngineTif.GTC
                )
                self.submit_order(order)


def test_trap_08_the_engine_denies_market_orders_on_a_book_without_quotes() -> None:
    def send(s) -> None:
        s.submit_order(s.order_factory.market(bare.YES.id, bare.BUY, bare.q(10)))

    books = [bare.book(t, [(0.39, 50)], [(0.40, 30)]) for t in (1, 2)]
    s, _ = bare.play(books, {1: send}, book_type=BookType.L2_MBP, quotes_from_book=False)
    assert not s.fills


def test_trap_08_a_market_order_larger_than_the_book_stays_open_in_the_engine() -> None:
    def send(s) -> None:
        s.submit_order(s.order_factory.market(bare.YES.id, bare.BUY, bare.q(500)))

    books = [bare.book(t, [(0.39, 50)], [(0.40, 30), (0.41, 40)]) for t in (1, 2)]
    s, _ = bare.play(books, {1: send}, book_type=BookType.L2_MBP, liquidity_consumption=True)
    assert sum(f.last_qty.as_decimal() for f in s.fills) == 70
    assert "OrderCanceled" not in [type(e).__name__ for e in s.order_events]


def test_trap_08_our_market_order_is_bounded_by_depth_and_worst_price_and_ends(
    tmp_path: Path,
) -> None:
    result = run(catalog(tmp_path / "c"), Market)
    refused, order = result.orders
    assert (refused.status, refused.code) == ("REFUSED", "LIQUIDITY")
    assert (order.status, order.filled) == ("FILLED", D(100))
    taken = [(str(f.price), str(f.quantity)) for f in result.fills if f.role == "taker"]
    assert taken == [("0.4000", "30.00"), ("0.4100", "40.00"), ("0.4200", "30.00")]


# -- 9 ----------------------------------------------------------------------------------------------
class Reader(BetaStrategy):
    """Reads its money at every event; the engine's account copies its whole history at each look."""

    def on_start(self) -> None:
        NOTES.clear()
        self.watch_book(YES)

    def on_book(self, iid: str) -> None:
        self.buy(iid, D(10), D("0.40"))
        NOTES.append((self.cash(), self.equity(), self.position(iid)))


def test_trap_09_money_is_read_from_our_own_book_and_equals_the_engine_account(
    tmp_path: Path,
) -> None:
    result = run(catalog(tmp_path / "c"), Reader)  # raises when it differs from the engine
    assert NOTES[0] == (D("95.99999"), D(100), D(0))  # cost and worst fee are reserved on the way
    assert NOTES[1] == (D("91.99999"), D("99.95"), D(10))
    assert result.final_cash == 100 - 12 + 30


def test_trap_09_a_difference_to_the_engine_account_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.domain.errors import StrategyError
    from core.engine.session import Session

    real = Session.sample

    def skewed(self, ts_ns: int, *, keep: bool = False) -> None:
        real(self, ts_ns, keep=keep)
        if keep:
            self.gate.book.add_cash("PM", 10**12)  # a micro-dollar

    monkeypatch.setattr(Session, "sample", skewed)
    with pytest.raises(StrategyError, match="not the engine's"):
        run(catalog(tmp_path / "c"), Reader)


# -- 10 ---------------------------------------------------------------------------------------------
def test_trap_10_venues_are_netting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = runners.BacktestVenueConfig

    def spy(*args, **kwargs):
        seen.append(real(*args, **kwargs))
        return seen[-1]

    monkeypatch.setattr(runners, "BacktestVenueConfig", spy)
    run(catalog(tmp_path / "c"), Reader)
    assert [v.oms_type for v in seen] == [OmsType.NETTING]
    assert seen[0].liquidity_consumption
    assert seen[0].queue_position
