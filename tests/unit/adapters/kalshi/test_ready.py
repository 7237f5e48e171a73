"""The signature that waits for the next order: fresh, used once, and never made while an order is on its way."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator

import aiohttp
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from pydantic import SecretStr

from adapters.kalshi import ready
from adapters.kalshi.ready import ReadySignature
from adapters.kalshi.rest import FRESH_MS, KalshiRest
from adapters.kalshi.signing import KalshiCredentials, Signer

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def signer_of(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> Signer:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    return Signer.from_credentials(KalshiCredentials(SecretStr("id"), SecretStr(pem)))


class Counting:
    """Signs by counting."""

    def __init__(self) -> None:
        self.signed: list[int] = []

    def __call__(self, at_ms: int) -> dict[str, str]:
        self.signed.append(at_ms)
        return {"N": str(len(self.signed))}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(ready, "RENEW_S", 0.01)
    monkeypatch.setattr(ready, "PAUSE_S", 0.01)
    yield


async def test_a_signature_is_given_out_once_and_replaced_only_after_a_pause(quick: None) -> None:
    sign = Counting()
    store = ReadySignature(sign, lambda: 5)
    assert store.take() is None
    store.start()
    first = store.take()
    assert first is not None and first.headers.done() and first.at_ms == 5
    assert store.take() is None
    assert len(sign.signed) == 1
    while (second := store.take()) is None:
        await asyncio.sleep(0.005)
    assert second.headers.result() != first.headers.result()
    store.stop()


async def test_a_kept_signature_does_not_grow_old(quick: None) -> None:
    now, sign = iter(range(1, 1_000_000)), Counting()
    store = ReadySignature(sign, lambda: next(now))
    store.start()
    while len(sign.signed) < 4:
        await asyncio.sleep(0.005)
    kept = store.take()
    assert kept is not None and kept.at_ms == sign.signed[-1]
    store.stop()
    made = len(sign.signed)
    await asyncio.sleep(0.05)
    assert len(sign.signed) == made
    assert store.take() is None


def test_a_kept_signature_is_renewed_before_it_would_be_refused() -> None:
    assert ready.RENEW_S * 1000 <= FRESH_MS / 2


async def test_with_an_rsa_key_the_first_create_finds_its_signature_made() -> None:
    async with aiohttp.ClientSession() as session:
        rest = KalshiRest(session, "http://127.0.0.1:1/trade-api/v2", signer_of(KEY))
        rest.keep_ready()
        first, second = rest.sign_create(), rest.sign_create()
        assert first is not None and first.headers.done()
        assert second is not None and second.headers is not first.headers
        for signed in (first, second):
            headers = await signed.headers
            at = headers["KALSHI-ACCESS-TIMESTAMP"]
            assert at == str(signed.at_ms)
            KEY.public_key().verify(
                base64.b64decode(headers["KALSHI-ACCESS-SIGNATURE"]),
                f"{at}POST/trade-api/v2/portfolio/events/orders".encode(),
                padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32),
                hashes.SHA256(),
            )
        rest.close()


async def test_a_key_that_signs_at_once_keeps_nothing_ready() -> None:
    async with aiohttp.ClientSession() as session:
        rest = KalshiRest(
            session, "http://127.0.0.1:1", signer_of(ed25519.Ed25519PrivateKey.generate())
        )
        rest.keep_ready()
        assert rest.sign_create() is None
        rest.close()
