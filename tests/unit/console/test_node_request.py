"""What a node's command line asks for before anything starts."""

import asyncio
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapters.kalshi.environments import ENVIRONMENTS, Environment, environment_of
from adapters.polymarket.live import live_venue
from console import node
from console.backtest import BacktestRequest
from console.node import NodeRequest, clock_url
from console.tokens import DEFAULT_FOLDER
from core.domain.errors import ConfigError, UsageError


def request(venue="kalshi", environment="", home=None):
    base = BacktestRequest(strategy="kalshi_event")
    return NodeRequest(mode="paper", venue=venue, base=base, environment=environment, home=home)


@pytest.mark.parametrize(
    ("environment", "asked"),
    [("", "production"), ("production", "production"), ("demo", "demo")],
)
def test_the_clock_is_compared_with_the_environment_that_will_be_traded(environment, asked):
    assert environment_of(clock_url(request(environment=environment))) == asked


def test_polymarket_has_one_clock():
    assert urlsplit(clock_url(request("polymarket"))).hostname == "clob.polymarket.com"


async def test_a_paper_node_on_demo_asks_no_other_host_for_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked = []

    async def answer(r: web.Request) -> web.Response:
        asked.append(r.path)
        return web.json_response({})

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    server = TestServer(app)
    await server.start_server()
    local = Environment(str(server.make_url("/demo")), "", frozenset())
    monkeypatch.setitem(ENVIRONMENTS, "demo", local)
    try:
        await asyncio.to_thread(node._demand_paper, request(environment="demo", home=tmp_path))
    finally:
        await server.close()
    assert asked == ["/demo/exchange/status"]


LIVE = {"strategy": "polymarket_arb", "options": {}}


@pytest.mark.parametrize(
    ("venue", "more", "word"),
    [
        ("kalshi", {}, "only Polymarket"),
        ("polymarket", {"collect_every_s": 0.0}, "never looks"),
    ],
)
def test_collecting_that_cannot_be_is_refused(venue, more, word):
    with pytest.raises(UsageError, match=word):
        NodeRequest.build("live", venue, None, collect=("50", "200"), **LIVE, **more)


def test_only_a_node_that_collects_gets_the_relayers_key_and_none_leaves_it_in_the_environment(
    monkeypatch: pytest.MonkeyPatch,
):
    for collect in (None, ("20", "80")):
        monkeypatch.setenv("POLYMARKET_RELAYER_KEY", "canary-relayer")
        made = node._settings(
            NodeRequest.build("live", "polymarket", None, collect=collect, **LIVE)
        )
        assert "POLYMARKET_RELAYER_KEY" not in os.environ
        assert "canary" not in str(made)
        assert ("relayer_key" in made) is (collect is not None)
    assert (made["collect_cap"], made["collect_day_cap"]) == ("20", "80")
    assert made["tokens_dir"] == DEFAULT_FOLDER.absolute()


@pytest.mark.parametrize("cap", ["abc", "0", "-5", "NaN"])
def test_a_cap_that_is_no_amount_is_refused_by_name(cap):
    with pytest.raises(ConfigError, match="collect_cap"):
        live_venue({"collect": True, "collect_cap": cap})


@pytest.mark.parametrize("caps", [("abc", "200"), ("50", "0"), ("-5", "200"), ("NaN", "200")])
def test_a_cap_that_is_no_amount_is_a_mistake_on_the_command_line(caps):
    with pytest.raises(UsageError, match="--collect") as refused:
        NodeRequest.build("live", "polymarket", None, collect=caps, **LIVE)
    assert refused.value.seen in caps
    assert "50" in refused.value.mend
