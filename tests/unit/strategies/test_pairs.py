"""A pair with one leg filled: what it lacks is bought within the limits, or the leg is sold; nothing is sent in vain."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from core.domain.fees import FeeSchedule
from core.domain.grid import TickGrid
from core.engine.backtest import BacktestSpec, run_backtest
from core.engine.results import RunResult
from tests.unit.core.engine.rig import BID, Tape, level, market, snapshot, write

D = Decimal
YES, NO = "M-YES.POLYMARKET", "M-NO.POLYMARKET"


def lone_leg(path: Path, **terms: object) -> Path:
    """Both bids are quoted at 0.49; YES fills and falls, and NO asks 0.51: 0.49 + 0.51 is a dollar back."""
    yes = snapshot(1, [("0.49", "10"), ("0.46", "900")], [("0.60", "900")])
    yes += level(6, BID, "0.49", "0")
    no = snapshot(1, [("0.49", "900")], [("0.51", "900")])
    for n in range(2, 40):
        no += level(n, BID, "0.30", str(n))  # only to be heard
    tapes = {YES: Tape(books=yes, trades=[(5, "0.49", "400", 2)]), NO: Tape(books=no)}
    schedule = FeeSchedule("POLYMARKET", kind="none")
    grid = TickGrid.uniform(D("0.01"))
    one = market(venue="POLYMARKET", fees=schedule, grid=grid, size_step=D("0.01"), **terms)
    return write(path, [one], tapes)


def run(path: Path, limits: str) -> RunResult:
    return run_backtest(
        BacktestSpec(
            strategy="strategies.polymarket_arb:PolymarketArb",
            catalog=path,
            capital=D(1000),
            limits=limits,
        )
    )


def by_reason(result: RunResult, reason: str) -> list[Decimal]:
    return [f.quantity for f in result.fills if f.reason == reason]


@pytest.mark.parametrize("limits", ["usd100", "research"])
def test_a_pair_is_completed_in_orders_that_the_limits_allow(tmp_path: Path, limits: str) -> None:
    result = run(lone_leg(tmp_path / "c", min_size=D(5)), limits)
    bought = sum(by_reason(result, "pair"))
    parts = by_reason(result, "complete pair")
    assert bought * D("0.51") > 20 or limits == "research"  # as one order it is above 2% of 1000
    assert sum(parts) == bought > 0
    assert min(parts) >= 5
    assert len(parts) == (2 if limits == "usd100" else 1)
    assert [o.code for o in result.orders if o.status == "REFUSED"] == []
    assert result.merged == bought


def test_a_leg_whose_lack_cannot_be_bought_within_the_limits_is_sold(tmp_path: Path) -> None:
    result = run(lone_leg(tmp_path / "c", min_size=D(30)), "usd100")  # no two orders of 30
    assert by_reason(result, "complete pair") == []
    assert sum(by_reason(result, "pair leg out")) == sum(by_reason(result, "pair")) > 0
    assert [o.code for o in result.orders if o.status == "REFUSED"] == []


def test_both_bids_together_keep_the_limit_of_their_market(tmp_path: Path) -> None:
    limits = tmp_path / "l.toml"  # 20 dollars an order, 30 in the market: two bids of 15
    limits.write_text("[exposure]\norder = 0.02\nmarket = 0.03\n[breaker]\nmarket = 0.03\n")
    result = run(lone_leg(tmp_path / "c", min_size=D(5)), str(limits))
    sent = [o for o in result.orders if o.reason == "pair"]
    assert {o.status for o in sent} & {"REFUSED"} == set()
    first = sent[:2]
    assert first[0].quantity == first[1].quantity
    assert D(29) < sum(o.quantity * o.price for o in first) <= D(30)
