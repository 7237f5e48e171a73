"""The books folded from a run's ledger and the run's own result are two accounts of the same money."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from core.ledger.projections import Projections
from core.ledger.verify import verify
from tests.unit.core.engine.rig import run
from tests.unit.core.engine.test_backtest_run import Trader, catalog


def test_folded_positions_trades_and_fees_equal_the_result_to_the_last_digit(
    tmp_path: Path,
) -> None:
    result = run(catalog(tmp_path / "c"), Trader, venue="SLOW", ledger=tmp_path / "ledger")
    assert verify(tmp_path / "ledger").ok
    with Projections(tmp_path / "ledger") as books:
        books.catch_up()
        orders = books.query("SELECT * FROM orders")
        fills = books.query("SELECT * FROM fills")
        trades = books.query("SELECT * FROM trades")
        (totals,) = books.query("SELECT * FROM totals")
        assert books.query("SELECT * FROM anomalies") == []
    traded = [f for f in result.fills if f.role != "settlement"]
    assert len(traded) == len(fills) > 0
    cash = sum(
        (f.quantity * f.price * (1 if f.side == "SELL" else -1) for f in result.fills), Decimal(0)
    )
    fees = sum((f.fee for f in result.fills), Decimal(0))
    assert Decimal(str(totals["fees"])) == fees
    assert totals["open_positions"] == 0
    assert Decimal(str(totals["realized_pnl"])) == cash - fees
    for order in orders:
        own = [f for f in traded if f.order_id == order["client_order_id"]]
        assert Decimal(str(order["filled"])) == sum((f.quantity for f in own), Decimal(0))
        assert Decimal(str(order["fees"])) == sum((f.fee for f in own), Decimal(0))
    assert orders
    assert all(o["strategy_version"] == result.header.strategy_version for o in orders)
    assert all(t["strategy_version"] == result.header.strategy_version for t in trades)
    (ended,) = [r for r in _runs(tmp_path / "ledger") if r["outcome"] == "ended"]
    assert ended["first_seq"] == 2


def _runs(directory: Path) -> list[dict[str, str | int | None]]:
    with Projections(directory) as books:
        return books.query("SELECT * FROM runs")
