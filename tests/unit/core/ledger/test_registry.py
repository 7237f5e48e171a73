"""Row kinds: nothing that could hold a float, old rows read through upcasters, newer ones refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from core.domain.errors import LedgerCorrupt, LedgerError, LedgerTooNew
from core.domain.fees import Side
from core.ledger.canonical import encode_payload
from core.ledger.kinds import Check, OrderIntended
from core.ledger.kinds import __all__ as exported
from core.ledger.registry import Payload, decode, kind, kinds, spec_of, upcaster
from tests.unit.core.ledger import rows_for_tests as make


def test_every_kind_has_a_docstring_and_is_exported() -> None:
    for spec in kinds():
        if not spec.name.startswith("test."):
            assert spec.payload_type.__doc__
            assert spec.payload_type.__name__ in exported
            assert spec.name == spec.payload_type.KIND


def test_no_kind_can_declare_a_float() -> None:
    for hint in ("float", "float | None", "tuple[float, ...]", "dict[str, float]", "Any"):
        namespace: dict[str, Any] = {"__annotations__": {"x": hint}, "__module__": __name__}
        cls = type("Bad", (Payload,), {**namespace, "__annotations__": {"x": eval(hint)}})
        with pytest.raises(LedgerError, match="could hold a float"):
            kind(f"test.bad.{hint}")(cls)


def test_a_name_is_taken_once() -> None:
    with pytest.raises(LedgerError, match="share a name"):
        kind("forecast")(type("Again", (Payload,), {"__module__": __name__}))


def test_an_unregistered_payload_is_refused() -> None:
    class Stray(Payload, frozen=True, kw_only=True):
        x: int

    with pytest.raises(LedgerError, match="not a registered row kind"):
        spec_of(Stray(x=1))


@kind("test.versioned", version=3)
class Versioned(Payload, frozen=True, kw_only=True):
    """Third version: `amount` was `cents` in the first and had no currency until the third."""

    amount: Decimal
    currency: str


@upcaster("test.versioned", 1)
def _cents_to_amount(old: dict[str, Any]) -> dict[str, Any]:
    return {"amount": str(Decimal(old["cents"]).scaleb(-2))}


@upcaster("test.versioned", 2)
def _with_currency(old: dict[str, Any]) -> dict[str, Any]:
    return {**old, "currency": "USD"}


def test_old_rows_are_read_as_the_current_version() -> None:
    now = Versioned(amount=Decimal("1.25"), currency="USD")
    assert decode("test.versioned@1", b'{"cents":125}') == now
    assert decode("test.versioned@2", b'{"amount":"1.25"}') == now
    assert decode("test.versioned@3", msgspec.json.encode(now)) == now


def test_rows_of_the_future_and_of_unknown_kinds_are_refused_by_name() -> None:
    for tag in ("test.versioned@4", "test.unheard@1", "forecast", "forecast@x", "forecast@0"):
        with pytest.raises(LedgerTooNew):
            decode(tag, b"{}")


def test_bytes_that_are_no_payload_are_corrupt() -> None:
    for data in (b"", b"{}", b'{"amount":1.5,"currency":"USD","x":1}', b"\xff"):
        with pytest.raises(LedgerCorrupt):
            decode("test.versioned@3", data)
    with pytest.raises(LedgerCorrupt):
        decode("test.versioned@1", b"[1]")


def test_payloads_of_any_kind_come_back_as_they_went_in() -> None:
    from core.ledger.canonical import encode_payload

    for payload in (
        make.started(),
        make.fill(),
        make.verdict(),
        make.intent(),
        make.proposal(),
        make.forecast(),
    ):
        spec = spec_of(payload)
        spec.check(payload)
        assert decode(spec.tag, encode_payload(payload)) == payload


@kind("test.nested")
class Nested(Payload, frozen=True, kw_only=True):
    """Everything that can hide a float."""

    checks: tuple[Check, ...] = ()
    names: tuple[str, ...] = ()
    amounts: tuple[Decimal, ...] = ()
    words: dict[str, str] = msgspec.field(default_factory=dict)
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    perhaps: tuple[Decimal, ...] | None = None
    one: Check | None = None


GOOD = Check("a", "1", "2", True)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("checks", (GOOD, GOOD), (GOOD, Check("a", 1.5, "2", True))),
        ("checks", (GOOD,), (GOOD, "x")),
        ("checks", (GOOD,), (GOOD, Check("a", "1", "2", 1))),
        ("checks", (), [GOOD]),
        ("names", ("a",), ("a", None)),
        ("amounts", (Decimal(1),), (Decimal(1), 1.0)),
        ("amounts", (Decimal(1),), (Decimal(1), Decimal("NaN"))),
        ("words", {"a": "b"}, {"a": 1}),
        ("words", {"a": "b"}, {1: "b"}),
        ("counts", {"a": 1}, {"a": 1.0}),
        ("counts", {"a": 1}, {"a": True}),
        ("perhaps", (Decimal(1),), (0.1,)),
        ("perhaps", None, (Decimal("Infinity"),)),
        ("one", GOOD, Check("a", 0.5, "2", True)),
        ("one", None, 1.5),
    ],
)
def test_a_float_hides_nowhere_not_even_after_good_rows(
    name: str, good: object, bad: object
) -> None:
    spec = spec_of(Nested())
    for _ in range(3):
        spec.check(Nested(**{name: good}))  # type: ignore[arg-type]
        with pytest.raises(LedgerError, match="wrong type"):
            spec.check(Nested(**{name: bad}))  # type: ignore[arg-type]


def test_an_intent_of_before_ids_stood_in_it_is_read_without_one():
    intent = OrderIntended(
        client_order_id="O-1", strategy_id="S-001", venue="POLYMARKET", instrument_id="I",
        market_id="M", event_id="", side=Side.BUY, quantity=Decimal(5), price=None, tif="IOC",
    )  # fmt: skip
    plain = msgspec.json.decode(encode_payload(intent))
    assert plain.pop("venue_order_id") == "" and plain.pop("limit") is None
    assert decode("order.intent@1", msgspec.json.encode(plain)) == intent
    assert decode("order.intent@2", encode_payload(intent)) == intent
