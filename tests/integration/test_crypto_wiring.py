"""Binance and Kraken through the registry: the engine's own clients against stand-ins on loopback."""

import json
import os
import subprocess
import sys

import pytest
from nautilus_trader.common import Environment
from nautilus_trader.live import LiveNode
from nautilus_trader.model import TraderId

from core.domain.errors import ConfigError, UsageError
from core.engine.live.venue import wire_venue


def run_node(root, venue, product, environment, run_s=4.0):
    told = {"venue": venue, "product": product, "environment": environment, "run_s": run_s}
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.crypto_node", json.dumps(told)],
        cwd=root, env=os.environ | {"PYTHONPATH": str(root)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert said and said[-1] == {"ended": True}, done.stderr[-2000:]
    return said


@pytest.mark.parametrize(
    ("venue", "product", "environment", "path", "instrument"),
    [
        ("BINANCE", "spot", "testnet", "/api/v3/exchangeInfo", "BTCUSDT.BINANCE"),
        ("BINANCE", "futures", "testnet", "/fapi/v1/exchangeInfo", "BTCUSDT-PERP.BINANCE"),
        ("KRAKEN", "spot", "live", "/0/public/AssetPairs", "BTC/USD.KRAKEN"),
        ("KRAKEN", "futures", "demo", "/derivatives/api/v3/instruments", "PF_XBTUSD.KRAKEN"),
    ],
)
def test_a_node_loads_instruments_and_receives_a_quote(
    repo_root, venue, product, environment, path, instrument
):
    said = run_node(repo_root, venue, product, environment)
    assert f"GET {path}" in {s.get("asked") for s in said}
    assert {"instruments": [instrument]} in said
    (quote, *_) = [s["quote"] for s in said if "quote" in s]
    assert [float(q) for q in quote] == pytest.approx(
        [25000.0, 25001.0, 3.5]
        if product == "futures" and venue == "KRAKEN"
        else [25000.1, 25000.2, 3.5]
    )


def builder():
    return LiveNode.builder("beta-trader", TraderId("BETA-001"), Environment.LIVE)


def test_both_venues_with_execution_build_in_one_node_on_practice_environments():
    keys = {"api_key": "k", "api_secret": "CANARY-SECRET", "execution": True}
    made = wire_venue("BINANCE", builder(), {**keys, "environment": "testnet"})
    made = wire_venue("KRAKEN", made, {**keys, "product": "futures", "environment": "demo"})
    node = made.build()
    assert "CANARY" not in repr(made) + repr(node)


@pytest.mark.parametrize(
    ("venue", "settings", "what"),
    [
        ("BINANCE", {"execution": True, "api_key": "k", "api_secret": "CANARY"}, "real money"),
        ("KRAKEN", {"execution": True, "api_key": "k", "api_secret": "CANARY"}, "real money"),
        ("KRAKEN", {"environment": "testnet"}, "no such environment"),
        ("BINANCE", {"environment": "testnet", "execution": True}, "api_key"),
        ("BINANCE", {"enviroment": "testnet", "api_secret": "CANARY"}, "enviroment"),
    ],
)
def test_settings_that_must_not_run_are_refused_without_showing_a_secret(venue, settings, what):
    with pytest.raises(ConfigError, match=what) as caught:
        wire_venue(venue, builder(), settings)
    assert "CANARY" not in str(caught.value)


def test_a_venue_with_a_client_of_our_own_is_not_wired_this_way():
    with pytest.raises(UsageError):
        wire_venue("KALSHI", builder(), {})
