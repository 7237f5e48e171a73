"""Trap 2: a fill whose cost and fee exceed free cash aborts the engine's run."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from nautilus_trader.execution import ProbabilityPriceFeeModel

from core.engine.strategy import BetaStrategy
from tests.unit.core.engine.contract import bare
from tests.unit.core.engine.rig import D, Tape, market, run, snapshot, write


class AllIn(BetaStrategy):
    """Spends all cash on the ask, fee not thought of; then what the fee leaves."""

    def on_start(self) -> None:
        self.codes: list[str] = []
        self.watch_book("M-YES.PM")

    def on_book(self, iid: str) -> None:
        self.buy(iid, D(250), D("0.40"))
        self.buy(iid, D(230), D("0.40"))

    def on_refused(self, intent, refusal) -> None:
        self.codes.append(refusal.code)


def test_the_engine_aborts_the_run() -> None:
    with pytest.raises(RuntimeError, match="negative"):
        bare.play(
            [bare.quote(1, 0.39, 0.40, 9999), bare.quote(2, 0.39, 0.40, 9999)],
            {1: lambda s: s.limit(bare.BUY, 2499, 0.40, bare.IOC)},
            fee_model=ProbabilityPriceFeeModel(Decimal(0), Decimal("0.07")),
        )


def test_the_gate_counts_the_fee_and_the_run_goes_on(tmp_path: Path) -> None:
    tape = Tape(books=snapshot(1, [("0.39", "50")], [("0.40", "900")]), close=(9, "1"))
    path = write(tmp_path / "c", [market()], {"M-YES.PM": tape})
    result = run(path, AllIn, venue="CHARGING")
    assert [o.status for o in result.orders] == ["REFUSED", "FILLED"]
    # $100 of shares plus fee is more than all money: the first limit that sees it says so.
    assert result.orders[0].code in {"CASH", "ORDER_LIMIT"}
    fee = D("0.07") * D("0.24") * 230
    assert result.final_cash == 100 - 230 * D("0.40") - fee + 230
