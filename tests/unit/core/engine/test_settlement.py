"""The settlement matrix, to the micro-dollar, through catalog, engine, gate and result."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from core.domain.decision import TimeInForce
from core.engine.catalog import F_LAST
from core.engine.strategy import BetaStrategy, StrategyConfig
from tests.unit.core.engine.rig import ASK, BID, CLEAR, D, Tape, level, market, run, snapshot, write

YES, NO = "M-YES.PM", "M-NO.PM"


class Config(StrategyConfig):
    price: Decimal = D("0.40")
    tif: str = "IOC"
    late: bool = False


class BuyOnce(BetaStrategy):
    """Buys 100 YES at the first book, and after the close once more when told to."""

    config_type = Config
    config: Config

    def on_start(self) -> None:
        self.seen = 0
        self.told: list[tuple[str, Decimal]] = []
        self.watch_book(YES)

    def on_book(self, iid: str) -> None:
        self.seen += 1
        if self.seen == 1 or self.config.late:
            self.buy(iid, D(100), self.config.price, tif=TimeInForce(self.config.tif), reason="in")

    def on_settlement(self, iid: str, payout: Decimal) -> None:
        assert self.position(iid) == 0
        self.told.append((iid, payout))


def book(tmp_path: Path, payout: str | None, extra: list | None = None, **market_fields) -> Path:
    rows = snapshot(1, [("0.39", "100")], [("0.40", "100")]) + (extra or [])
    close = (10.0, payout) if payout is not None else None
    no_close = (10.0, str(1 - D(payout))) if payout is not None else None
    no_rows = snapshot(1, [("0.60", "100")], [("0.61", "100")])
    return write(
        tmp_path / "catalog",
        [market(**market_fields)],
        {YES: Tape(books=rows, close=close), NO: Tape(books=no_rows, close=no_close)},
    )


@pytest.mark.parametrize(
    ("payout", "cash"),
    [("1", "160"), ("0", "60"), ("0.5", "110"), ("0.3333", "93.33"), ("0.0001", "60.01")],
)
def test_each_payout_is_paid_to_the_micro_dollar(tmp_path: Path, payout: str, cash: str) -> None:
    result = run(book(tmp_path, payout), BuyOnce)
    assert result.final_cash == result.final_equity == D(cash)
    (row,) = result.settlements
    assert (row.payout, row.quantity, row.proceeds) == (D(payout), D(100), 100 * D(payout))
    (m,) = result.markets
    assert m.pnl == D(cash) - 100
    assert m.resolved
    assert m.payout == D(payout)
    assert m.exit_reasons == {"settlement": 1}
    assert result.unresolved == []


def test_a_book_that_is_emptied_before_the_settlement_is_no_drawdown(tmp_path: Path) -> None:
    emptied = [[5.0, CLEAR, 0, "0", "0", F_LAST]]
    result = run(book(tmp_path, "1", emptied), BuyOnce)
    held = result.equity.exposure > 0
    assert held.any()
    # The last bid (0.39 a share, bought at 0.40) stands until the payout.
    assert result.equity.equity.min() == pytest.approx(99.0)
    assert result.equity.equity[-1] == pytest.approx(160.0)


def test_a_fee_is_charged_on_the_trade_and_never_on_the_settlement_leg(tmp_path: Path) -> None:
    for payout in ("1", "0.5", "0"):
        path = tmp_path / payout
        path.mkdir()
        result = run(book(path, payout), BuyOnce, venue="CHARGING")
        fee = D("0.07") * D("0.4") * D("0.6") * 100
        assert result.fees_paid == fee
        assert result.final_cash == 60 - fee + 100 * D(payout)
        assert [f.fee for f in result.fills if f.role == "settlement"] == [0]
        assert result.header.fee_rules == ("flat-0.07",)


def test_a_position_without_a_close_in_the_data_is_reported_as_unresolved(tmp_path: Path) -> None:
    result = run(book(tmp_path, None), BuyOnce)
    (m,) = result.unresolved
    assert (m.open_quantity, m.open_value) == (D(100), D("39.00"))
    assert result.final_cash == 60
    assert result.final_equity == 99
    assert "unresolved" in result.warnings[0]


def test_an_order_resting_at_the_close_is_cancelled_and_its_money_freed(tmp_path: Path) -> None:
    result = run(book(tmp_path, "1"), BuyOnce, params={"price": "0.30", "tif": "GTC"})
    (order,) = result.orders
    assert order.status == "CANCELED"
    assert result.final_cash == 100
    assert result.fills == []


def test_an_order_after_the_settlement_is_refused(tmp_path: Path) -> None:
    extra = level(12, BID, "0.35", "10")
    result = run(book(tmp_path, "1", extra), BuyOnce, params={"late": True})
    assert [o.status for o in result.orders] == ["FILLED", "REFUSED"]
    assert result.orders[1].code == "MARKET_CLOSED"
    assert result.final_cash == 160


def test_an_order_after_the_trading_end_is_refused_before_the_settlement(tmp_path: Path) -> None:
    from tests.unit.core.engine.rig import ns

    extra = level(5, BID, "0.35", "10")
    path = book(tmp_path, "1", extra, close_ns=ns(4))
    result = run(path, BuyOnce, params={"late": True})
    assert [o.status for o in result.orders] == ["FILLED", "REFUSED"]
    assert result.orders[1].code == "MARKET_CLOSED"


def test_a_resting_order_does_not_outlive_the_trading_end(tmp_path: Path) -> None:
    from tests.unit.core.engine.rig import ns

    extra = level(5, ASK, "0.40", "0") + level(6, ASK, "0.30", "500")
    path = book(tmp_path, "1", extra, close_ns=ns(4))
    result = run(path, BuyOnce, params={"price": "0.30", "tif": "GTC"})
    (order,) = result.orders
    assert order.status == "EXPIRED"
    assert result.fills == []


def test_an_early_close_settles_at_its_time(tmp_path: Path) -> None:
    from tests.unit.core.engine.rig import ns

    path = book(tmp_path, "1", close_ns=ns(3600))
    result = run(path, BuyOnce)
    assert result.settlements[0].ts_ns == ns(10)
    assert result.final_cash == 160
