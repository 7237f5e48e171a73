"""Order paths of the engine that would go around the gate, and orders that are not what they seem."""

from __future__ import annotations

import ast
import threading
from pathlib import Path

import pytest
from nautilus_trader.model import ClientOrderId, InstrumentId, OrderSide, Price, Quantity
from nautilus_trader.model import TimeInForce as EngineTif

from core.domain.decision import Forecast, TimeInForce
from core.domain.errors import StrategyError, UsageError
from core.engine.strategy import BetaStrategy, StrategyConfig
from core.ledger.projections import Projections
from core.ledger.reader import LedgerReader
from core.risk.gate import Gate
from tests.unit.core.engine.contract import bare
from tests.unit.core.engine.rig import BID, D, Tape, level, market, ns, run, snapshot, write

YES = "M-YES.PM"
ENGINE_POSITIONS = {
    *("positions_open", "positions_closed", "positions_total_count", "position_for_order"),
    *(
        "portfolio",
        "net_position",
        "net_exposure",
        "net_exposures",
        "is_flat",
        "is_net_long",
        "is_net_short",
    ),
    *("is_completely_flat", "unrealized_pnl", "unrealized_pnls", "mark_values"),
}
NATIVE = InstrumentId.from_str(YES)


def px(value: str) -> Price:
    return Price(float(value), 4)


def qty(value: str) -> Quantity:
    return Quantity(float(value), 2)


def catalog(path: Path, events: int = 9) -> Path:
    rows = snapshot(1, [("0.39", "500")], [("0.40", "500")])
    for n in range(2, events + 1):
        rows += level(n, BID, "0.30", str(n))
    return write(path, [market()], {YES: Tape(books=rows, close=(99, "1"))})


class Scripted(BetaStrategy):
    """Runs `script[n]` at the n-th book."""

    script: dict = {}

    def on_start(self) -> None:
        self.n = 0
        self.watch_book(YES)

    def on_book(self, iid: str) -> None:
        self.n += 1
        if self.n in self.script:
            self.script[self.n](self)


def play(tmp_path: Path, script: dict, **spec):
    Scripted.script = script
    return run(catalog(tmp_path / "c"), Scripted, **spec)


def buy_100(s) -> None:
    s.buy(YES, D(100), D("0.40"), reason="in")


def raw_limit(s, side=OrderSide.BUY, price="0.4000", size="10", **kw):
    return s.order_factory.limit(NATIVE, side, qty(size), px(price), EngineTif.GTC, **kw)


PATHS = {
    "submit_order": lambda s: s.submit_order(raw_limit(s)),
    "submit_order_list": lambda s: s.submit_order_list([raw_limit(s), raw_limit(s, price="0.39")]),
    "close_position": lambda s: s.close_position(
        s._bt_cache.positions_open(None, NATIVE, s.strategy_id)[0]
    ),
    "close_all_positions": lambda s: s.close_all_positions(NATIVE),
    "market_exit": lambda s: s.market_exit(),
    "exit": lambda s: s.exit(YES, "out"),
    "buy": lambda s: s.buy(YES, D(1), D("0.40")),
    "sell": lambda s: s.sell(YES, D(1), D("0.39")),
    "modify_order": lambda s: s.modify_order(ClientOrderId(s.rested), qty("5"), px("0.21")),
    "modify_orders": lambda s: s.modify_orders([(ClientOrderId(s.rested), qty("5"), None, None)]),
}


@pytest.mark.parametrize("name", PATHS)
def test_every_way_to_send_an_order_is_reviewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    reviewed: list[str] = []
    real, real_change = Gate.review, Gate.review_change

    def review(self, intent, view):
        reviewed.append("new")
        return real(self, intent, view)

    def review_change(self, *args):
        reviewed.append("change")
        return real_change(self, *args)

    monkeypatch.setattr(Gate, "review", review)
    monkeypatch.setattr(Gate, "review_change", review_change)

    def prepare(s) -> None:
        buy_100(s)
        s.rested = s.buy(YES, D(10), D("0.20"), tif=TimeInForce.GTC)

    def act(s) -> None:
        reviewed.clear()
        PATHS[name](s)

    result = play(tmp_path, {1: prepare, 3: act})
    assert reviewed, name
    sent = [o for o in result.orders if o.status != "REFUSED"]
    assert len(sent) >= 2


HOLDINGS = {
    "portfolio": lambda s: s.portfolio.net_position(NATIVE),
    "cache.positions_open": lambda s: s.cache.positions_open(),
    "cache.position": lambda s: s.cache.position(None),
    "cache.position_for_order": lambda s: s.cache.position_for_order(None),
}


@pytest.mark.parametrize("name", HOLDINGS)
def test_no_strategy_decides_on_the_engines_positions(tmp_path: Path, name: str) -> None:
    def read(s) -> None:
        assert s.cache.order_book(NATIVE) is not None and s.cache.orders()
        HOLDINGS[name](s)

    with pytest.raises(StrategyError, match="not what the account holds") as caught:
        play(tmp_path, {1: buy_100, 3: read})
    assert f"Scripted reads self.{name}" in str(caught.value.seen)
    assert "self.position(iid)" in caught.value.mend


@pytest.mark.parametrize("name", ["opened", "changed", "closed", "event"])
def test_no_strategy_hears_of_the_engines_positions(name: str) -> None:
    with pytest.raises(StrategyError, match="replaces methods"):
        type("Hears", (BetaStrategy,), {f"on_position_{name}": lambda self, event: None})


def test_nothing_of_the_platform_reads_the_engines_positions() -> None:
    """Those who name them free orders and markets that are over."""
    root, reads = Path(__file__).resolve().parents[5], []
    for folder in ("core", "adapters", "strategies", "signals", "routing", "intel", "console"):
        for path in sorted((root / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and node.attr in ENGINE_POSITIONS:
                    reads.append((path.relative_to(root).as_posix(), node.attr))
    assert set(reads) == {
        ("core/engine/live/closed.py", "positions_closed"),
        ("core/engine/live/paid_out.py", "positions_total_count"),
    }


def test_the_engine_lets_close_position_go_around_submit_order() -> None:
    seen = []

    class Spy(bare.Bare):
        def submit_order(self, *args) -> None:
            seen.append("seen")
            super().submit_order(*args)

    script = {
        1: lambda s: s.limit(bare.BUY, 10, 0.40, bare.IOC),
        2: lambda s: s.close_all_positions(bare.YES.id),
    }
    s, _ = bare.play([bare.quote(t, 0.39, 0.40) for t in (1, 2, 3)], script, Spy)
    assert len(s.fills) == 2
    assert seen == ["seen"]


def test_an_approval_is_redeemed_once_per_order_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redeemed = []
    real = Gate.redeem

    def redeem(self, approved, *args):
        redeemed.append(approved.nonce)
        return real(self, approved, *args)

    monkeypatch.setattr(Gate, "redeem", redeem)
    play(tmp_path, {1: buy_100, 2: buy_100})
    assert len(redeemed) == len(set(redeemed)) == 2


# -- exits ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("venue", ["PLAIN", "SLOW"])
def test_an_exit_first_takes_back_what_rests_then_sells(tmp_path: Path, venue: str) -> None:
    def rest(s) -> None:
        s.sell(YES, D(60), D("0.60"), tif=TimeInForce.GTC, reason="target")
        s.buy(YES, D(10), D("0.20"), tif=TimeInForce.GTC, reason="more")

    script = {1: buy_100, 3: rest, 5: lambda s: s.exit(YES, "stop")}
    result = play(tmp_path, script, venue=venue)
    ends = {o.reason: (o.status, o.filled) for o in result.orders}
    assert ends["target"] == ends["more"] == ("CANCELED", 0)
    assert ends["stop"] == ("FILLED", D(100))
    assert result.markets[0].exit_reasons == {"stop": 1}


def test_a_modified_order_rests_at_its_new_terms(tmp_path: Path) -> None:
    def rest(s) -> None:
        s.rested = s.buy(YES, D(10), D("0.20"), tif=TimeInForce.GTC, reason="rest")

    def change(s) -> None:
        s.modify_order(ClientOrderId(s.rested), qty("50"), px("0.25"))

    def look(s) -> None:
        (record,) = s.working(YES)
        assert (record.quantity, record.limit) == (D(50), D("0.25"))
        assert s.cash() == D(100) - 50 * D("0.25") - D("0.00001")

    result = play(tmp_path, {1: rest, 3: change, 5: look}, venue="SLOW")
    assert (result.orders[0].quantity, result.orders[0].price) == (D(50), D("0.25"))


def rows_of_the_order(folder: Path) -> list[tuple[str, int]]:
    kinds = {"order.accepted", "order.modify_requested", "order.modified",
             "order.modify_rejected", "order.canceled"}  # fmt: skip
    rows = [(r.name, r.ts_event) for r in LedgerReader(folder).rows() if r.name in kinds]
    return [(name.removeprefix("order."), ts) for name, ts in rows]


def test_a_change_is_in_the_ledger_only_once_the_venue_has_made_it(tmp_path: Path) -> None:
    def rest(s) -> None:
        s.rested = s.buy(YES, D(10), D("0.20"), tif=TimeInForce.GTC, reason="rest")

    def change(s) -> None:
        s.modify_order(ClientOrderId(s.rested), qty("50"), px("0.25"))

    play(tmp_path, {1: rest, 3: change}, venue="SLOW", ledger=tmp_path / "ledger")
    (asked,) = [
        ts for name, ts in rows_of_the_order(tmp_path / "ledger") if name == "modify_requested"
    ]
    (made,) = [ts for name, ts in rows_of_the_order(tmp_path / "ledger") if name == "modified"]
    assert made - asked == 75_000_000, "the venue's latency lies between"
    with Projections(tmp_path / "ledger") as books:
        books.catch_up()
        (order,) = books.query("SELECT quantity, price FROM orders")
    assert (order["quantity"], order["price"]) == ("50", "0.25")


def test_a_change_comes_from_the_order_as_it_was_and_from_a_verdict_of_its_own(
    tmp_path: Path,
) -> None:
    def rest(s) -> None:
        s.rested = s.buy(YES, D(10), D("0.20"), tif=TimeInForce.GTC, reason="rest")

    def change(s) -> None:
        s.modify_order(ClientOrderId(s.rested), qty("50"), px("0.25"))

    play(tmp_path, {1: rest, 3: change}, venue="SLOW", ledger=tmp_path / "ledger")
    rows = {r.seq: r for r in LedgerReader(tmp_path / "ledger").rows()}
    (asked,) = [r for r in rows.values() if r.name == "order.modify_requested"]
    before, judged = (rows[p] for p in asked.parent_seqs)
    assert (before.name, judged.name) == ("order.accepted", "verdict")
    first, second = [r.decoded() for r in rows.values() if r.name == "verdict"]
    assert second.approved
    assert second.reserved == 50 * D("0.25") - 10 * D("0.20") > 0, "what it may cost more"
    assert first.nonce != second.nonce
    (snapshot,) = [r for r in rows.values() if r.name == "data.snapshot"]
    (source,) = snapshot.parent_seqs
    assert rows[source].name == "data.manifest"


def test_a_change_that_the_venue_refuses_leaves_the_old_terms_in_every_account(
    tmp_path: Path,
) -> None:
    def rest(s) -> None:
        s.rested = s.buy(YES, D(10), D("0.20"), tif=TimeInForce.GTC, post_only=True, reason="rest")

    def change(s) -> None:  # would cross the ask: a post-only order may not
        s.modify_order(ClientOrderId(s.rested), qty("10"), px("0.40"))

    def look(s) -> None:
        (record,) = s.working(YES)
        assert (record.quantity, record.limit, record.pending) == (D(10), D("0.20"), None)

    play(tmp_path, {1: rest, 3: change, 5: look}, venue="SLOW", ledger=tmp_path / "ledger")
    names = [name for name, _ in rows_of_the_order(tmp_path / "ledger")]
    assert names == ["accepted", "modify_requested", "modify_rejected", "canceled"]
    with Projections(tmp_path / "ledger") as books:
        books.catch_up()
        (order,) = books.query("SELECT quantity, price FROM orders")
    assert (order["quantity"], order["price"]) == ("10", "0.2")


def test_a_change_beyond_the_money_is_refused_and_the_order_stays(tmp_path: Path) -> None:
    def rest(s) -> None:
        s.rested = s.buy(YES, D(10), D("0.20"), tif=TimeInForce.GTC, reason="rest")

    def change(s) -> None:
        s.modify_order(ClientOrderId(s.rested), qty("5000"), px("0.25"))

    result = play(tmp_path, {1: rest, 3: change})
    assert [(o.status, o.quantity) for o in result.orders] == [("CANCELED", 10), ("REFUSED", 5000)]


# -- orders that are not what they seem -------------------------------------------------------------
def test_prices_beyond_the_grid_are_refused_though_the_engine_takes_them(tmp_path: Path) -> None:
    s, _ = bare.play(
        [bare.quote(t, 0.39, 0.40) for t in (1, 2)], {1: lambda s: s.limit(bare.BUY, 10, 1.2)}
    )
    assert s.fills

    def send(s) -> None:
        for price in ("1.2", "1", "0", "-0.1", "0.4005", "NaN"):
            s.buy(YES, D(1), D(price))
        for size in ("0", "-5", "0.001", "NaN"):
            s.buy(YES, D(size), D("0.40"))

    result = play(tmp_path, {1: send})
    assert {o.status for o in result.orders} == {"REFUSED"}
    assert [o.code for o in result.orders[:5]] == ["PRICE_OFF_GRID"] * 5


def test_conditional_orders_are_refused_with_a_reason(tmp_path: Path) -> None:
    def send(s) -> None:
        s.submit_order(s.order_factory.stop_market(NATIVE, OrderSide.SELL, qty("5"), px("0.2")))
        for order in s.order_factory.bracket(
            NATIVE, OrderSide.BUY, qty("5"), tp_price=px("0.6"), sl_trigger_price=px("0.2")
        ):
            s.submit_order(order)

    result = play(tmp_path, {1: send})
    assert "ORDER_TYPE" in {o.code for o in result.orders}
    assert sum(f.quantity for f in result.fills if f.side == "BUY") <= 5
    assert not [f for f in result.fills if f.side == "SELL" and f.role != "settlement"]


def test_a_burst_is_not_denied_by_the_engines_throttle(tmp_path: Path) -> None:
    def burst(s) -> None:
        for _ in range(300):
            s.limit(bare.BUY, 1, 0.10)

    s, _ = bare.play([bare.quote(t, 0.39, 0.40) for t in (1, 2)], {1: burst}, rate="100/00:00:01")
    names = [type(e).__name__ for e in s.order_events]
    assert names.count("OrderDenied") == 200

    def ours(s) -> None:
        for n in range(300):
            s.buy(YES, D(1), D("0.100") + n * D("0.001"), tif=TimeInForce.GTC)

    result = play(tmp_path, {1: ours})
    assert {o.status for o in result.orders} == {"CANCELED"}


def test_cancelling_what_is_not_there_is_harmless_though_the_engine_raises(tmp_path: Path) -> None:
    def send(s) -> None:
        s.cancel("O-unknown")
        s.cancel_all("M-YES.PM")
        done = s.buy(YES, D(1), D("0.40"))
        s.script[3] = lambda s: s.cancel(done)

    result = play(tmp_path, {1: send})
    assert result.orders[0].status == "FILLED"


def test_an_expired_forecast_is_not_traded_on(tmp_path: Path) -> None:
    def send(s) -> None:
        half = D("0.5")
        old = Forecast(YES, half, half, half, ns(0), ns(1), "m")
        assert s.buy(YES, D(1), D("0.40"), forecast=old) is None

    result = play(tmp_path, {1: send})
    assert result.orders[0].code == "FORECAST_EXPIRED"


def test_another_thread_may_not_act(tmp_path: Path) -> None:
    caught: list[BaseException] = []

    def elsewhere(s) -> None:
        def act() -> None:
            try:
                s.buy(YES, D(1), D("0.40"))
            except StrategyError as exc:
                caught.append(exc)

        thread = threading.Thread(target=act)
        thread.start()
        thread.join()

    result = play(tmp_path, {1: elsewhere})
    assert "one thread" in str(caught[0])
    assert result.orders == []


def test_an_unknown_instrument_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not part of this run"):
        play(tmp_path, {1: lambda s: s.buy("X.PM", D(1), D("0.40"))})


# -- classes and parameters -------------------------------------------------------------------------
def test_a_class_that_replaces_a_sealed_method_cannot_be_defined() -> None:
    for name in ("submit_order", "on_order_filled", "market_exit", "_bt_ask"):
        with pytest.raises(StrategyError, match=name):
            type("Bad", (BetaStrategy,), {name: lambda self: None})


class Config(StrategyConfig):
    threshold: float = 0.5


class Tuned(BetaStrategy):
    config_type = Config
    config: Config


def test_unknown_parameters_are_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="threshold"):
        run(catalog(tmp_path / "c"), Tuned, params={"treshold": 0.7})
    with pytest.raises(UsageError, match="threshold"):
        run(tmp_path / "c", Tuned, params={"threshold": "much"})


def test_the_engines_own_config_drops_unknown_parameters() -> None:
    from nautilus_trader.trading import StrategyConfig as EngineConfig

    class Silent(EngineConfig):
        threshold = 0.5

    assert Silent(threshold=0.9).threshold == 0.5


class Indicates(BetaStrategy):
    def on_start(self) -> None:
        from nautilus_trader.indicators import ExponentialMovingAverage
        from nautilus_trader.model import PriceType

        self.watch_quotes(YES)
        self.register_indicator_for_quote_ticks(NATIVE, ExponentialMovingAverage(5, PriceType.MID))
        self.register_indicator_for_quote_ticks(NATIVE, ExponentialMovingAverage(5))


def test_an_indicator_on_quotes_needs_a_price_type(tmp_path: Path) -> None:
    with pytest.raises(StrategyError, match="price type"):
        run(catalog(tmp_path / "c"), Indicates)


def test_an_order_ends_in_a_whole_second_not_later_than_asked_for(tmp_path: Path) -> None:
    """Venues count so: an end between two seconds would be another one in a backtest than at the venue."""
    sent: list[int] = []

    def rest(s) -> None:
        whole = s.now_ns - s.now_ns % 10**9
        for end in (whole + 5 * 10**9 + 700_000_000, s.now_ns + 1):
            cid = s.buy(YES, D(1), D("0.30"), tif=TimeInForce.GTD, expire_ns=end)
            if cid:
                sent.append(s.working(YES)[-1].intent.expire_ns - whole)

    result = play(tmp_path, {1: rest})
    assert sent == [5 * 10**9]
    assert [o.code for o in result.orders][1:] == ["ORDER_EXPIRED"], "that second is over already"
