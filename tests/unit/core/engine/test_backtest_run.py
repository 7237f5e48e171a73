"""A run as a whole: determinism, period, universe, spot pairs, ledger, bad input."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from nautilus_trader.model import BookType

from core.domain.decision import Forecast, Proposal, TimeInForce
from core.domain.errors import BetaError, MissingData, StrategyError, UsageError
from core.domain.fees import Role, Side
from core.engine.backtest import BacktestSpec, run_backtest
from core.engine.catalog import BarColumns, CatalogWriter, Pair
from core.engine.strategy import BetaStrategy, StrategyConfig
from tests.unit.core.engine.rig import (
    ASK,
    BID,
    HERE,
    D,
    S,
    Tape,
    level,
    market,
    ns,
    run,
    snapshot,
    write,
)

YES, NO = "M-YES.PM", "M-NO.PM"


class Config(StrategyConfig):
    size: Decimal = D(5)


class Trader(BetaStrategy):
    """Forecasts, proposes, takes, rests, exits; uses its seeded randomness and a timer."""

    config_type = Config
    config: Config

    def on_start(self) -> None:
        self.n = 0
        self.watch_book(YES)
        self.clock.set_time_alert_ns("look", self.now_ns + 5 * S)

    def on_book(self, iid: str) -> None:
        self.n += 1
        ask, bid = self.best_ask(iid), self.best_bid(iid)
        if ask is None or bid is None:
            return
        p = D("0.45")
        made = Forecast(iid, p, p, p, self.now_ns, self.now_ns + S, "test")
        seq = self.record_forecast(made)
        if self.rng.random() < 0.6:
            edge = p - ask.price
            self.record_proposal(
                Proposal(
                    str(self.strategy_id),
                    iid,
                    Side.BUY,
                    self.config.size,
                    ask.price,
                    p,
                    edge,
                    "edge",
                    self.now_ns,
                    seq,
                )
            )
            self.buy(iid, self.config.size, ask.price, reason="edge", forecast=made)
        if self.n % 5 == 0:
            self.buy(iid, D(3), bid.price, tif=TimeInForce.GTC, post_only=True, reason="rest")
        if self.n % 7 == 0:
            self.exit(iid, "seven")

    def on_time_event(self, event) -> None:
        self.buy(YES, D(2), D("0.45"), reason="timer")


def catalog(path: Path, seed: int = 1) -> Path:
    rng = np.random.default_rng(seed)
    rows = snapshot(1, [("0.39", "50"), ("0.38", "80")], [("0.41", "40"), ("0.42", "60")])
    t = 1.0
    for _ in range(150):
        t += float(rng.integers(1, 2000)) / 1000
        side = BID if rng.random() < 0.5 else ASK
        price = (
            D("0.40") - D("0.01") * int(rng.integers(1, 4))
            if side == BID
            else D("0.40") + D("0.01") * int(rng.integers(1, 4))
        )
        rows += level(t, side, str(price), str(int(rng.integers(0, 90))))
    trades = [(1.5 + n, "0.39" if n % 2 else "0.41", str(5 + n % 9), 1 + n % 2) for n in range(100)]
    tape = Tape(books=rows, trades=sorted(trades), close=(t + 10, "1"))
    no = Tape(books=snapshot(1, [("0.58", "5")], [("0.62", "5")]), close=(t + 10, "0"))
    return write(path, [market()], {YES: tape, NO: no})


class Joins(BetaStrategy):
    """Watches one book, then another: every change must be noted for the book it belongs to."""

    seen: list[tuple[str, bool]] = []

    def on_start(self) -> None:
        Joins.seen = []
        self.watch_book(NO)
        self.clock.set_time_alert_ns("join", self.now_ns + 3 * S)

    def on_time_event(self, event) -> None:
        self.subscribe_book_deltas(self.ref(YES).native, BookType.L2_MBP, managed=True)
        self.watch_book(YES)

    def on_book(self, iid: str) -> None:
        news = self.ref(iid).news
        Joins.seen.append((iid, news is not None and str(news.instrument_id) == iid))


def test_a_second_book_is_told_from_the_first(tmp_path: Path) -> None:
    yes = Tape(books=snapshot(1, [("0.39", "5")], [("0.41", "4")]) + level(6, BID, "0.38", "1"))
    no = Tape(books=snapshot(2, [("0.58", "5")], [("0.62", "5")]) + level(7, BID, "0.57", "2"))
    run(write(tmp_path / "c", [market()], {YES: yes, NO: no}), Joins)
    assert {iid for iid, _ in Joins.seen} == {YES, NO}
    assert all(right for _, right in Joins.seen)


# -- determinism ------------------------------------------------------------------------------------
def test_two_runs_in_one_process_are_equal(tmp_path: Path) -> None:
    path = catalog(tmp_path / "c")
    one, two = (run(path, Trader, venue="SLOW", seed=3) for _ in range(2))
    assert one.decision_hash == two.decision_hash
    assert one.fills == two.fills
    assert one.orders == two.orders
    assert one.forecasts == two.forecasts
    assert replace(one.header, run_id="", engine_seconds=0) == replace(
        two.header, run_id="", engine_seconds=0
    )
    np.testing.assert_array_equal(one.equity.equity, two.equity.equity)
    assert {f.role for f in one.fills} >= {"maker", "taker"}


def test_processes_with_other_hash_seeds_are_equal(tmp_path: Path) -> None:
    path = catalog(tmp_path / "c")
    code = (
        f"import pathlib\nfrom {__name__} import *\n"
        f"print(run(pathlib.Path({str(path)!r}), Trader, venue='SLOW').decision_hash)"
    )
    hashes = {run(path, Trader, venue="SLOW").decision_hash}
    for seed in ("1", "4242"):
        done = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        hashes.add(done.stdout.strip().splitlines()[-1])
    assert len(hashes) == 1


@pytest.mark.parametrize(
    "change",
    [{"seed": 9}, {"latency_ms": 300.0}, {"params": {"size": "6"}}, {"queue_position": False}],
)
def test_whatever_decides_a_run_is_in_its_configuration_hash(tmp_path: Path, change: dict) -> None:
    path = catalog(tmp_path / "c")
    base = run(path, Trader, venue="SLOW")
    other = run(path, Trader, venue="SLOW", **change)
    assert base.header.config_hash != other.header.config_hash
    assert base.decision_hash != other.decision_hash


def test_other_data_is_another_hash(tmp_path: Path) -> None:
    one = run(catalog(tmp_path / "a"), Trader)
    two = run(catalog(tmp_path / "b", seed=2), Trader)
    assert one.header.catalog_sha != two.header.catalog_sha
    assert one.decision_hash != two.decision_hash


# -- period and universe ----------------------------------------------------------------------------
class Notes(BetaStrategy):
    """Keeps what it sees of the book."""

    seen: list = []

    def on_start(self) -> None:
        Notes.seen = []
        self.watch_book(YES)

    def on_book(self, iid: str) -> None:
        Notes.seen.append((self.now_ns, self.best_bid(iid), self.best_ask(iid)))


def test_a_period_that_begins_inside_the_data_begins_with_whole_books(tmp_path: Path) -> None:
    path = catalog(tmp_path / "c")
    run(path, Notes)
    whole = list(Notes.seen)
    start = whole[40][0]
    result = run(path, Notes, start_ns=start, end_ns=whole[90][0])
    assert Notes.seen == [x for x in whole if start <= x[0] < whole[90][0]]
    assert result.header.start_ns == start
    assert result.header.read_from_ns < start, "the book was built up before"
    assert run(path, Notes).header.read_from_ns == whole[0][0]


def test_a_relative_catalog_path_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog(tmp_path / "c")
    monkeypatch.chdir(tmp_path)
    assert run(Path("./c"), Trader).header.records > 100


def test_a_run_can_be_cut_to_markets_and_instruments(tmp_path: Path) -> None:
    books = snapshot(1, [("0.39", "50")], [("0.41", "40")])
    path = write(
        tmp_path / "c",
        [market(), market("N")],
        {YES: Tape(books=books), "N-YES.PM": Tape(books=books), "N-NO.PM": Tape(books=books)},
    )
    spec = BacktestSpec(
        strategy=f"{__name__}:Universe", catalog=path, venue_paths={"PM": f"{HERE}:PLAIN"}
    )
    run_backtest(spec)
    assert Universe.seen == ("M-YES.PM", "N-NO.PM", "N-YES.PM")
    run_backtest(replace(spec, markets=("N",)))
    assert Universe.seen == ("N-NO.PM", "N-YES.PM")
    run_backtest(replace(spec, instruments=("N-NO.PM",)))
    assert Universe.seen == ("N-NO.PM",)


class Universe(BetaStrategy):
    seen: tuple = ()

    def on_start(self) -> None:
        Universe.seen = self.universe


# -- spot pairs -------------------------------------------------------------------------------------
class Momentum(BetaStrategy):
    """Buys a coin at the third bar and sells it at the sixth."""

    family = "momentum"

    def on_start(self) -> None:
        self.n = 0
        (self.pair,) = self.universe
        self.watch_bars(f"{self.pair}-1-DAY-LAST-EXTERNAL")

    def on_bar(self, bar) -> None:
        self.n += 1
        close = D(str(bar.close))
        if self.n == 3:
            assert self.fee(self.pair, Side.BUY, Role.TAKER, close, D(1)).fee > 0
            self.buy(self.pair, D("0.01234"), close, reason="in")
        if self.n == 6:
            self.sell(self.pair, self.position(self.pair), close, reason="out")


def test_a_spot_pair_is_traded_on_bars_to_the_micro_dollar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = 86_400
    closes = [1000_00, 1010_00, 1020_07, 1015_00, 1030_00, 1041_13, 1040_00]
    price = np.array(closes, dtype=np.int64)
    with CatalogWriter(tmp_path / "c", name="c", synthetic=True, source="test") as out:
        out.pairs([Pair("BTCUSDT.BINANCE", "BTC", "USDT", 2, 8)])
        out.bars(
            "BTCUSDT.BINANCE-1-DAY-LAST-EXTERNAL",
            BarColumns(
                ts_event=np.array([ns(n * day) for n in range(7)], dtype=np.int64),
                open=price, high=price + 100, low=price - 100, close=price,
                volume=np.full(7, 10**10, dtype=np.int64), price_precision=2, size_precision=8,
            ),
        )  # fmt: skip
    result, direct = both_ways(tmp_path / "c", Momentum, monkeypatch)
    assert result.fills == direct.fills
    assert result.final_cash == direct.final_cash
    cost, proceeds = D("0.01234") * D("1020.07"), D("0.01234") * D("1041.13")
    assert [f.price for f in result.fills] == [D("1020.07"), D("1041.13")]
    assert result.final_cash == 100 - cost + proceeds - result.fees_paid
    assert result.fees_paid > 0
    assert result.header.currency == "USDT"


# -- two ways to bring data in ----------------------------------------------------------------------
def both_ways(path: Path, strategy: type, monkeypatch: pytest.MonkeyPatch, **spec) -> tuple:
    """Run with the engine's own streaming and with direct reading in chunks of 7 rows."""
    from core.engine.backtest import assembly, runners

    streamed = run(path, strategy, **spec)
    monkeypatch.setattr(assembly, "MANY_FILES", 0)
    monkeypatch.setattr(runners, "CHUNK_ROWS", 7)
    return streamed, run(path, strategy, **spec)


@pytest.mark.parametrize("venue", ["PLAIN", "SLOW", "CHARGING"])
def test_direct_reading_and_streaming_decide_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, venue: str
) -> None:
    one, two = both_ways(catalog(tmp_path / "c"), Trader, monkeypatch, venue=venue)
    assert len(one.fills) > 10
    assert one.fills == two.fills
    assert one.decision_hash == two.decision_hash
    assert one.header.records == two.header.records


def test_a_large_run_reads_with_one_thread_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.engine.backtest import runners

    path = catalog(tmp_path / "c")
    monkeypatch.setenv(runners.READERS, "3")
    small = run(path, Trader)
    monkeypatch.setattr(runners, "MANY_ROWS", 1)
    run(path, Trader)
    assert os.environ[runners.READERS] == "3"
    monkeypatch.delenv(runners.READERS)
    assert run(path, Trader).decision_hash == small.decision_hash
    assert os.environ[runners.READERS] == "1"


BOOK = snapshot(1, [("0.39", "50")], [("0.41", "40")]) + level(2, BID, "0.38", "1")
QUOTES = [(float(t), "0.30", f"0.3{t}", "5", "5") for t in range(1, 9)]
TRADES = [(1.0, "0.40", "5", 1), (2.0, "0.41", "6", 2)]


@pytest.mark.parametrize("deep", [True, False])
def test_all_kinds_of_data_are_read_directly_as_they_are_streamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deep: bool
) -> None:
    states = [(1.0, "TRADING"), (2.0, "PAUSE"), (2.5, "TRADING")]
    shape = {"books": BOOK} if deep else {"quotes": QUOTES}
    tapes = {
        YES: Tape(**shape, trades=TRADES, close=(9, "1")),
        NO: Tape(**shape, statuses=states),
    }
    path = write(tmp_path / "c", [market()], tapes)
    Listens.heard = []
    for period in ({}, {"start_ns": ns(2), "end_ns": ns(5)}):
        with monkeypatch.context() as patch:
            one, two = both_ways(path, Listens, patch, **period)
        assert Listens.heard[-1] == Listens.heard[-2]
        assert len(Listens.heard[-1]) > 2
        assert one.decision_hash == two.decision_hash


class TakesBoth(BetaStrategy):
    """Buys at the first ask of each instrument it sees."""

    def on_start(self) -> None:
        self.bought: set[str] = set()
        for iid in self.universe:
            self.watch_book(iid)

    def on_book(self, iid: str) -> None:
        ask = self.best_ask(iid)
        if iid not in self.bought and ask is not None:
            self.bought.add(iid)
            self.buy(iid, D(100), ask.price, reason=iid)


def test_books_and_quotes_of_one_venue_run_together(tmp_path: Path) -> None:
    tapes = {YES: Tape(books=BOOK, close=(9, "1")), "N-YES.PM": Tape(quotes=QUOTES, close=(9, "1"))}
    path = write(tmp_path / "c", [market(), market("N")], tapes)
    result = run(path, TakesBoth)
    filled = {f.instrument_id: (f.price, f.quantity) for f in result.fills if f.role == "taker"}
    assert filled == {YES: (D("0.41"), D(40)), "N-YES.PM": (D("0.31"), D(5))}


def test_books_beside_trades_of_one_venue_are_refused(tmp_path: Path) -> None:
    tapes = {YES: Tape(books=BOOK), "N-YES.PM": Tape(trades=TRADES)}
    path = write(tmp_path / "c", [market(), market("N")], tapes)
    with pytest.raises(UsageError, match="cannot be run together") as caught:
        run(path, TakesBoth)
    assert "--market M " in caught.value.mend
    assert run(path, TakesBoth, markets=("M",)).fills


class Listens(BetaStrategy):
    """Writes down everything it hears, in order."""

    heard: list = []

    def on_start(self) -> None:
        Listens.heard.append([])
        for iid in self.universe:
            self.watch_book(iid)
            self.watch_quotes(iid)
            self.watch_trades(iid)

    def note(self, *what) -> None:
        Listens.heard[-1].append((self.now_ns, *map(str, what)))

    def on_book(self, iid: str) -> None:
        self.note("book", iid, *self.top(iid))

    def on_quote(self, quote) -> None:
        self.note("quote", quote)

    def on_trade(self, trade) -> None:
        self.note("trade", trade)

    def on_settlement(self, iid: str, payout) -> None:
        self.note("settled", iid, payout)


# -- fees and other data ----------------------------------------------------------------------------
class RestsThenFills(BetaStrategy):
    """Rests a bid that is filled much later, and takes at once."""

    def on_start(self) -> None:
        self.n = 0
        self.watch_book(YES)

    def on_book(self, iid: str) -> None:
        self.n += 1
        if self.n == 1:
            self.buy(iid, D(5), D("0.41"), reason="take")
            self.buy(iid, D(5), D("0.39"), tif=TimeInForce.GTC, reason="rest")


def test_a_fill_is_charged_by_the_rule_in_force_at_its_own_time(tmp_path: Path) -> None:
    rows = snapshot(1, [("0.38", "50")], [("0.41", "40")]) + level(9, BID, "0.30", "1")
    trades = [(5.0, "0.39", "50", 2)]
    path = write(
        tmp_path / "c", [market()], {YES: Tape(books=rows, trades=trades, close=(20, "1"))}
    )
    result = run(path, RestsThenFills, venue="DATED")
    assert [(f.role, f.fee_rule, f.fee) for f in result.fills if f.role != "settlement"] == [
        ("taker", "old", D("0.01")),
        ("maker", "new", D("0.02")),
    ]
    assert result.header.fee_rules == ("new", "old")


class TakesTrades(BetaStrategy):
    """Buys at the traded price where there is no book."""

    def on_start(self) -> None:
        self.n = 0
        self.watch_trades(YES)

    def on_trade(self, trade) -> None:
        self.n += 1
        assert self.best_bid(YES) is None
        if self.n == 2:
            self.buy(YES, D(5), D(str(trade.price)), reason="in")
            assert self.equity() == 100


def test_an_instrument_with_trades_only_is_filled_at_traded_prices(tmp_path: Path) -> None:
    trades = [(float(t), p, "40", 1) for t, p in ((1, "0.40"), (2, "0.42"), (3, "0.44"))]
    path = write(tmp_path / "c", [market()], {YES: Tape(trades=trades, close=(20, "1"))})
    result = run(path, TakesTrades)
    assert [(f.price, f.quantity) for f in result.fills if f.role == "taker"] == [(D("0.42"), D(5))]
    assert result.final_cash == 100 - 5 * D("0.42") + 5
    assert any("trades only" in w and "cheaper" in w for w in result.warnings)


class ReadsQuotes(BetaStrategy):
    """Acts on bid and ask only."""

    def on_start(self) -> None:
        self.watch_quotes(YES)
        self.watch_trades(YES)

    def on_trade(self, trade) -> None:
        assert self.best_ask(YES) is None


def test_a_strategy_that_reads_quotes_is_told_why_it_did_not_trade_on_trades(
    tmp_path: Path,
) -> None:
    trades = [(float(t), "0.40", "40", 1) for t in range(1, 9)]
    path = write(tmp_path / "c", [market()], {YES: Tape(trades=trades, close=(20, "1"))})
    result = run(path, ReadsQuotes)
    assert not result.fills
    assert any("no bid or ask is known" in w for w in result.warnings)


# -- rows -------------------------------------------------------------------------------------------
def test_a_ledger_holds_the_chain_from_data_to_settlement(tmp_path: Path) -> None:
    path = catalog(tmp_path / "c")
    plain = run(path, Trader, venue="SLOW")
    kept = run(path, Trader, venue="SLOW", ledger=tmp_path / "ledger")
    assert kept.decision_hash == plain.decision_hash
    fill = next(f for f in kept.fills if f.role == "taker")
    assert fill.ledger_seq > 0
    from core.ledger.reader import LedgerReader

    reader = LedgerReader(tmp_path / "ledger")
    chain = [row.kind.split("@")[0] for _, row in reader.ancestors(fill.ledger_seq)]
    assert chain[0] == "order.filled"
    needed = {"order.accepted", "order.intent", "verdict", "proposal", "forecast", "data.snapshot"}
    assert needed <= set(chain)
    kinds = {row.kind.split("@")[0] for row in reader.rows()}
    assert {"run.started", "data.manifest", "account", "settlement", "run.ended"} <= kinds


# -- bad input --------------------------------------------------------------------------------------
def test_bad_specs_are_typed_errors(tmp_path: Path) -> None:
    path = catalog(tmp_path / "c")
    bad: list[tuple[type[BetaError], dict]] = [
        (UsageError, {"capital": D(0)}),
        (UsageError, {"capital": D("NaN")}),
        (UsageError, {"markets": ("X",)}),
        (UsageError, {"instruments": ("M-YEZ.PM",)}),
        (UsageError, {"start_ns": 5, "end_ns": 5}),
        (MissingData, {"start_ns": ns(10**6)}),
    ]
    for error, change in bad:
        with pytest.raises(error):
            run(path, Trader, **change)
    for name, error in {
        "nowhere.module:X": UsageError,
        f"{__name__}:Nope": UsageError,
        f"{__name__}:catalog": StrategyError,
        "": UsageError,
        "noclass": UsageError,
    }.items():
        with pytest.raises(error):
            run(path, name)
    with pytest.raises(MissingData):
        run(tmp_path / "nothing", Trader)
    with pytest.raises(UsageError, match="unknown venue"):
        run_backtest(BacktestSpec(strategy=f"{__name__}:Trader", catalog=path))


def test_progress_is_told(tmp_path: Path) -> None:
    calls: list[tuple[int, int, int]] = []
    path = catalog(tmp_path / "c")
    spec = BacktestSpec(
        strategy=f"{__name__}:Trader", catalog=path, venue_paths={"PM": f"{HERE}:PLAIN"}
    )
    result = run_backtest(spec, lambda *args: calls.append(args))
    assert len(calls) > 100
    assert [c[0] for c in calls] == sorted(c[0] for c in calls)
    assert calls[-1][1] >= result.header.records * 0.9


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(catalog(tmp_path / "c"), Trader)
    assert capfd.readouterr() == ("", "")
