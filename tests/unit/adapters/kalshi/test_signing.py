"""Signatures verify with the public key, and no secret is ever printed."""

import base64

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from adapters.kalshi.signing import KalshiCredentials, Signer
from core.domain.errors import ConfigError, ExitCode


def pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def signer(key, text=None):
    return Signer.from_credentials(
        KalshiCredentials(SecretStr("key-id"), SecretStr(text or pem(key)))
    )


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ED = Ed25519PrivateKey.generate()


def test_an_rsa_signature_covers_time_method_and_full_path_without_query():
    headers = signer(RSA).headers(
        "get", "https://x/trade-api/v2/portfolio/orders?limit=5", 1700000000000
    )
    RSA.public_key().verify(
        base64.b64decode(headers["KALSHI-ACCESS-SIGNATURE"]),
        b"1700000000000GET/trade-api/v2/portfolio/orders",
        padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32),
        hashes.SHA256(),
    )


def test_an_ed25519_signature_verifies():
    headers = signer(ED).headers("POST", "/trade-api/v2/portfolio/events/orders", 5)
    ED.public_key().verify(
        base64.b64decode(headers["KALSHI-ACCESS-SIGNATURE"]),
        b"5POST/trade-api/v2/portfolio/events/orders",
    )


def test_a_key_with_escaped_line_breaks_is_read():
    assert not signer(ED, pem(ED).replace("\n", "\\n")).slow


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not a key",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)),
        pem(ec.generate_private_key(ec.SECP256R1())),
        pem(RSA)[:700],
        pem(RSA).replace("PRIVATE KEY", "PUBLIC KEY"),
        RSA.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        ).decode(),
    ],
)
def test_keys_of_the_wrong_kind_are_refused_without_showing_them(text):
    with pytest.raises(ConfigError) as caught:
        signer(None, text or " ")
    assert caught.value.exit_code == ExitCode.CONFIG and len(caught.value.lines()) == 3
    assert "AAAA" not in str(caught.value)
    assert text[40:60] not in str(caught.value) or not text[40:60].strip()


def test_neither_key_nor_id_appears_in_any_repr():
    made = signer(ED)
    shown = (
        repr(made) + str(made) + repr(KalshiCredentials(SecretStr("key-id"), SecretStr(pem(ED))))
    )
    assert "key-id" not in shown
    assert "PRIVATE" not in shown
