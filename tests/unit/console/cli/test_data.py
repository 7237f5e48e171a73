from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from console.cli.data import app
from core.domain.errors import BetaError

TRADES = (
    "ts,market,price,size,taker\n2026-03-01T12:00:00Z,rain,0.41,10,buy\n"
    "2026-03-01T12:05:00Z,rain,0.44,5,sell\n2026-03-01T12:06:00Z,rain,nan,5,sell\n"
)


@pytest.fixture(autouse=True)
def _own_catalogs(tmp_path, monkeypatch):
    monkeypatch.setenv("BETA_CATALOGS", str(tmp_path / "catalogs"))
    monkeypatch.chdir(tmp_path)
    Path("rain.csv").write_text(TRADES)


def call(*args: str) -> str:
    result = CliRunner().invoke(app, list(args), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def ask(*args: str) -> dict:
    out = json.loads(call(*args, "--json"))
    assert out["schema_version"] == 1
    return out


def ingest(*more: str) -> dict:
    table = ["ingest", "csv", "--from", "rain.csv", "--format", "trades", "--to", "rain"]
    return ask(*table, *more)


def test_a_table_becomes_a_catalog_with_a_report():
    report = ingest()
    assert report["rows_in"] == {"rain.csv": 3}
    assert report["rows_out"]["trades"] == 4
    assert report["issues"]["not_a_number"]["first"][0]["row"] == 2
    assert json.loads(Path("catalogs/rain.report.json").read_text()) == report
    assert len(Path("catalogs/rain.issues.jsonl").read_text().splitlines()) == 2


def test_the_terminal_says_what_can_be_trusted():
    text = call("ingest", "csv", "--from", "rain.csv", "--format", "trades", "--to", "rain")
    assert "rain.csv 3" in text
    assert "not_a_number" in text
    assert "rain.issues.jsonl" in text


def test_ls_lists_catalogs_and_what_one_holds():
    ingest()
    assert [c["name"] for c in ask("ls")["catalogs"]] == ["rain"]
    assert "rain" in call("ls")
    one = ask("ls", "rain")
    assert one["markets"][0]["instruments"] == {
        "rain-NO.POLYMARKET": ["trades"],
        "rain-YES.POLYMARKET": ["trades"],
    }
    assert "rain-YES" not in call("ls", "rain", "--limit", "0")


def test_verify_passes_and_fails_with_exit_one():
    ingest()
    assert ask("verify", "rain")["passed"]
    next(Path("catalogs/rain/data/trades").rglob("*.parquet")).write_bytes(b"x")
    result = CliRunner().invoke(app, ["verify", "rain", "--json"])
    assert result.exit_code == 1
    found = json.loads(result.stdout)["findings"]
    assert {f["code"] for f in found} >= {"changed_file"}


def test_export_writes_what_ingest_reads():
    ingest()
    series = ["--format", "trades", "--instrument", "rain-NO.POLYMARKET"]
    assert ask("export", "rain", *series, "--to", "no.csv")["rows"] == 2
    assert "0.5900" in Path("no.csv").read_text()


def test_extend_and_replace_exclude_each_other():
    with pytest.raises(BetaError, match="exclude"):
        ingest("--extend", "--replace")


def test_a_name_that_exists_is_refused_and_replaced_on_request():
    first = ingest()
    with pytest.raises(BetaError, match="exists already"):
        ingest()
    with pytest.raises(BetaError, match="already there"):
        ingest("--extend")
    assert ingest("--replace")["content_sha"] == first["content_sha"]


def test_unknown_names_list_what_is_known():
    ingest()
    with pytest.raises(BetaError) as caught:
        call("ls", "rian")
    assert "rain" in caught.value.mend
    with pytest.raises(BetaError) as caught:
        call("ingest", "nosuch", "--from", ".")
    assert "kalshi_btc15m_l2" in caught.value.mend


def test_an_option_that_a_set_lacks_is_refused():
    with pytest.raises(BetaError, match="no such option"):
        call("ingest", "crypto_ohlcv", "--from", ".", "--official-only")


def test_clean_thins_and_sweeps():
    ingest()
    done = ask("clean", "rain", "--hot-days", "0", "--warm-days", "1", "--as-of", "2027-01-01")
    assert done["applied"]
    assert ask("ls", "rain")["markets"][0]["instruments"]["rain-NO.POLYMARKET"] == ["bars"]
    left = Path("catalogs/.rain.tmp-1")
    left.mkdir()
    assert ask("clean")["removed"] == [str(left.absolute())]
    assert call("clean").strip() == "nothing to remove"
    assert not left.exists()
