"""What a node's command line asks for before anything starts."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapters.kalshi.environments import ENVIRONMENTS, Environment, environment_of
from console import node
from console.backtest import BacktestRequest
from console.node import NodeRequest, clock_url


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
