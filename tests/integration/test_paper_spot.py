"""`beta paper kalshi_event` on a recorded window with its spot: trades, settles, keeps limits, replays."""

import json
import os
import subprocess
import sys
from decimal import Decimal

import pytest

from core.domain.fees import Side
from core.engine.live.memory import remember
from core.engine.live.recording import open_recording
from core.engine.parity import check_parity
from core.engine.parity.orders import started_of
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection

WINDOW = "KXBTC15M-26MAY131915-15"


def beta(*args, root):
    return subprocess.run(
        [sys.executable, "-m", "console.cli", *map(str, args)],
        cwd=root, capture_output=True, text=True, timeout=150, stdin=subprocess.DEVNULL,
        env=os.environ | {"BETA_LIVE": "", "COLUMNS": "200"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def session(repo_root, shared_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("spot")
    catalog, home = folder / "catalog", folder / "node"
    source = shared_data / "kalshi_btc15m_l2"
    made = beta("data", "ingest", "kalshi_btc15m_l2", "--from", source, "--to", catalog, root=repo_root)  # fmt: skip
    assert made.returncode == 0, made.stderr
    told = beta(
        "paper", "kalshi_event", "--venue", "fake-kalshi", "--data", catalog, "--market", WINDOW,
        "--speed", "30", "--limits", "research", "--capital", "1000", "--home", home,
        "--param", "min_edge=0.005", "--for", "70", "--json", root=repo_root,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    return home, json.loads(told.stdout)


def held_to_the_end(home):
    """Return the outcomes that the fills leave held: a busy machine decides when an exit finds its price."""
    held = {}
    for row in LedgerReader(home / "ledger").rows(Selection(kinds=("order.filled",))):
        fill = row.decoded()
        signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
        held[fill.instrument_id] = held.get(fill.instrument_id, 0) + signed
    return {iid for iid, quantity in held.items() if quantity}


@pytest.mark.slow
def test_a_recorded_window_is_traded_from_its_spot_to_settlement(session):
    home, told = session
    assert told["fills"] >= 1
    assert told["positions"] == []
    assert remember(home / "ledger").settled >= held_to_the_end(home)
    assert Decimal(told["pnl"]) == Decimal(told["equity"]) - 1000


@pytest.mark.slow
def test_the_first_row_has_the_limits_that_were_asked_for_and_the_spot_pair(session):
    home, told = session
    _, config = started_of(home / "ledger", told["run"])
    assert config["limits"]["name"] == "research"
    assert "BTC/USD.KRAKEN" in config["instruments"]
    (plan,) = config["strategies"]
    assert float(plan["params"]["vol_half_life_s"]) == 900 / 30


@pytest.mark.slow
def test_spot_is_in_the_recording_under_a_name_without_a_slash(session):
    home, told = session
    catalog = open_recording(home, told["run"])
    assert len(catalog.trades("BTC-USD.KRAKEN").ts) > 1000
    assert catalog.markets()[WINDOW].underlying == "BTC"


@pytest.mark.slow
def test_the_backtest_on_the_recorded_window_sends_the_same_orders(session):
    home, told = session
    report = check_parity(home, told["run"])
    assert report.differences == ()
    assert report.orders[0] == report.orders[1] == told["orders"]
    assert report.fees[0] == report.fees[1]
    assert report.settlements[0] == report.settlements[1] >= len(held_to_the_end(home))
