"""Whole live nodes: a minute of 429s, a wrong clock, money on another shard, keys that are not let in, keys that leak."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from tests.hostile.scenarios import ASKED_S, STORM_S
from tests.live.rig import ROOT, play

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hostile_nodes")]
each_venue = pytest.mark.parametrize("venue", ("KALSHI", "POLYMARKET"))


def played(scenario: str, venue: str, folder: Path) -> dict[str, Any]:
    found = play(f"tests.hostile.scenarios:{scenario}", venue, folder / "node", 240)
    assert found["exit"] == 0, found["stderr"]
    return found


@each_venue
def test_in_a_storm_of_429s_orders_are_refused_with_a_reason_cancels_go_first_and_nothing_hammers(
    tmp_path: Path, venue: str
) -> None:
    found = played("storm", venue, tmp_path)
    assert found["refused"] == ["REJECTED"] and found["sent"] > 10
    assert found["reasons"] == ["rate_limited"]
    assert found["longest_wait_s"] < ASKED_S, "an order that is refused does not wait for the pause"
    # three kinds of calls at most, each asked again once a pause; what was on its way when a pause began is more
    assert sum(found["arrived"].values()) < 4 * STORM_S / ASKED_S
    assert found["limited"] > 0
    assert found["states"] == ["limited", "up"]
    assert found["cancelled"] and found["accepted_again"]
    assert found["halted"] == ""


@each_venue
def test_a_clock_off_by_forty_seconds_stops_buying_not_cancels_or_sales_until_it_is_right(
    tmp_path: Path, venue: str
) -> None:
    found = played("clock", venue, tmp_path)
    assert found["noticed"] and found["bought"] is None and found["refused"] == ["REDUCE_ONLY"]
    assert "NTP" in found["reason"] and found["line"]
    assert found["cancelled"] and found["sold"]
    assert found["lifted"] and found["again"]
    assert found["moves"] == [
        "trading clock RUNNING->REDUCE_ONLY",
        "trading clock REDUCE_ONLY->RUNNING",
    ]
    assert found["states"] == ["clock_off", "up"]


@each_venue
def test_a_book_that_right_frames_lie_about_is_read_again_and_the_second_time_its_market_is_barred(
    tmp_path: Path, venue: str
) -> None:
    found = played("lie", venue, tmp_path)
    assert found["seen"] == [[True, True], [True, True]], "the lie was shown, then the truth"
    assert found["barred"] == [[], ["MARKET_BARRED"]]
    first, second = found["details"]
    assert "bid 0.4: 8 here, 15 there; read again" in first
    assert second.endswith("barred")
    assert found["mended"] == 2
    assert found["honest"] and found["cancelled"] and found["halted"] == ""


def test_an_order_on_a_shard_without_cash_never_leaves_and_says_where_the_money_is(
    tmp_path: Path,
) -> None:
    found = played("shard", "KALSHI", tmp_path)
    assert found["refused"] and found["accepted"]
    assert found["posts"] == 1, "only the order on the shard with cash left"
    assert "shard 3" in found["reasons"][0] and "shard_without_cash" in found["reasons"][0]


@each_venue
def test_a_key_of_another_environment_ends_the_start_in_three_lines_with_exit_4(
    tmp_path: Path, venue: str
) -> None:
    found = played("other_environment", venue, tmp_path)
    assert (found["type"], found["code"]) == ("ConfigError", 4)
    assert len(found["lines"]) == 3 and found["lines"][2].startswith("mend: ")
    assert found["orders"] == 0
    assert found["seconds"] < 30


def forms(secret: str) -> set[bytes]:
    """Return a secret in every form in which it could be written down."""
    text = secret.strip()
    body = "".join(line for line in text.splitlines() if "-----" not in line)
    parts = {text, text.replace("\n", "\\n"), body, body[:32], body[-32:], text[:24]}
    if not text.startswith("-----"):
        parts |= {text.removeprefix("0x"), text.removeprefix("0x").upper()}
    found: set[bytes] = set()
    for part in (p.encode() for p in parts if len(p) >= 12):
        found |= {
            part, part.hex().encode(), part.hex().upper().encode(), base64.b64encode(part).rstrip(b"="),
            base64.urlsafe_b64encode(part).rstrip(b"="), quote(part).encode(), quote_plus(part).encode(),
        }  # fmt: skip
    raw = b""
    if text.startswith("0x"):
        raw = bytes.fromhex(text[2:])
    elif text.startswith("-----"):
        raw = base64.b64decode(body)
    if raw:
        found |= {
            raw,
            base64.b64encode(raw).rstrip(b"="),
            raw.hex().encode(),
            str(int.from_bytes(raw)).encode(),
        }
    return found - {b"-----BEGIN PRIVATE KEY--"}


def leaks(where: dict[str, bytes], secrets: dict[str, str]) -> list[str]:
    """Return which secret is where."""
    wanted = {(name, form) for name, secret in secrets.items() for form in forms(secret)}
    return sorted(
        {
            f"{name} in {place}"
            for place, data in where.items()
            for name, form in wanted
            if form in data
        }
    )


def test_the_scan_finds_every_form_of_a_secret(tmp_path: Path) -> None:
    key = "0x" + "5f" * 30 + "a1b2"
    for data in (
        key,
        key[2:].upper(),
        base64.b64encode(bytes.fromhex(key[2:])).decode(),
        quote(key),
    ):
        assert leaks({"x": f"... {data} ...".encode()}, {"key": key}), data
    assert not leaks({"x": b"nothing"}, {"key": key})


@each_venue
@pytest.mark.parametrize("scenario", ["canary", "canary_paper"])
def test_keys_are_in_no_file_line_repr_or_error_of_a_node_whatever_the_venue_quotes(
    tmp_path: Path, venue: str, scenario: str
) -> None:
    home = tmp_path / "node"
    done = subprocess.run(
        [sys.executable, "-m", "tests.live.rig", f"tests.hostile.scenarios:{scenario}", venue, str(home)],
        cwd=ROOT, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(next(x for x in reversed(done.stdout.splitlines()) if x.startswith("{")))
    own = json.loads((tmp_path / "node-canaries.json").read_text())
    where = {
        str(p.relative_to(home)): p.read_bytes() for p in sorted(home.rglob("*")) if p.is_file()
    }
    assert any("ledger" in name for name in where) and "node.log.jsonl" in where
    where |= {"stdout": done.stdout.encode(), "stderr": done.stderr.encode()}
    assert leaks(where, own) == []
    assert found["faults"] > 0, "the nonsense was seen"
