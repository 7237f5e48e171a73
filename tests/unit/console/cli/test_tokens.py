"""`beta tokens` shows the call for one's own wallet, within its cap, and sends nothing."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from adapters.polymarket.positions import (
    CTF_ADAPTER,
    NEG_RISK_ADAPTER,
    NEG_RISK_CTF_ADAPTER,
    ROUTER,
    SIGNATURES,
    Action,
    selector,
)
from console.cli.tokens import app
from core.domain.errors import BetaError

V1, V2, EVENT = "0x" + "ab" * 32, "0x" + "02" * 31, "0x" + "cd" * 32


def ask(*args: str) -> dict:
    result = CliRunner().invoke(app, [*args, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    ("args", "to", "key"),
    [
        (("split", V1, "--amount", "10"), CTF_ADAPTER, ("v1", Action.SPLIT)),
        (("merge", V1, "--amount", "10"), CTF_ADAPTER, ("v1", Action.MERGE)),
        (("merge", V1, "--amount", "10", "--neg-risk"), NEG_RISK_CTF_ADAPTER, ("v1", Action.MERGE)),
        (("redeem", V1), CTF_ADAPTER, ("v1", Action.REDEEM)),
        (("merge", V2, "--amount", "10"), ROUTER, ("v2", Action.MERGE)),
        (("redeem", V2, "--amount", "4", "--outcome", "1"), ROUTER, ("v2", Action.REDEEM)),
        (
            ("convert", V1, "--amount", "5", "--event", EVENT, "--index-set", "3"),
            NEG_RISK_ADAPTER,
            ("v1", Action.CONVERT),
        ),
    ],
)
def test_every_action_shows_contract_and_bytes(args, to, key):
    row = ask(*args)
    assert row["to"] == to
    assert row["data"].startswith("0x" + selector(SIGNATURES[key]).hex())
    assert row["sent"] is False
    assert row["documented"] is (key[1] is not Action.CONVERT)


def test_ten_dollars_are_ten_million_units_of_the_tokens():
    data = bytes.fromhex(ask("merge", V2, "--amount", "10")["data"][2:])
    assert data[4:36] == bytes.fromhex(V2[2:]) + b"\0"
    assert int.from_bytes(data[36:68]) == 10_000_000


@pytest.mark.parametrize(
    "args",
    [
        ("merge", V1, "--amount", "51"),
        ("merge", V1, "--amount", "200", "--cap", "100"),
        ("merge", V1, "--amount", "-1"),
        ("merge", V1, "--amount", "nan"),
        ("merge", V1, "--amount", "0.0000001"),
        ("merge", "0xnot-an-id", "--amount", "1"),
        ("merge", "0x" + "zz" * 32, "--amount", "1"),
        ("merge", V1, "--amount", "1", "--send", "--wait", "nan"),
        ("merge", V1, "--amount", "1", "--send", "--wait", "-1"),
        ("merge", V1, "--amount", "1", "--send", "--day-cap", "inf"),
        ("merge", V1, "--amount", "1", "--send", "--fake", "http://127.0.0.1.example.com"),
        ("resolve", "--call", "beta-1"),
        ("resolve", "--call", "beta-1", "--as", "perhaps"),
        ("convert", V1, "--amount", "5", "--event", EVENT, "--index-set", "0"),
        ("convert", V1, "--amount", "5", "--event", "", "--index-set", "1"),
        ("convert", V2, "--amount", "5", "--event", "0x" + "cd" * 29, "--index-set", "3"),
    ],
)
def test_what_cannot_be_meant_is_refused(args):
    with pytest.raises(BetaError) as refused:
        CliRunner().invoke(app, list(args), catch_exceptions=False)
    assert refused.value.what


def test_what_no_document_states_says_so():
    args = ["convert", V1, "--amount", "5", "--event", EVENT, "--index-set", "1"]
    told = CliRunner().invoke(app, args, catch_exceptions=False).stdout
    assert "nothing has been sent" in told
    assert "smallest amount" in told
