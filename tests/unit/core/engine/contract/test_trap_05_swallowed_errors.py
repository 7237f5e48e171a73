"""Trap 5: exceptions in callbacks are logged and the run goes on, KeyboardInterrupt and SystemExit too."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from core.domain.errors import StrategyError, UsageError
from core.engine.strategy import BetaStrategy, StrategyConfig
from tests.unit.core.engine.contract import bare
from tests.unit.core.engine.rig import BID, D, S, Tape, level, market, run, snapshot, write

YES = "M-YES.PM"
SEEN: list[str] = []


class Config(StrategyConfig):
    where: str = "on_book"
    error: str = "ValueError"


ERRORS = {
    "ValueError": ValueError("planted"),
    "KeyboardInterrupt": KeyboardInterrupt(),
    "SystemExit": SystemExit(3),
    "UsageError": UsageError("planted"),
}


class Breaks(BetaStrategy):
    """Raises in one callback."""

    config_type = Config
    config: Config

    def maybe(self, where: str) -> None:
        SEEN.append(where)
        if self.config.where == where:
            raise ERRORS[self.config.error]

    def on_start(self) -> None:
        self.maybe("on_start")
        self.watch_book(YES)
        self.watch_quotes(YES)
        self.watch_trades(YES)
        self.clock.set_time_alert_ns("alarm", self.clock.timestamp_ns() + S // 2)

    def on_book(self, iid: str) -> None:
        self.maybe("on_book")
        self.buy(iid, D(10), D("0.40"))
        self.buy(iid, D(10), D("1.40"))

    def on_quote(self, quote) -> None:
        self.maybe("on_quote")

    def on_trade(self, trade) -> None:
        self.maybe("on_trade")

    def on_fill(self, fill) -> None:
        self.maybe("on_fill")

    def on_refused(self, intent, refusal) -> None:
        self.maybe("on_refused")

    def on_settlement(self, iid: str, payout) -> None:
        self.maybe("on_settlement")

    def on_time_event(self, event) -> None:
        self.maybe("on_time_event")

    def on_order_done(self, client_order_id: str, status: str) -> None:
        self.maybe("on_order_done")

    def on_stop(self) -> None:
        self.maybe("on_stop")


def catalog(path: Path) -> Path:
    rows = snapshot(1, [("0.39", "50")], [("0.40", "4")])
    for n in range(2, 50):
        rows += level(n, BID, f"0.3{n % 9}", str(n))
    return write(
        path,
        [market()],
        {YES: Tape(books=rows, trades=[(2.5, "0.40", "5", 1)], close=(60, "1"))},
    )


WHERE = [
    "on_start",
    "on_book",
    "on_quote",
    "on_trade",
    "on_fill",
    "on_refused",
    "on_settlement",
    "on_time_event",
    "on_order_done",
    "on_stop",
]


def test_the_engine_goes_on_after_an_error() -> None:
    def boom(s) -> None:
        raise SystemExit(1)

    s, _ = bare.play([bare.quote(t, 0.39, 0.40) for t in (1, 2, 3)], {1: boom})
    assert s.n == 3


@pytest.mark.parametrize("where", WHERE)
def test_an_error_in_any_callback_stops_the_run_and_is_raised(tmp_path: Path, where: str) -> None:
    SEEN.clear()
    with pytest.raises(StrategyError) as caught:
        run(catalog(tmp_path / "c"), Breaks, params={"where": where})
    assert f"Breaks.{where} raised ValueError" in str(caught.value)
    assert "planted" in str(caught.value)
    if where == "on_book":
        assert SEEN.count("on_book") == 1, "the run must stop at this event"


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "UsageError"])
def test_interrupts_and_typed_errors_come_out_as_they_are(tmp_path: Path, error: str) -> None:
    with pytest.raises(type(ERRORS[error])):
        run(catalog(tmp_path / "c"), Breaks, params={"error": error})


def test_a_strategy_that_exits_the_process_is_an_error_not_a_quiet_success(tmp_path: Path) -> None:
    with pytest.raises(StrategyError, match="raised SystemExit"):
        run(catalog(tmp_path / "c"), Breaks, params={"error": "SystemExit"})


def test_a_fee_model_that_raises_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(StrategyError, match="fee rule missing"):
        run(catalog(tmp_path / "c"), Breaks, params={"where": "never"}, venue="RAISING")


class Interrupted(BetaStrategy):
    """Sends its own process a Ctrl-C at the third book."""

    def on_start(self) -> None:
        SEEN.clear()
        self.watch_book(YES)

    def on_book(self, iid: str) -> None:
        SEEN.append("book")
        if len(SEEN) == 3:
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_ends_the_run_with_a_flagged_result(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    result = run(catalog(tmp_path / "c"), Interrupted)
    assert result.header.interrupted
    assert "Interrupted" in result.warnings[0]
    assert len(SEEN) < 10
    assert signal.getsignal(signal.SIGINT) is before
