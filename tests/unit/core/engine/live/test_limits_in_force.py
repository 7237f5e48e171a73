"""Which limits a node starts with: the profile asked for, what an operator changed since, never a guess."""

from pathlib import Path

import pytest

from core.domain.errors import ConfigError
from core.engine.live.control import limits_in_force
from core.risk.limits import load_profile
from core.risk.state_file import Command, RiskFile


def change(directory, **limits):
    pairs = {name.replace("__", "."): value for name, value in limits.items()}
    return RiskFile(directory).change(pairs, Command("c1", "risk set", pairs, "me", "test", 1))


def test_a_new_node_has_the_hundred_dollar_profile_and_writes_no_file(tmp_path):
    assert limits_in_force(tmp_path, "", 1) == load_profile("usd100")
    assert not (tmp_path / "risk.json").exists()


def test_a_named_profile_is_put_in_force_and_waits_for_its_row(tmp_path):
    assert limits_in_force(tmp_path, "research", 7) == load_profile("research")
    state = RiskFile(tmp_path).read()
    assert state.profile == "research"
    (command,) = state.pending
    assert (command.command, command.arguments["before profile"], command.ts_ns) == (
        "risk profile", "usd100", 7,
    )  # fmt: skip


def test_a_restart_with_the_same_profile_keeps_what_the_operator_tightened(tmp_path):
    limits_in_force(tmp_path, "research", 1)
    change(tmp_path, rate__orders="7")
    after = limits_in_force(tmp_path, "research", 2)
    assert after.rate.orders == 7
    assert limits_in_force(tmp_path, "", 3) == after


def test_an_own_file_of_limits_is_kept_by_its_full_path(tmp_path, monkeypatch):
    shipped = Path(load_profile.__globals__["PROFILES"]) / "usd100.toml"
    (tmp_path / "mine.toml").write_text(shipped.read_text())
    monkeypatch.chdir(tmp_path)
    limits_in_force(tmp_path / "risk", "mine.toml", 1)
    assert RiskFile(tmp_path / "risk").read().profile == str(tmp_path / "mine.toml")


def test_an_unknown_profile_starts_nothing(tmp_path):
    with pytest.raises(ConfigError, match="no such risk profile"):
        limits_in_force(tmp_path, "usd1000000", 1)
    assert RiskFile(tmp_path).read().profile == "usd100"


def test_a_file_that_cannot_be_trusted_takes_no_profile(tmp_path):
    (tmp_path / "risk.json").write_text("{")
    with pytest.raises(ConfigError, match="corrupt"):
        limits_in_force(tmp_path, "research", 1)
