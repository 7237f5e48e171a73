"""Why Polymarket's market data is ours (ADR 0084): what the engine's own client does, on the same fake venue.

When one of these fails after the engine's pin has moved, the reason it stands for is gone: read the ADR again.
"""

import json
import os
import subprocess
import sys

import pytest

from tests.integration.polymarket_stand import INO, IYES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def told(request):
    """What the engine was shown in one run."""
    root = request.config.rootpath
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.upstream_polymarket"],
        cwd=root, env=os.environ | {"PYTHONPATH": str(root)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    said = {}
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            said |= json.loads(line)
    assert said.get("ended"), done.stderr[-2000:]
    return said


def test_it_can_be_pointed_at_another_address_and_follows_a_book(told):
    assert set(told["snapshot"]) == {"0.4000"}
    assert set(told["change"]) == {"0.4000", "0.3900"}


def test_it_loads_nothing_of_a_market_of_protocol_version_2(told):
    assert sorted(told["instruments"]) == sorted([IYES, INO])  # of two markets asked for


def test_it_keeps_a_book_that_the_venues_own_best_price_contradicts(told):
    assert "0.3800" in told["after_loss"]  # the frame that said "best bid 0.41" was applied
    assert "0.4100" not in told["after_loss"]  # five seconds later the book still has no such bid


def test_it_shows_the_old_book_while_the_link_is_down(told):
    assert told["link_down"] == told["after_loss"]


def test_it_pays_nobody_when_the_result_names_no_winner(told):
    assert told["half"] == []
