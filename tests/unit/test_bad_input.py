"""Bad input, sentence by sentence: a typed error, the documented exit code, and a ledger row where there can be one."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import apsw
import pytest

from core.domain.errors import ExitCode, LedgerLocked
from core.engine.strategy import BetaStrategy
from core.ledger import DurableLedger
from core.ledger.kinds import VerdictGiven
from core.ledger.reader import LedgerReader
from core.ledger.verify import verify
from core.risk import Code
from tests.unit.core.engine.rig import Tape, market, run, snapshot, write
from tests.unit.core.ledger.rows_for_tests import T0, ended, started
from tests.unit.core.risk.world import K2YES, KYES, D, Desk, world

SECOND = 10**9


class Nonsense(BetaStrategy):
    """Asks for sizes that are no sizes, at every book."""

    def on_start(self) -> None:
        self.watch_book("M-YES.PM")

    def on_book(self, iid: str) -> None:
        for size in ("NaN", "-1", "0"):
            self.buy(iid, Decimal(size), Decimal("0.41"))


def beta(cwd: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder of its own."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("BETA_")}
    return subprocess.run(
        [sys.executable, "-m", "console.cli", *args],
        cwd=cwd,
        env=own | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def three_lines(done: subprocess.CompletedProcess[str]) -> bool:
    """Return whether the error says what failed, what was seen and what mends it, without a traceback."""
    return "error:" in done.stderr and "Traceback" not in done.stderr


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    with DurableLedger(tmp_path / "ledger") as out:
        out.begin_run(started(), ts_event=T0)
        out.end_run(ended(), ts_event=T0 + 1)
    return tmp_path / "ledger"


def the_file(ledger: Path) -> Path:
    (path,) = ledger.glob("ledger-*[0-9].*")
    return path


# -- ledger files -----------------------------------------------------------------------------------


def test_a_corrupt_ledger_exits_8_and_names_the_row(tmp_path: Path, ledger: Path):
    with closing(apsw.Connection(str(the_file(ledger)))) as db:
        (trigger,) = db.execute("SELECT sql FROM sqlite_master WHERE name = 'ledger_no_update'")
        db.execute("DROP TRIGGER ledger_no_update")
        db.execute("UPDATE ledger SET ts_event = 0 WHERE seq = 2")
        db.execute(trigger[0])
    done = beta(tmp_path, "ledger", "verify", "--dir", str(ledger))
    assert done.returncode == ExitCode.LEDGER
    assert "row 2" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_newer_ledger_exits_8_and_stays_as_it_is(tmp_path: Path, ledger: Path):
    with closing(apsw.Connection(str(the_file(ledger)))) as db:
        db.execute("PRAGMA user_version = 99")
    before = the_file(ledger).read_bytes()
    done = beta(tmp_path, "ledger", "tail", "--dir", str(ledger))
    assert done.returncode == ExitCode.LEDGER
    assert three_lines(done)
    assert "99" in done.stderr
    assert the_file(ledger).read_bytes() == before


@pytest.mark.slow
def test_a_second_process_on_one_ledger_exits_8_and_the_first_goes_on(tmp_path: Path):
    (tmp_path / "node").mkdir()
    with DurableLedger(tmp_path / "node" / "ledger") as first:
        first.begin_run(started(), ts_event=T0)
        done = beta(
            tmp_path, "paper", "base_predictor", "--venue", "fake-kalshi", "--data", "sample",
            "--for", "5", "--home", str(tmp_path / "node"),
        )  # fmt: skip
        assert done.returncode == ExitCode.LEDGER, done.stderr
        assert three_lines(done)
        assert str(os.getpid()) in done.stderr, "the owner is named"
        with pytest.raises(LedgerLocked):
            DurableLedger(tmp_path / "node" / "ledger")
        first.end_run(ended(), ts_event=T0 + 1)
    assert verify(tmp_path / "node" / "ledger").ok


# -- limits and names -------------------------------------------------------------------------------

CONTRADICTIONS = [
    "[exposure]\norder = 0.5\nmarket = 0.1\n",
    "[governors]\nsoft_drawdown = 0.5\ndrawdown = 0.1\n",
    "[breaker]\nmarket = 0.5\ntotal = 0.1\n",
    "[budget]\nfloor = 0.9\ncap = 0.1\n",
]


@pytest.mark.parametrize("text", CONTRADICTIONS)
def test_limits_that_contradict_each_other_exit_4_and_nothing_runs(tmp_path: Path, text: str):
    (tmp_path / "own.toml").write_text(text)
    done = beta(tmp_path, "risk", "profile", str(tmp_path / "own.toml"))
    assert done.returncode == ExitCode.CONFIG
    assert three_lines(done)
    assert "must not exceed" in done.stderr
    assert not (tmp_path / "risk" / "risk.json").exists(), "the limits in force are untouched"


def test_contradictory_limits_stop_a_backtest_before_it_begins(tmp_path: Path):
    (tmp_path / "own.toml").write_text(CONTRADICTIONS[0])
    done = beta(tmp_path, "backtest", "base_predictor", "--limits", str(tmp_path / "own.toml"))
    assert done.returncode == ExitCode.CONFIG
    assert three_lines(done)


def test_an_unknown_strategy_exits_2_and_names_the_known_ones(tmp_path: Path):
    done = beta(tmp_path, "backtest", "nosuch")
    assert done.returncode == ExitCode.USAGE
    assert three_lines(done)
    assert "base_predictor" in done.stderr


# -- orders: no process ends, the refusal is a row ----------------------------------------------------


def refused_rows(folder: Path) -> list[str]:
    rows = (row.decoded() for row in LedgerReader(folder).rows())
    return [r.code for r in rows if isinstance(r, VerdictGiven) and not r.approved]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (("NaN", "0.40"), Code.INVALID_QUANTITY),
        (("sNaN", "0.40"), Code.INVALID_QUANTITY),
        (("-5", "0.40"), Code.INVALID_QUANTITY),
        (("0", "0.40"), Code.INVALID_QUANTITY),
        (("Infinity", "0.40"), Code.INVALID_QUANTITY),
        (("5", "NaN"), Code.INVALID_PRICE),
    ],
)
def test_a_size_or_price_that_is_no_number_is_a_refusal_with_a_row(tmp_path: Path, bad, code):
    desk = Desk(world())
    answer = desk.send(KYES, "BUY", *bad, bid=D("0.4"), ask=D("0.4"))
    assert not answer.approved
    with DurableLedger(tmp_path / "l") as out:
        out.append(VerdictGiven.of(answer.verdict()), ts_event=10, durable=True)
    assert refused_rows(tmp_path / "l") == [code]
    assert desk.gate.free_cash("KALSHI") == 100


def test_an_unknown_strategy_id_is_a_refusal_with_a_row(tmp_path: Path):
    answer = Desk(world()).send(KYES, "BUY", "1", "0.40", strategy_id="nobody")
    with DurableLedger(tmp_path / "l") as out:
        out.append(VerdictGiven.of(answer.verdict()), ts_event=10, durable=True)
    assert refused_rows(tmp_path / "l") == [Code.UNKNOWN_STRATEGY]


def test_a_clock_that_steps_back_stops_buying_not_selling_and_the_ledger_goes_on(tmp_path: Path):
    desk = Desk(world())
    desk.hold(K2YES, "5")
    assert desk.send(KYES, "BUY", "1", "0.40", now_ns=100 * SECOND).approved
    back = desk.send(KYES, "BUY", "2", "0.40", now_ns=90 * SECOND)
    assert desk.send(K2YES, "SELL", "5", "0.40", now_ns=90 * SECOND).approved
    with DurableLedger(tmp_path / "l") as out:
        out.append(ended(), ts_event=100 * SECOND)
        out.append(VerdictGiven.of(back.verdict()), ts_event=90 * SECOND, durable=True)
    assert refused_rows(tmp_path / "l") == [Code.CLOCK_BACK]
    assert verify(tmp_path / "l").ok


def test_a_strategy_that_asks_for_nonsense_is_refused_in_the_ledger_and_the_run_ends_well(
    tmp_path: Path,
):
    book = snapshot(1, [("0.39", "50")], [("0.41", "50")]) + snapshot(
        2, [("0.39", "51")], [("0.41", "51")]
    )
    path = write(tmp_path / "c", [market()], {"M-YES.PM": Tape(books=book, close=(9, "1"))})
    result = run(path, Nonsense, ledger=tmp_path / "l")
    assert refused_rows(tmp_path / "l").count(Code.INVALID_QUANTITY) == 6
    assert {o.status for o in result.orders} == {"REFUSED"}
    assert verify(tmp_path / "l").ok
