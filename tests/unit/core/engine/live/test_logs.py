"""The node's log: every order event of the ledger once, and no secret however it gets there."""

import json
import time
from decimal import Decimal
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from core.engine.live import logs
from core.engine.live.logs import HIDDEN, NodeLog, Redaction, secrets_of
from core.ledger import DurableLedger, kinds

CANARY = "CANARY-7f3b9c-SECRET"
PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIcanary\n-----END PRIVATE KEY-----"


class Settings(BaseModel):
    base_url: str = "https://example.test"
    key_id: SecretStr = SecretStr(CANARY)
    private_key: SecretStr = SecretStr(PEM)


def lines(log):
    return [json.loads(line) for line in log.path.read_text().splitlines()]


def status(**changes):
    base = {
        "mode": "paper", "venue": "KALSHI", "uptime_s": 1.0, "markets": 2, "feed_age_s": 0.5,
        "link_up": True, "cash": Decimal("99.5"), "equity": Decimal(100), "fees": Decimal("0.02"),
        "fills": 1, "orders": 1, "refused": 0, "unknown": 0, "halted": "", "ledger_seq": 9, "positions": (),
        "spot_age_s": None, "pnl": Decimal(0),
    }  # fmt: skip
    return SimpleNamespace(**(base | changes))


def test_no_way_into_the_log_shows_a_secret(tmp_path):
    log = NodeLog(tmp_path, "r-1", Settings())
    log.say("a", 1, note=f"login with {CANARY} failed")
    log.say("b", 1, nested={"x": [CANARY, {"y": f"<{CANARY}>"}], CANARY: 1}, pair=(CANARY,))
    log.say(
        "c", 1, secret=SecretStr("other"), api_key="anything", headers={"Authorization": "Bearer q"}
    )
    log.say("d", 1, error=f"bad key {PEM}")
    log.say("e", 1, error="-----BEGIN RSA PRIVATE KEY-----\nabc")
    log.say(f"f {CANARY}", 1, error=ValueError(f"no {CANARY}"))
    log.close()
    text = log.path.read_text()
    for leak in (CANARY, "MC4CAQAwBQYDK2VwBCIEIcanary", "Bearer q", "anything", "abc", "other"):
        assert leak not in text
    assert text.count(HIDDEN) >= 9
    assert CANARY not in repr(log.__dict__) + repr(Redaction(secrets_of(Settings())))


@given(before=st.text(max_size=20), after=st.text(max_size=20))
def test_a_secret_is_found_inside_any_text(before, after):
    clean = Redaction([SecretStr(CANARY)]).clean(before + CANARY + after)
    assert CANARY not in clean


def test_order_events_are_written_once_and_earlier_runs_not_at_all(tmp_path):
    ledger = DurableLedger(tmp_path / "ledger")
    ledger.append(kinds.OrderAccepted(client_order_id="old"), ts_event=1)
    ledger.flush()
    log = NodeLog(tmp_path, "r-2")
    log.skip_to(ledger.head.seq)
    ledger.append(kinds.OrderAccepted(client_order_id="o-1", venue_order_id="v"), ts_event=5)
    ledger.append(kinds.OrderRejected(client_order_id="o-2", reason="price"), ts_event=6)
    ledger.append(kinds.Halted(level="HALTED", source="operator", reason="test"), ts_event=7)
    ledger.flush()
    assert log.follow() == 3
    assert log.follow() == 0
    ledger.close()
    log.close()
    said = lines(log)
    assert [s["row"].get("client_order_id") for s in said] == ["o-1", "o-2", None]
    assert said[1]["row"]["reason"] == "price"
    assert {s["run_id"] for s in said} == {"r-2"}
    assert said[0]["ts_ns"] == 5


def test_a_status_line_comes_each_minute_and_at_every_halt(tmp_path):
    log = NodeLog(tmp_path, "r-3")
    now = time.monotonic()
    assert log.wants_status(now, "")
    log.status(now, 1, status(), links={"KALSHI": True})
    assert not log.wants_status(now + 59, "")
    assert log.wants_status(now + 60, "")
    assert log.wants_status(now + 1, "operator")
    log.status(now + 1, 2, status(halted="operator"))
    assert not log.wants_status(now + 2, "operator")
    assert log.wants_status(now + 2, "")
    log.close()
    first, second = lines(log)
    assert (first["event"], first["cash"], first["links"]) == ("status", "99.5", {"KALSHI": True})
    assert second["halted"] == "operator"


def test_the_file_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "MAX_BYTES", 2_000)
    log = NodeLog(tmp_path, "r-4")
    for n in range(100):
        log.say("x", n, text="y" * 50)
    log.close()
    assert log.path.stat().st_size <= 2_200
    assert (tmp_path / "node.log.jsonl.1").exists()


def test_a_disk_that_refuses_costs_lines_not_the_node(tmp_path):
    log = NodeLog(tmp_path, "r-5")
    log._file.close()
    log.say("x", 1)
    assert log.dropped == 1


@pytest.mark.parametrize("value", [None, True, 3, 2.5, "plain", ["a"], {"b": 1}])
def test_what_is_no_secret_stays_as_it_is(value):
    assert Redaction([SecretStr(CANARY)]).clean(value) == value
