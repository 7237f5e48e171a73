"""Kalshi before real orders: environment, exchange, key, scopes, balance; a fake venue on loopback answers."""

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from adapters.fake.kalshi.server import FakeKalshi
from adapters.kalshi.environments import ENVIRONMENTS, environment_of
from adapters.kalshi.fees import KalshiFeeBook
from adapters.kalshi.live import live_venue
from adapters.kalshi.readiness import findings
from core.domain.errors import ConfigError
from core.engine.paper.account import NettedAccount
from core.engine.paper.exchange import Exchange

KEY = Ed25519PrivateKey.generate()
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


async def look(*, cash=100_000_000, scopes=None, key=None, **settings):
    exchange = Exchange(NettedAccount(cash), KalshiFeeBook(), "fk")
    fake = FakeKalshi(exchange, public_key=(key or KEY).public_key())
    fake.scopes = scopes if scopes is not None else fake.scopes
    runner = web.AppRunner(fake.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    try:
        found = await findings(
            {
                "base_url": f"http://127.0.0.1:{port}/trade-api/v2",
                "ws_url": f"ws://127.0.0.1:{port}/trade-api/ws/v2",
                "key_id": SecretStr("key-1"),
                "private_key": SecretStr(PEM),
                **settings,
            }
        )
    finally:
        await runner.cleanup()
    return {f.name: f for f in found}


async def test_a_trade_only_key_with_money_is_ready():
    found = await look()
    assert list(found) == ["environment", "exchange", "key", "permissions", "balance"]
    assert all(f.good for f in found.values()), found
    assert found["environment"].seen == "local"
    assert found["balance"].seen == "$100.00 free"


@pytest.mark.parametrize(
    ("scopes", "seen"),
    [
        (("read",), "the key lacks write::trade"),
        (("read", "write::trade", "write::transfer"), "the key may do more than trade: write::transfer"),
        (("read", "write"), "the key may do more than trade: write"),
        ((), "the key lacks read, write::trade"),
    ],
)  # fmt: skip
async def test_a_key_that_may_do_too_little_or_too_much_is_refused(scopes, seen):
    permissions = (await look(scopes=scopes))["permissions"]
    assert not permissions.good
    assert permissions.seen == seen
    assert "write::trade" in permissions.mend


async def test_a_key_of_another_environment_is_refused_with_the_way_out():
    found = await look(key=Ed25519PrivateKey.generate())
    assert not found["key"].good
    assert "refused by the local environment" in found["key"].seen
    assert "--environment" in found["key"].mend
    assert "balance" not in found, "nothing more is asked with a key that is refused"


async def test_an_empty_account_is_named():
    balance = (await look(cash=0))["balance"]
    assert not balance.good
    assert "deposit" in balance.mend


async def test_a_venue_that_does_not_answer_is_a_finding():
    found = await findings(
        {
            "base_url": "http://127.0.0.1:9/trade-api/v2",
            "ws_url": "ws://127.0.0.1:9/x",
            "timeout_s": 0.5,
        }
    )
    assert [f.good for f in found] == [True, False]
    assert found[1].mend


def test_the_environments_are_told_apart_and_never_mixed():
    assert environment_of(ENVIRONMENTS["demo"].base_url) == "demo"
    assert live_venue({"environment": "demo"}).settings.ws_url == ENVIRONMENTS["demo"].ws_url
    assert live_venue({}).settings.base_url == ENVIRONMENTS["production"].base_url
    with pytest.raises(ConfigError, match="no address of Kalshi"):
        environment_of("https://kalshi.example.com/trade-api/v2")
    for settings in (
        {"base_url": ENVIRONMENTS["demo"].base_url},
        {"environment": "demo", "base_url": ENVIRONMENTS["production"].base_url},
        {"environment": "production", "base_url": ENVIRONMENTS["demo"].base_url,
         "ws_url": ENVIRONMENTS["demo"].ws_url},
    ):  # fmt: skip
        with pytest.raises(ConfigError):
            live_venue(settings)


async def test_no_finding_shows_a_secret():
    for found in (await look(), await look(key=Ed25519PrivateKey.generate())):
        text = repr(found)
        assert PEM.splitlines()[1] not in text
