"""Approvals: built by the gate alone, signed, used once, in time, for the order they name."""

from __future__ import annotations

import copy
import pickle
from copy import replace
from decimal import Decimal

import msgspec
import pytest

from core.domain.decision import TimeInForce
from core.domain.errors import ApprovalInvalid
from core.domain.fees import Side
from core.risk import ApprovedOrder, Gate
from core.risk.approval import Signer, canonical, place_of
from core.risk.units import nanos_of
from tests.unit.core.risk.world import KNO, KYES, D, Desk, world


def approve(desk: Desk, **more) -> ApprovedOrder:
    answer = desk.send(KYES, "BUY", "10", "0.40", **more)
    assert isinstance(answer, ApprovedOrder)
    return answer


def code_of(info: pytest.ExceptionInfo[ApprovalInvalid]) -> str:
    return info.value.code


def test_an_approval_is_redeemed_once(desk: Desk):
    approved = approve(desk)
    assert desk.gate.redeem(approved, 11, approved.intent) is approved.intent
    with pytest.raises(ApprovalInvalid) as info:
        desk.gate.redeem(approved, 11)
    assert code_of(info) == "APPROVAL_REUSED"


def test_an_approval_expires_and_gives_its_reservation_back(desk: Desk):
    approved = approve(desk)
    with pytest.raises(ApprovalInvalid) as info:
        desk.gate.redeem(approved, approved.expires_ns)
    assert code_of(info) == "APPROVAL_EXPIRED"
    assert desk.gate.exposure() > 0, "nothing is released before the gate looks at the time again"
    desk.send(KYES, "BUY", "1000", "0.40", now_ns=approved.expires_ns)
    assert desk.gate.exposure() == 0


def test_a_redeemed_order_never_expires(desk: Desk):
    approved = approve(desk)
    desk.gate.redeem(approved, 11)
    desk.send(KYES, "BUY", "1000", "0.40", now_ns=approved.expires_ns * 10)
    assert desk.gate.exposure() > 0


def test_an_approval_cannot_be_built_copied_pickled_or_changed(desk: Desk):
    approved = approve(desk)
    for attempt in (
        lambda: ApprovedOrder(object(), tuple(approved)),
        lambda: ApprovedOrder(None, tuple(approved)),
        lambda: copy.copy(approved),
        lambda: copy.deepcopy(approved),
        lambda: pickle.dumps(approved),
    ):
        with pytest.raises(ApprovalInvalid):
            attempt()
    for change in (
        lambda: setattr(approved, "nonce", 7),
        lambda: setattr(approved, "anything", 7),
        lambda: approved.__setitem__(0, None),
    ):
        with pytest.raises(AttributeError):
            change()


FIELDS = ("intent", "nonce", "ts_ns", "expires_ns", "worst", "signature", "checks")


def forged(approved: ApprovedOrder, field: str, value: object) -> ApprovedOrder:
    fields = [value if name == field else old for name, old in zip(FIELDS, approved, strict=True)]
    return tuple.__new__(ApprovedOrder, fields)


@pytest.mark.parametrize("field", ["intent", "nonce", "expires_ns", "worst", "signature"])
def test_a_forged_field_voids_the_signature(desk: Desk, field: str):
    approved = approve(desk)
    changes: dict[str, object] = {
        "intent": replace(approved.intent, quantity=Decimal(11)),
        "nonce": approved.nonce + 1,
        "expires_ns": approved.expires_ns + 1,
        "worst": 990_000_000,
        "signature": bytes(32),
    }
    with pytest.raises(ApprovalInvalid) as info:
        desk.gate.redeem(forged(approved, field, changes[field]), 11)
    assert code_of(info) == "APPROVAL_FORGED"
    assert desk.gate.redeem(approved, 11), "the true approval is untouched"


@pytest.mark.parametrize(
    ("field", "value"),
    [("quantity", D(1000)), ("price", D("0.99")), ("instrument_id", KNO), ("tif", TimeInForce.IOC),
     ("side", Side.SELL), ("post_only", True), ("expire_ns", 7), ("strategy_id", "S2")],
)  # fmt: skip
def test_an_intent_changed_by_force_after_its_approval_is_forged(
    desk: Desk, field: str, value: object
):
    approved = approve(desk)
    msgspec.structs.force_setattr(approved.intent, field, value)
    with pytest.raises(ApprovalInvalid) as info:
        desk.gate.redeem(approved, 11)
    assert code_of(info) == "APPROVAL_FORGED"


def test_the_same_bytes_in_another_object_are_judged_by_their_signature(desk: Desk):
    approved = approve(desk)
    twin = tuple.__new__(ApprovedOrder, approved)
    assert desk.gate.redeem(twin, 11) is approved.intent
    with pytest.raises(ApprovalInvalid) as info:
        desk.gate.redeem(approved, 11)
    assert code_of(info) == "APPROVAL_REUSED"


def test_an_approval_of_another_gate_is_forged(desk: Desk):
    other = Desk(Gate(world().__dict__["_venues"].values(), key=b"x" * 32))
    approved = approve(desk)
    with pytest.raises(ApprovalInvalid) as info:
        other.gate.redeem(approved, 11)
    assert code_of(info) == "APPROVAL_FORGED"


def test_things_that_are_no_approval_are_forged(gate: Gate, desk: Desk):
    class Looks(ApprovedOrder):
        pass

    approved = approve(desk)
    fake = tuple.__new__(Looks, approved)
    half = tuple.__new__(ApprovedOrder, ())
    for thing in (None, "yes", approved.intent, fake, half):
        with pytest.raises(ApprovalInvalid) as info:
            gate.redeem(thing, 11)  # type: ignore[arg-type]
        assert code_of(info) == "APPROVAL_FORGED"


def test_an_approval_for_another_order_is_refused_and_released(desk: Desk):
    approved = approve(desk)
    other = replace(approved.intent, quantity=Decimal(100))
    with pytest.raises(ApprovalInvalid) as info:
        desk.gate.redeem(approved, 11, other)
    assert code_of(info) == "APPROVAL_OTHER_ORDER"
    assert desk.gate.exposure() == 0


def test_a_withdrawn_approval_cannot_be_redeemed(desk: Desk):
    approved = approve(desk)
    assert desk.gate.on_done("O-1")
    with pytest.raises(ApprovalInvalid) as info:
        desk.gate.redeem(approved, 11)
    assert code_of(info) == "APPROVAL_REUSED"


def test_the_signed_bytes_separate_every_field(desk: Desk):
    intent = desk.intent(KYES, "BUY", "10", "0.40")

    def signed(order) -> bytes:
        place = place_of(order.venue, order.instrument_id, order.market_id, order.event_id)
        price = None if order.price is None else nanos_of(order.price)
        return canonical(order, place, price, nanos_of(order.quantity), 1, 1, 1)

    moved = replace(intent, client_order_id=intent.client_order_id + "S", strategy_id="1")
    quoted = replace(intent, client_order_id="O-1''S1")
    assert len({signed(intent), signed(moved), signed(quoted)}) == 3
    changes: dict[str, object] = {
        "client_order_id": "X", "strategy_id": "X", "venue": "X", "instrument_id": "X",
        "market_id": "X", "event_id": "X", "side": Side.SELL, "quantity": D(11), "price": None,
        "tif": TimeInForce.IOC, "ts_ns": 2, "post_only": True, "reduces": True, "expire_ns": 9,
    }  # fmt: skip
    for name, value in changes.items():
        assert signed(replace(intent, **{name: value})) != signed(intent), name


def test_every_order_can_be_signed_whatever_its_numbers_and_names(desk: Desk):
    intent = desk.intent(KYES, "BUY", "10", "0.40", client_order_id="O-\ud800")
    odd = [canonical(intent, "", 1, 2, 1, n, 1) for n in (1, 2)]
    intent = desk.intent(KYES, "BUY", "10", "0.40")
    large = [canonical(intent, "", 1, 10**21 + n, 1, 1, 1) for n in (0, 1)]
    assert len({*odd, *large, canonical(intent, "", 1, 2, 1, 1, 1)}) == 5


def test_the_signature_is_hmac_sha256():
    import hmac

    for key in (b"k" * 32, b"k" * 64, b"k" * 100):
        assert Signer(key, 1)._mac(b"order") == hmac.digest(key, b"order", "sha256")


def test_the_key_is_never_shown(desk: Desk):
    signer = Signer(b"s" * 32, 1)
    assert "ssss" not in repr(signer)
    assert "signature" not in repr(approve(desk))


def test_a_gate_without_a_key_draws_its_own():
    assert Signer(None, 1)._mac(b"order") != Signer(None, 1)._mac(b"order")
    assert Signer(b"k", 1)._mac(b"order") == Signer(b"k", 1)._mac(b"order")


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_the_verdict_says_what_the_approval_took_from_the_cash(desk: Desk, side: str):
    if side == "SELL":
        desk.hold(KYES, "1000")
    before = desk.gate.free_cash("KALSHI")
    answer = desk.send(KYES, side, "100", "0.40").verdict()
    assert answer.approved
    assert answer.reserved == before - desk.gate.free_cash("KALSHI")
    assert (answer.reserved > 0) is (side == "BUY")
    assert answer.nonce > 0
    assert answer.expires_ns > 0


def test_a_refusal_reserves_nothing_and_has_no_number(desk: Desk):
    answer = desk.send(KYES, "SELL", "5", "0.40").verdict()
    assert (answer.approved, answer.reserved, answer.nonce, answer.expires_ns) == (False, 0, 0, 0)
