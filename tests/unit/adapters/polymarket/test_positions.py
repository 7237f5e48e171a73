"""Calls on tokens: right bytes, within their caps."""

from dataclasses import replace
from decimal import Decimal

import pytest

from adapters.polymarket.positions import (
    CTF_ADAPTER,
    NEG_RISK_ADAPTER,
    NEG_RISK_CTF_ADAPTER,
    ROUTER,
    SIGNATURES,
    Action,
    Caps,
    build,
    selector,
)
from adapters.polymarket.registry import Registry
from core.domain.errors import GateClosed, UsageError, VenueRefused

D = Decimal
V1, V2 = "0x" + "ab" * 32, "0x" + "02" * 31


def market(version="v1", neg_risk=False):
    payload = {
        "conditionId": V2 if version == "v2" else V1,
        "version": version,
        "clobTokenIds": '["1", "2"]',
        "positionIds": ["1", "2"],
        "outcomes": '["Yes", "No"]',
        "endDate": "2030-01-01T00:00:00Z",
        "negRisk": neg_risk,
        "negRiskMarketID": ("0x" + "cd" * (29 if version == "v2" else 32)) if neg_risk else "",
    }
    found = Registry().take(payload)
    assert found is not None
    return found


def test_selectors_are_the_known_ones():
    assert selector("splitPosition(address,bytes32,bytes32,uint256[],uint256)").hex() == "72ce4275"
    assert selector("mergePositions(address,bytes32,bytes32,uint256[],uint256)").hex() == "9e7212ad"
    assert selector("redeemPositions(address,bytes32,bytes32,uint256[])").hex() == "01b7037c"
    assert selector("horizontalSplit(bytes29,uint256)").hex() == "40657b52"
    assert selector("horizontalMerge(bytes29,uint256)").hex() == "24f24944"
    assert selector(SIGNATURES[("v2", Action.CONVERT)]).hex() == "9380f1c8"


@pytest.mark.parametrize(
    ("action", "types"),
    [
        (Action.SPLIT, ["address", "bytes32", "bytes32", "uint256[]", "uint256"]),
        (Action.MERGE, ["address", "bytes32", "bytes32", "uint256[]", "uint256"]),
        (Action.REDEEM, ["address", "bytes32", "bytes32", "uint256[]"]),
    ],
)
def test_the_arguments_are_those_of_the_reference_encoder(action, types):
    abi = pytest.importorskip("eth_abi")
    call = build(action, market(), D("12.5"))
    pusd = "0xc011a7e12a19f7b1f670d46f03b03f3342e82dfb"
    values = [pusd, bytes(32), bytes.fromhex("ab" * 32), [1, 2], 12_500_000][: len(types)]
    assert bytes.fromhex(call.data[10:]) == abi.encode(types, values)
    assert (call.to, call.proven) == (CTF_ADAPTER, True)
    assert build(action, market(neg_risk=True), D(1)).to == NEG_RISK_CTF_ADAPTER


def test_version_2_goes_through_the_router():
    abi = pytest.importorskip("eth_abi")
    call = build(Action.MERGE, market("v2"), D(3))
    assert call.to == ROUTER
    assert bytes.fromhex(call.data[10:]) == abi.encode(
        ["bytes31", "uint256"], [bytes.fromhex("02" * 31), 3_000_000]
    )
    redeem = build(Action.REDEEM, market("v2"), D(3), outcome=1)
    assert bytes.fromhex(redeem.data[10:]) == abi.encode(
        ["bytes31", "uint256", "uint256"], [bytes.fromhex("02" * 31), 1, 3_000_000]
    )
    with pytest.raises(UsageError, match="outcome"):
        build(Action.REDEEM, market("v2"), D(3), outcome=2)


def test_conversion_names_its_outcomes_and_is_not_proven():
    call = build(Action.CONVERT, market(neg_risk=True), D(2), index_set=0b101)
    assert (call.to, call.proven) == (NEG_RISK_ADAPTER, False)
    for wrong, kwargs in (
        (market(), {"index_set": 1}),
        (market(neg_risk=True), {}),
        (market("v2", True), {"index_set": 3}),
    ):
        with pytest.raises(UsageError):
            build(Action.CONVERT, wrong, D(2), **kwargs)


def test_caps_hold_one_call_and_all_of_a_day():
    caps = Caps(D(10), D(15))
    caps.hold(D(10))
    caps.hold(D(5), spent=D(10))
    with pytest.raises(GateClosed, match="one call"):
        caps.hold(D("10.000001"))
    with pytest.raises(GateClosed, match="24 hours"):
        caps.hold(D("5.000001"), spent=D(10))


@pytest.mark.parametrize("amount", ["0", "-1", "0.0000001", "NaN"])
def test_an_amount_that_cannot_be_is_refused(amount):
    with pytest.raises(VenueRefused):
        build(Action.SPLIT, market(), D(amount))


def test_a_condition_of_the_wrong_length_is_refused():
    with pytest.raises(UsageError):
        build(Action.SPLIT, replace(market(), market_id="0xab"), D(1))
