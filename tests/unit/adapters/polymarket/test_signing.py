"""Orders, logins and requests signed by us equal the recorded vectors, byte for byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from adapters.polymarket import schemas
from adapters.polymarket.eip712 import Exchange, OrderStruct, checksum_address, exchange_of
from adapters.polymarket.orders import body_of, salt_of
from adapters.polymarket.signing import GROUP_ORDER, ApiKey, SignatureType, Wallet
from core.domain.errors import ConfigError

CANARY = "c0ffee" + "00" * 28 + "01"


@pytest.fixture
def vectors(shared_fixtures):
    path = shared_fixtures / "polymarket/generated/signing_vectors.json"
    return json.loads(path.read_text())


def wallet_of(vectors, order):
    kind = order["signatureType"]
    return Wallet.from_key(SecretStr(vectors["private_key"]), kind, order["maker"] if kind else "")


def struct_of(order):
    return OrderStruct(
        order["salt"],
        order["maker"],
        order["signer"],
        int(order["tokenId"]),
        int(order["makerAmount"]),
        int(order["takerAmount"]),
        0 if order["side"] == "BUY" else 1,
        order["signatureType"],
        int(order["timestamp"]),
    )


def test_every_vector_has_our_hash_signature_exchange_and_body(vectors):
    assert len(vectors["cases"]) == 6
    for case in vectors["cases"]:
        post = case["post_body"]
        order = post["order"]
        exchange = Exchange(case["domain_version"], case["verifying_contract"])
        version = "v2" if case["domain_version"] == "3" else "v1"
        assert exchange_of(version, case["neg_risk"]) == exchange
        wallet, struct = wallet_of(vectors, order), struct_of(order)
        assert wallet.order_signer == order["signer"]
        assert "0x" + struct.order_hash(exchange).hex() == case["order_hash"]
        signature = wallet.sign_order(struct, exchange)
        assert signature == order["signature"], case["name"]
        body = body_of(
            struct,
            signature,
            int(order["expiration"]),
            post["owner"],
            post["orderType"],
            post["postOnly"],
        )
        assert json.loads(body) == post
        assert b" " not in body.replace(b'" ', b"")


def test_login_and_request_headers_equal_the_vectors(vectors):
    wallet = Wallet.from_key(SecretStr(vectors["private_key"]))
    assert wallet.address == vectors["address"]
    assert wallet.login_headers(1795219200) == vectors["l1_headers"]
    l2 = vectors["l2"]
    key = ApiKey(
        SecretStr("00000000-0000-0000-0000-000000000001"),
        SecretStr(l2["secret"]),
        SecretStr("pass"),
    )
    sent = key.headers(
        wallet.address, l2["method"], l2["path"], l2["timestamp"], l2["body_serialized"].encode()
    )
    assert sent == l2["headers"]
    assert (
        key.headers(wallet.address, "GET", "/data/orders", l2["timestamp"])
        == l2["headers_get_data_orders"]
    )


def test_the_documented_hmac_vector_holds():
    key = ApiKey(SecretStr("k"), SecretStr("A" * 43 + "="), SecretStr("p"))
    found = key.headers("0x0", "test-sign", "/orders", 1000000, b'{"hash": "0x123"}')
    assert found["POLY_SIGNATURE"] == "ZwAdJKvoYRlEKDkNMwd5BuwNNtg93kNaR_oU2HrfVvc="


@given(st.binary(min_size=32, max_size=32), st.integers(1, GROUP_ORDER - 1))
def test_every_signature_is_the_one_of_the_reference_library(digest, scalar):
    keys = pytest.importorskip("eth_keys").keys
    raw = scalar.to_bytes(32, "big")
    ours = Wallet.from_key(SecretStr(raw.hex())).sign_digest(digest)
    theirs = keys.PrivateKey(raw).sign_msg_hash(digest)
    assert ours == theirs.to_bytes()[:64] + bytes([27 + theirs.v])


def test_a_key_is_never_shown(caplog):
    wallet = Wallet.from_key(SecretStr(CANARY))
    assert CANARY not in repr(wallet) and str(int(CANARY, 16)) not in repr(wallet)
    for bad in ("zz" + CANARY[2:], CANARY + "00", "0x" + "00" * 32, "ff" * 32):
        with pytest.raises(ConfigError) as caught:
            Wallet.from_key(SecretStr(bad))
        assert bad not in str(caught.value)
        assert caught.value.__cause__ is None
    key = ApiKey(SecretStr("k"), SecretStr(CANARY + "A"), SecretStr(CANARY))
    assert CANARY not in repr(key)
    assert CANARY not in repr(schemas.ApiKeyMsg(CANARY, CANARY, CANARY))
    with pytest.raises(ConfigError) as refused:
        key.headers("0x0", "GET", "/x", 1)
    assert CANARY not in str(refused.value)
    assert CANARY not in caplog.text


@pytest.mark.parametrize(
    ("kind", "funder", "words"),
    [
        (1, "", "needs its own address"),
        (3, "", "needs its own address"),
        (0, "0x" + "11" * 20, "another address"),
        (7, "", "unknown Polymarket signature type"),
        (2, "0x1234", "not an address"),
    ],
)
def test_a_wallet_that_cannot_be_is_refused_with_the_mend(kind, funder, words):
    with pytest.raises(ConfigError, match=words) as caught:
        Wallet.from_key(SecretStr(CANARY), kind, funder)
    assert caught.value.mend


def test_a_deposit_wallet_signs_for_itself_with_636_characters():
    wallet = Wallet.from_key(SecretStr(CANARY), SignatureType.POLY_1271, "0x" + "11" * 20)
    struct = OrderStruct(1, wallet.funder, wallet.order_signer, 5, 10, 20, 0, 3, 1)
    assert wallet.order_signer == wallet.funder
    assert len(wallet.sign_order(struct, exchange_of("v1", False))) == 636


def test_the_same_client_order_id_always_has_the_same_salt():
    assert salt_of("O-1") == salt_of("O-1") != salt_of("O-2")
    assert 0 <= salt_of("O-1") < 2**53


def test_addresses_get_the_checksum_of_eip_55():
    mixed = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"  # the example of the EIP
    assert checksum_address(mixed.lower()) == mixed


@pytest.mark.parametrize(
    ("key", "kind", "funder"),
    [
        ("0x" + "5f" * 31, 0, ""),
        ("0x" + "5f" * 33, 0, ""),
        ("0x" + "00" * 32, 0, ""),
        ("0x" + "ff" * 32, 0, ""),
        ("not hex at all, but long enough to be seen", 0, ""),
        ("0x" + "5f" * 32, 7, ""),
        ("0x" + "5f" * 32, 1, ""),
        ("0x" + "5f" * 32, 0, "0x" + "11" * 20),
        ("0x" + "5f" * 32, 2, "0x1234"),
        ("0x" + "5f" * 32, 2, "nonsense"),
        ("0x" + "5f" * 32, 2, "0x" + "5f" * 32),
    ],
)
def test_keys_wallet_types_and_funders_that_do_not_fit_are_refused_without_showing_a_key(
    key, kind, funder
):
    with pytest.raises(ConfigError) as caught:
        Wallet.from_key(SecretStr(key), kind, funder)
    assert caught.value.exit_code == 4 and len(caught.value.lines()) == 3
    assert key[4:30] not in str(caught.value)
