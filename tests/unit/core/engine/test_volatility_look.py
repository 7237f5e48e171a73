"""A backtest shows its prices to the volatility governor on a fixed step, the same in every run."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from core.engine.strategy import BetaStrategy, StrategyConfig
from core.ledger.kinds import StateChanged
from core.ledger.reader import LedgerReader
from tests.unit.core.engine.rig import Tape, market, run, write

YES = "M-YES.PM"


class Idle(BetaStrategy):
    """Watches one market and notes what the gate leaves of its limits."""

    config_type = StrategyConfig

    def on_start(self) -> None:
        self.watch_quotes(YES)


def moving(path: Path) -> Path:
    """Two hours of one-cent moves, half an hour of ten-cent moves, four calm hours; a quote a minute."""
    steps = [1, -1] * 60 + [10, -10] * 15 + [1, -1] * 120
    quotes, cents = [], 50
    for minute, step in enumerate(steps):
        cents += step
        bid, ask = f"{Decimal(cents) / 100:.3f}", f"{Decimal(cents + 1) / 100:.3f}"
        quotes.append((60.0 * minute + 1, bid, ask, "100", "100"))
    return write(path, [market()], {YES: Tape(quotes=quotes)})


def moves(folder: Path) -> list[tuple[str, str]]:
    rows = (row.decoded() for row in LedgerReader(folder).rows())
    return [
        (r.subject, r.after)
        for r in rows
        if isinstance(r, StateChanged) and r.machine == "volatility"
    ]


def test_a_burst_halves_the_limits_and_its_end_restores_them(tmp_path: Path) -> None:
    path = moving(tmp_path / "c")
    first = run(path, Idle, limits="usd100", ledger=tmp_path / "a")
    assert moves(tmp_path / "a") == [("M", "HIGH"), ("M", "CALM")]
    again = run(path, Idle, limits="usd100", ledger=tmp_path / "b")
    assert first.decision_hash == again.decision_hash


def test_without_limits_nobody_looks(tmp_path: Path) -> None:
    run(moving(tmp_path / "c"), Idle, limits="research", ledger=tmp_path / "a")
    assert moves(tmp_path / "a") == []
