"""Before real orders: each missing thing is named with its mend, and nothing counts that should not."""

import json
from decimal import Decimal

import pytest

from console import readiness
from core.domain.errors import GateClosed
from core.ledger import DurableLedger
from core.ledger.kinds import RunEnded, RunMode, RunOutcome, RunStarted, StrategyVersion
from core.risk.state_file import Command, RiskFile
from core.risk.states import TradingState

HOUR_NS = 3600 * 10**9
VERSION = "ab" * 32


def run(folder, mode, hours, *, venue="KALSHI", synthetic=False, version=VERSION, ended=True):
    ledger = DurableLedger(folder)
    config = json.dumps({"venue": venue, "synthetic": synthetic})
    ledger.begin_run(
        RunStarted(
            run_id=f"{mode}-1", mode=RunMode(mode), config=config, config_sha256="0" * 64,
            code_sha="0" * 64, seed=0, data=(), capital=Decimal(100), currency="USD",
            strategies=(StrategyVersion(strategy_id="S-001", path="s:S", sha256=version),),
        ),
        ts_event=10**18,
    )  # fmt: skip
    if ended:
        end = RunEnded(run_id=f"{mode}-1", outcome=RunOutcome.ENDED, reason="", decision_hash="")
        ledger.end_run(end, ts_event=10**18 + int(hours * HOUR_NS))
    ledger.close()


@pytest.fixture
def ready(tmp_path, monkeypatch):
    for name, value in (("BETA_LIVE", "1"), ("KALSHI_KEY_ID", "k"), ("KALSHI_PRIVATE_KEY", "p")):
        monkeypatch.setenv(name, value)
    run(tmp_path / "runs/backtest/one", "backtest", 1)
    run(tmp_path / "runs/paper/kalshi/ledger", "paper", 25)
    return tmp_path


def checks(root, **more):
    found = readiness.live_checks(
        "KALSHI", root / "runs/live/kalshi", root / "runs", {"S": VERSION}, **more
    )
    return {c.name: c for c in found}


def test_everything_in_place_is_ready(ready):
    found = checks(ready)
    assert {c.status for c in found.values()} == {"ok"}, found
    readiness.require(list(found.values()))


def test_each_missing_thing_is_named_with_its_mend(tmp_path, monkeypatch):
    for name in ("BETA_LIVE", "KALSHI_KEY_ID", "KALSHI_PRIVATE_KEY"):
        monkeypatch.delenv(name, raising=False)
    found = checks(tmp_path, profile="research")
    failed = {n for n, c in found.items() if c.status == "fail"}
    assert failed == {"confirmed", "keys", "limits", "backtest", "dry run"}
    assert all(c.mend for c in found.values() if c.status == "fail")
    with pytest.raises(GateClosed) as error:
        readiness.require(list(found.values()))
    what, seen, mend = error.value.lines()
    assert what == "not ready to trade, 5 thing(s) missing"
    for name in failed:
        assert f"{name}: {found[name].seen}" in seen
        assert f"{name}: {found[name].mend}" in mend


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({"synthetic": True}, "0.0 h of 24 h (30.0 h on replays do not count)"),
        ({"venue": "POLYMARKET"}, "0.0 h of 24 h"),
        ({"version": "cd" * 32}, "0.0 h of 24 h"),
        ({"ended": False}, "0.0 h of 24 h"),
    ],
)
def test_hours_that_do_not_count_as_a_dry_run(tmp_path, change, seen):
    run(tmp_path / "runs/paper/x/ledger", "paper", 30, **change)
    assert checks(tmp_path)["dry run"].seen == seen


def test_a_backtest_of_another_version_is_no_backtest(tmp_path):
    run(tmp_path / "runs/backtest/one", "backtest", 1, version="cd" * 32)
    assert checks(tmp_path)["backtest"].status == "fail"


def test_a_halt_of_the_operator_must_be_lifted_first(ready):
    home = ready / "runs/live/kalshi"
    RiskFile(home / "risk").order(
        TradingState.HALTED, Command("c", "risk halt", {"reason": "x"}, "me", "test", 1)
    )
    halted = checks(ready)["not halted"]
    assert halted.status == "fail"
    assert "beta risk resume" in halted.mend


def test_settings_that_cannot_be_used_ask_nobody_anything():
    (one,) = readiness.venue_checks(
        "KALSHI", {"base_url": "https://example.com/trade-api/v2", "tickers": ("X",)}
    )
    assert one.status == "fail"
    assert "no address of Kalshi" in one.seen
