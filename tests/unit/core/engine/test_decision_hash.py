"""The decision hash: order counts, batches do not, settlement legs are sorted."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from core.engine import decision_hash
from core.engine.decision_hash import DecisionHash, number


def test_equal_decisions_have_equal_hashes_whatever_the_batch(monkeypatch) -> None:
    def digest(batch: int) -> str:
        monkeypatch.setattr(decision_hash, "BATCH", batch)
        h = DecisionHash()
        for n in range(100):
            h.add("order", n, "a", True, None)
        return h.hexdigest()

    assert digest(1) == digest(7) == digest(1000)


def test_order_counts_except_for_legs_of_one_moment() -> None:
    def digest(*moves: tuple[str, int, str]) -> str:
        h = DecisionHash()
        for kind, ts, name in moves:
            if kind == "leg":
                h.add_leg(ts, name)
            else:
                h.add(kind, ts, name)
        return h.hexdigest()

    assert digest(("x", 1, "a"), ("x", 1, "b")) != digest(("x", 1, "b"), ("x", 1, "a"))
    legs = digest(("leg", 1, "a"), ("leg", 1, "b"), ("leg", 2, "a"))
    assert legs == digest(("leg", 1, "b"), ("leg", 1, "a"), ("leg", 2, "a"))
    assert legs != digest(("leg", 2, "a"), ("leg", 1, "a"), ("leg", 1, "b"))


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=9, min_value=-(10**9), max_value=10**9
    )
)
def test_equal_numbers_are_equal_parts(value: Decimal) -> None:
    assert number(value) == number(value.normalize())
    assert number(value) != number(value + Decimal("0.000000001"))


def test_odd_numbers_have_a_part_too() -> None:
    assert number(Decimal("NaN")) == "NaN"
    assert number(Decimal("1e-12")) == "0.000000000001"
    assert number(Decimal(10) ** 30) == "1" + "0" * 30
