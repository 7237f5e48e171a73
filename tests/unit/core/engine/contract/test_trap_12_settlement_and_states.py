"""Closes that the engine ignores or takes twice, and trading states that do not stop its matching."""

from __future__ import annotations

from pathlib import Path

import pytest
from nautilus_trader.model import (
    InstrumentClose,
    InstrumentCloseType,
    InstrumentId,
    InstrumentStatus,
    MarketStatusAction,
    Price,
)
from nautilus_trader.persistence import ParquetDataCatalog

from core.domain.decision import TimeInForce
from core.domain.errors import CorruptData
from core.engine.backtest import run as runner
from core.engine.strategy import BetaStrategy
from tests.unit.core.engine.contract import bare
from tests.unit.core.engine.rig import ASK, BID, D, Tape, level, market, ns, run, snapshot, write

YES, NO = "M-YES.PM", "M-NO.PM"
NATIVE = InstrumentId.from_str(YES)
EXPIRED = InstrumentCloseType.CONTRACT_EXPIRED


class Holds(BetaStrategy):
    """Buys 100 at the first book; tries again, and rests a bid, at every later one."""

    def on_start(self) -> None:
        self.n = 0
        self.watch_book(YES)

    def on_book(self, iid: str) -> None:
        self.n += 1
        if self.n == 1:
            self.buy(iid, D(100), D("0.40"), reason="first")
            self.buy(iid, D(10), D("0.20"), tif=TimeInForce.GTC, reason="rest")
        else:
            self.buy(iid, D(1), D("0.40"), reason=f"again-{self.n}")


def catalog(path: Path, **tape) -> Path:
    rows = snapshot(1, [("0.39", "100")], [("0.40", "500")])
    for n in range(4, 9):
        rows += level(n, BID, "0.38", str(n))
    return write(path, [market()], {YES: Tape(books=rows, **tape)})


def inject(path: Path, monkeypatch: pytest.MonkeyPatch, closes=(), statuses=()) -> None:
    """Put rows into a catalog that our writer would refuse."""
    monkeypatch.setattr(runner, "require_whole", lambda catalog: None)
    store = ParquetDataCatalog(str(path))
    if closes:
        store.write_instrument_closes(list(closes), skip_disjoint_check=True)
    if statuses:
        store.write_instrument_statuses(list(statuses), skip_disjoint_check=True)


def close_at(t: float, price: str, kind=EXPIRED) -> InstrumentClose:
    return InstrumentClose(NATIVE, Price.from_str(price), kind, ns(t), ns(t))


# -- closes -----------------------------------------------------------------------------------------
def test_a_second_close_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = catalog(tmp_path / "c", close=(10, "1"))
    inject(path, monkeypatch, closes=[close_at(11, "0.0000")])
    result = run(path, Holds)
    assert [s.payout for s in result.settlements] == [1]
    assert result.final_cash == 100 - 40 - 5 * D("0.40") + 105


def test_an_end_of_session_close_settles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = catalog(tmp_path / "c", close=(10, "1"))
    inject(path, monkeypatch, closes=[close_at(3, "0.7000", InstrumentCloseType.END_OF_SESSION)])
    result = run(path, Holds)
    assert [(s.ts_ns, s.payout) for s in result.settlements] == [(ns(10), 1)]
    assert [o.code for o in result.orders if o.status == "REFUSED"] == []


def test_the_engine_leaves_a_position_open_on_a_close_with_more_decimals() -> None:
    data = [bare.quote(1, 0.39, 0.40), bare.quote(2, 0.39, 0.40), bare.close(3, Price(0.33333, 5))]
    _, cash = bare.play(data, {1: lambda s: s.limit(bare.BUY, 100, 0.40, bare.IOC)})
    assert cash == 960


def test_a_close_with_more_decimals_stops_the_run_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = catalog(tmp_path / "c", close=(20, "1"))
    inject(path, monkeypatch, closes=[close_at(9, "0.33333")])
    with pytest.raises(CorruptData, match="more decimals"):
        run(path, Holds)


def test_the_writer_refuses_a_close_with_more_decimals(tmp_path: Path) -> None:
    with pytest.raises(CorruptData):
        catalog(tmp_path / "c", close=(9, "0.33333"))


def test_expiry_without_a_close_leaves_the_position_open_in_the_engine() -> None:
    data = [bare.quote(1, 0.39, 0.40), bare.quote(2, 0.39, 0.40), bare.quote(99, 0.39, 0.40)]
    script = {1: lambda s: s.limit(bare.BUY, 100, 0.40, bare.IOC)}
    _, cash = bare.play(data, script)
    assert cash == 960


def test_catalog_instruments_do_not_expire_before_their_settlement(tmp_path: Path) -> None:
    path = catalog(tmp_path / "c", close=(10, "1"))
    (native,) = [i for i in ParquetDataCatalog(str(path)).instruments() if str(i.id) == YES]
    assert native.expiration_ns > ns(10**8)


# -- states -----------------------------------------------------------------------------------------
STOPS = [
    "HALT", "PAUSE", "SUSPEND", "CLOSE", "PRE_OPEN", "QUOTING", "PRE_CLOSE", "POST_CLOSE",
    "NOT_AVAILABLE_FOR_TRADING",
]  # fmt: skip


@pytest.mark.parametrize("action", STOPS)
def test_no_order_passes_while_a_market_does_not_trade(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    path = catalog(tmp_path / "c", statuses=[(0.5, "TRADING")], close=(20, "1"))
    status = InstrumentStatus(NATIVE, getattr(MarketStatusAction, action), ns(3), ns(3), "test")
    inject(path, monkeypatch, statuses=[status])
    result = run(path, Holds)
    by_reason = {o.reason: o for o in result.orders}
    assert by_reason["first"].status == "FILLED"
    assert {o.code for r, o in by_reason.items() if r.startswith("again")} == {"MARKET_CLOSED"}
    assert by_reason["rest"].status == "CANCELED"


def test_the_engine_itself_goes_on_after_post_close() -> None:
    status = InstrumentStatus(
        bare.YES.id, MarketStatusAction.POST_CLOSE, bare.at(2), bare.at(2), "test"
    )
    data = [bare.quote(1, 0.39, 0.40), status, bare.quote(3, 0.39, 0.40), bare.quote(4, 0.39, 0.40)]
    s, _ = bare.play(data, {2: lambda s: s.limit(bare.BUY, 10, 0.40, bare.IOC)})
    assert s.fills


def test_trading_again_lets_orders_pass_again(tmp_path: Path) -> None:
    states = [(0.5, "TRADING"), (3.5, "PAUSE"), (6.5, "TRADING")]
    path = catalog(tmp_path / "c", statuses=states, close=(20, "1"))
    result = run(path, Holds)
    codes = {o.reason: o.code for o in result.orders if o.reason.startswith("again")}
    assert codes == {
        "again-2": "MARKET_CLOSED",
        "again-3": "MARKET_CLOSED",
        "again-4": "MARKET_CLOSED",
        "again-5": "",
        "again-6": "",
    }


def test_a_paused_market_does_not_fill_what_rests(tmp_path: Path) -> None:
    rows = snapshot(1, [("0.39", "100")], [("0.40", "500")]) + level(4, ASK, "0.15", "500")
    tape = Tape(books=rows, statuses=[(0.5, "TRADING"), (3, "PAUSE")], close=(20, "0"))
    path = write(tmp_path / "c", [market()], {YES: tape})
    result = run(path, Holds)
    assert [f.price for f in result.fills if f.role == "maker"] == []


# -- what must not leak -----------------------------------------------------------------------------
class Peeks(BetaStrategy):
    """Looks for the end of its market before it happens."""

    def on_start(self) -> None:
        for m in self.markets.values():
            assert not m.resolved
            assert all(o.payout is None for o in m.outcomes)
            assert m.status == "active"
            assert set(m.info) == {"rules"}


def test_a_strategy_cannot_see_how_a_market_ends(tmp_path: Path) -> None:
    known = market(info={"result": "yes", "settlement_value": "1", "rules": "text"})
    ended = known.resolved_as((D(1), D(0)))
    rows = snapshot(1, [("0.39", "100")], [("0.40", "500")])
    path = write(tmp_path / "c", [ended], {YES: Tape(books=rows, close=(9, "1"))})
    run(path, Peeks)
