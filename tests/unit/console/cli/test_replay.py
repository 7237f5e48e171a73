"""`beta replay`: exit 0 and a line when all is the same, exit 8 and both rows side by side when not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from console.cli.replay import _cut, app
from core.domain.errors import StrategyError, UsageError
from tests.unit.core.engine.replay.test_replay import Recorded


def beta(recorded: Recorded, *args: str) -> Result:
    fixed = ["--dir", str(recorded.folder / "ledger"), "--data", str(recorded.folder / "c"),
             "--strategy", str(recorded.file), "--no-progress"]  # fmt: skip
    return CliRunner().invoke(app, [*fixed, *args], catch_exceptions=False)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    made = Recorded(tmp_path_factory.mktemp("replay"))
    made.record()
    return made


def test_the_same_run_exits_0(recorded: Recorded):
    result = beta(recorded)
    assert result.exit_code == 0
    assert "decision rows agree" in result.stdout


def test_a_difference_exits_8_and_shows_both_rows(recorded: Recorded):
    result = beta(recorded, "-p", "size=6")
    assert result.exit_code == 8
    assert "first difference: decision" in result.stdout
    assert "params of strategy_file_trader:Trader: size 5 -> 6" in result.stdout
    changed = [line for line in result.stdout.splitlines() if line.startswith("!")]
    assert any(
        "checks.size" in line and "value 5," in line and "value 6," in line for line in changed
    ), result.stdout
    assert "mend:" in result.stderr


def test_json_names_the_first_row_of_each_selection(recorded: Recorded, tmp_path: Path):
    from core.engine.replay.recorded import recorded_run

    run = recorded_run(recorded.folder / "ledger").run_id
    manifest = tmp_path / "m.json"
    parts = [{"run": run, "end": "2026-01-01T00:00:01.001Z"}, {"run": run}]
    manifest.write_text(json.dumps({"schema_version": 1, "selections": parts}))
    result = beta(recorded, "--manifest", str(manifest), "--json", "-p", "size=6")
    report = json.loads(result.stdout)
    assert result.exit_code == 8
    assert report["schema_version"] == 1
    first, second = report["replays"]
    assert (first["same"], first["rows"]) == (True, 1)
    sides = [second["divergence"][s]["payload"]["checks"] for s in ("recorded", "replayed")]
    assert [next(c["value"] for c in x if c["name"] == "size") for x in sides] == ["5", "6"]
    hour = json.loads(beta(recorded, "--hour", "2026-01-01T00", "--json").stdout)
    assert hour["replays"][0]["same"]
    assert hour["replays"][0]["rows"] > 100


def test_what_does_not_go_together_is_refused(recorded: Recorded):
    for args in (
        ("--hour", "2026-01-01T00", "--from", "2026-01-01"),
        ("-p", "size"),
        ("nosuch",),
        ("--hour", "2026-01-01T00:30"),
    ):
        with pytest.raises(UsageError):
            beta(recorded, *args)


def asked(recorded: Recorded, *args: str) -> Result:
    """Ask without naming the strategy's file."""
    fixed = ["--dir", str(recorded.folder / "ledger"), "--data", str(recorded.folder / "c")]
    return CliRunner().invoke(app, [*fixed, "--no-progress", *args], catch_exceptions=False)


def test_the_file_of_the_strategy_is_remembered(recorded: Recorded):
    result = asked(recorded)
    assert result.exit_code == 0, result.output
    assert "decision rows agree" in result.stdout


def test_a_remembered_file_that_has_changed_or_gone_is_refused_with_the_flag(tmp_path: Path):
    made = Recorded(tmp_path)
    made.record()
    made.write(size="1")
    with pytest.raises(StrategyError) as changed:
        asked(made)
    assert "has changed since" in str(changed.value.seen)
    assert changed.value.mend.startswith("beta replay bt-")
    assert f"--strategy {made.file}" in changed.value.mend
    assert beta(made).exit_code == 8, "named, the changed code is compared"
    made.file.rename(tmp_path / "moved.py")
    with pytest.raises(StrategyError) as gone:
        asked(made)
    assert "not there any more" in str(gone.value.seen)
    assert gone.value.mend.endswith("--strategy FILE.py")


def test_where_the_file_lies_decides_nothing(tmp_path: Path):
    from core.engine.replay.recorded import recorded_run

    runs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        made = Recorded(tmp_path / name)
        made.record()
        runs.append(recorded_run(tmp_path / name / "ledger"))
    assert [Path(r.config["strategies"][0]["file"]).parent.name for r in runs] == ["a", "b"]
    assert runs[0].run_id.rpartition("-")[2] == runs[1].run_id.rpartition("-")[2]


def test_long_values_are_cut_around_their_first_difference():
    left, right = "a" * 500 + "x" + "b" * 500, "a" * 500 + "y" + "b" * 500
    short_left, short_right = _cut(left, right)
    assert "x" in short_left
    assert "y" in short_right
    assert len(short_left) < 110
    assert _cut("short", "other") == ("short", "other")
    assert _cut(left, left)[0].startswith("aaa")
