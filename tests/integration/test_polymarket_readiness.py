"""Polymarket before real orders: place, clock, order format, key, closed-only, balance, allowances."""

import pytest
from aiohttp.test_utils import TestServer

from adapters.fake.polymarket.server import FakePolymarket
from adapters.polymarket.readiness import findings
from tests.integration.polymarket_stand import PUBLIC, SECRET, exchange, infos, settings

FUNDER = "0x" + "f1" * 20


async def look(tmp_path, change=lambda fake: None, **more):
    fake = FakePolymarket(exchange(), infos(), secret=SECRET, public_key=PUBLIC)
    change(fake)
    server = TestServer(fake.app())
    await server.start_server()
    try:
        return {f.name: f for f in await findings(settings(server, tmp_path, **more))}
    finally:
        await server.close()


async def test_an_account_that_may_trade_is_ready(tmp_path):
    found = await look(tmp_path)
    assert list(found) == [
        "geoblock", "venue clock", "order format", "key", "closed-only", "balance", "allowance",
        "collect",
    ]  # fmt: skip
    assert all(f.good for f in found.values()), found


@pytest.mark.parametrize(
    ("change", "name", "mend"),
    [
        (lambda f: setattr(f, "blocked", True), "geoblock", "do not route around"),
        (lambda f: setattr(f, "closed_only", True), "closed-only", "polymarket.com"),
        (lambda f: setattr(f, "version", "9"), "order format", "upgrade"),
        (lambda f: setattr(f, "allowances", {}), "allowance", "approve"),
        (lambda f: setattr(f, "allowances", {"exchange": "0"}), "allowance", "approve"),
        (lambda f: setattr(f.exchange.account, "cash", 0), "balance", "deposit"),
    ],
)
async def test_each_thing_that_forbids_trading_is_named_with_its_mend(tmp_path, change, name, mend):
    found = await look(tmp_path, change)
    assert {n for n, f in found.items() if not f.good} == {name}
    assert mend in found[name].mend


async def test_without_a_key_only_what_needs_none_is_looked_at(tmp_path):
    found = await look(tmp_path, private_key=None, api_key=None, api_secret=None, passphrase=None)
    assert list(found) == ["geoblock", "venue clock", "order format"]


async def test_a_venue_that_does_not_answer_is_a_finding_not_a_crash(tmp_path):
    dead = "http://127.0.0.1:9"
    found = await look(tmp_path, clob_url=dead, geoblock_url=f"{dead}/api/geoblock")
    assert not found["geoblock"].good
    assert not found["key"].good or not found["closed-only"].good
    assert all("check the network" in f.mend for f in found.values() if not f.good), found


@pytest.mark.parametrize(
    ("more", "good", "word"),
    [
        ({}, True, "off"),
        ({"collect": True}, False, "POLYMARKET_RELAYER_KEY"),
        ({"collect": True, "relayer_key": "k"}, False, "plain key"),
        ({"collect": True, "relayer_key": "k", "signature_type": 3, "funder": FUNDER}, True, "200 in 24 hours"),
    ],
)  # fmt: skip
async def test_collecting_is_off_until_it_is_asked_for_and_names_what_it_lacks(
    tmp_path, more, good, word
):
    found = (await look(tmp_path, **more))["collect"]
    assert (found.good, word in found.seen + found.mend) == (good, True), found
