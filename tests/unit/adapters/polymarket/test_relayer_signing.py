"""Bodies for the relayer: byte for byte those of the official client."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr

from adapters.polymarket.positions import Action, Call, build
from adapters.polymarket.registry import Registry
from adapters.polymarket.relayer.signing import KINDS, Turn, kind_of, signed_body
from adapters.polymarket.signing import Wallet
from core.domain.errors import ConfigError

VECTORS = json.loads((Path(__file__).parent / "relayer_vectors.json").read_text())
TYPES = {str(kind): int(number) for number, kind in KINDS.items()}
V1, V2 = "0x" + "ab" * 32, "0x" + "02" * 31
D = Decimal


def wallet(kind):
    return Wallet.from_key(SecretStr(VECTORS["private_key"]), TYPES[kind], VECTORS["wallet"])


def turn(kind, nonce):
    return Turn(
        int(nonce),
        int(VECTORS["deadline"]) if kind == "WALLET" else 0,
        VECTORS["relay"] if kind == "PROXY" else "",
    )


def recorded(name):
    told = VECTORS["calls"][name]
    return Call(Action.MERGE, told["to"], told["data"], D(1))


@pytest.mark.parametrize(
    "row", VECTORS["signatures"], ids=lambda r: f"{r['kind']}-{r['call']}-{r['nonce']}"
)
def test_every_signature_is_the_official_clients(row):
    made = signed_body(
        wallet(row["kind"]), recorded(row["call"]), turn(row["kind"], row["nonce"]), "m-1"
    )
    assert made["signature"] == row["signature"]


@pytest.mark.parametrize("row", VECTORS["bodies"], ids=lambda r: r["body"]["type"])
def test_every_body_is_the_official_clients(row):
    kind = row["body"]["type"]
    assert (
        signed_body(wallet(kind), recorded(row["call"]), turn(kind, row["nonce"]), "m-1")
        == (row["body"])
    )


@pytest.mark.parametrize(
    ("name", "action", "condition", "amount", "more"),
    [
        ("v1 split", Action.SPLIT, V1, "12.5", {}),
        ("v1 merge neg", Action.MERGE, V1, "0.000001", {"neg_risk": True}),
        ("v1 redeem", Action.REDEEM, V1, "0", {}),
        ("v2 split", Action.SPLIT, V2, "3", {}),
        ("v2 merge", Action.MERGE, V2, "3", {}),
        ("v2 redeem", Action.REDEEM, V2, "2", {"outcome": 1}),
    ],
)
def test_every_call_is_the_official_clients(name, action, condition, amount, more):
    listed = {
        "conditionId": condition, "version": "v2" if condition == V2 else "v1",
        "clobTokenIds": '["1", "2"]', "positionIds": ["1", "2"], "outcomes": '["Yes", "No"]',
        "endDate": "2100-01-01T00:00:00Z", "negRisk": more.pop("neg_risk", False),
    }  # fmt: skip
    call = build(action, Registry().take(listed), D(amount), **more)
    told = VECTORS["calls"][name]
    assert (call.to, call.data, call.proven) == (told["to"], told["data"], True)


def test_a_second_signature_of_one_turn_is_the_same_bytes():
    for kind in TYPES:
        first, second = (
            signed_body(wallet(kind), recorded("v2 merge"), turn(kind, 3), "a") for _ in range(2)
        )
        assert first == second


def test_a_plain_key_is_not_served():
    with pytest.raises(ConfigError, match="plain key"):
        kind_of(Wallet.from_key(SecretStr(VECTORS["private_key"])))
