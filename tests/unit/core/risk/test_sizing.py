"""Sizing: Kelly for one-dollar outcomes, loss per trade, volatility, depth and caps; the least one rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.errors import MarketError
from core.risk import load_profile
from core.risk.sizing import Size, SizeRequest, kelly_binary, size
from tests.unit.core.risk.world import D

LIMITS = load_profile()


def request(**more: object) -> SizeRequest:
    fields: dict[str, object] = {
        "equity": D(100),
        "price": D("0.40"),
        "fee": D("0.01"),
        "size_step": D("0.01"),
    } | more
    return SizeRequest(**fields)  # type: ignore[arg-type]


def test_kelly_matches_the_formula_with_odds():
    # cost 0.40 pays 1: odds b = 1.5; f = (p b - q) / b
    p, b = D("0.55"), D("1.5")
    assert kelly_binary(p, D("0.40")) == (p * b - (1 - p)) / b
    assert kelly_binary(D("0.40"), D("0.40")) == 0
    assert kelly_binary(D("0.3"), D("0.40")) == 0
    assert kelly_binary(D(1), D(1)) == 0
    assert kelly_binary(D(1), D("0.99")) == 1


@given(st.integers(1, 99), st.integers(1, 99))
def test_kelly_is_the_growth_optimal_share(p100: int, c100: int):
    import math

    p, c = p100 / 100, c100 / 100
    f = float(kelly_binary(D(p100) / 100, D(c100) / 100))

    def growth(share: float) -> float:
        if share >= 1:
            return -math.inf
        return p * math.log(1 + share * (1 - c) / c) + (1 - p) * math.log(1 - share)

    assert 0 <= f < 1
    for other in (max(0.0, f - 0.01), min(0.999, f + 0.01)):
        assert growth(f) >= growth(other) - 1e-12


@pytest.mark.parametrize("bad", ["NaN", "-0.1", "1.1", "Infinity"])
def test_a_probability_that_is_none_is_refused(bad: str):
    with pytest.raises(MarketError):
        kelly_binary(D(bad), D("0.4"))


@pytest.mark.parametrize("bad", ["NaN", "0", "-1", "Infinity"])
def test_a_cost_that_is_none_is_refused(bad: str):
    with pytest.raises(MarketError):
        kelly_binary(D("0.5"), D(bad))


def test_the_order_cap_rules_when_the_edge_is_large():
    got = size(request(probability=D("0.95")), LIMITS)
    assert (got.quantity, got.bound) == (D("4.87"), "order_cap")  # 2 dollars at 0.41
    assert got.quantity * D("0.41") <= 2


def test_quarter_kelly_rules_when_the_edge_is_small():
    got = size(request(probability=D("0.42")), LIMITS)
    share = (D("0.42") - D("0.41")) / D("0.59") / 4
    assert got.bound == "kelly"
    assert got.quantity == (100 * share / D("0.41")).quantize(D("0.01"), "ROUND_DOWN")


def test_without_an_edge_after_fees_nothing_is_bought():
    assert size(request(probability=D("0.405")), LIMITS) == Size(
        D(0), "edge", size(request(probability=D("0.405")), LIMITS).bounds
    )


def test_a_stop_lets_the_loss_rule_instead_of_the_cost():
    limits = LIMITS.changed({"sizing.risk_per_trade": "0.005", "exposure.order": "0.1"})
    far = size(request(), limits)
    near = size(request(stop=D("0.31")), limits)
    assert far.bound == near.bound == "risk"
    assert far.quantity == D("1.21")  # 0.50 at 0.41 a share
    assert near.quantity == D("4.54")  # loses 0.41 - 0.31 + 0.01 a share


def test_volatility_widens_the_stop_and_shrinks_the_size():
    limits = LIMITS.changed({"sizing.risk_per_trade": "0.005", "exposure.order": "0.1"})
    calm = size(request(stop=D("0.31"), atr=D("0.02")), limits)
    wild = size(request(stop=D("0.31"), atr=D("0.10")), limits)
    assert calm.quantity == D("4.54")
    assert wild.quantity == D("2.38")  # 2 ranges of 0.10 plus the fee


def test_depth_room_and_cap_bind():
    assert size(request(depth=D("1.5")), LIMITS).bound == "depth"
    assert size(request(room=D("0.82")), LIMITS).quantity == 2
    capped = size(request(equity=D(1_000_000)), LIMITS)
    assert capped.bound == "order_usd"
    assert capped.quantity * D("0.41") <= 50


def test_below_the_minimum_nothing_is_bought():
    got = size(request(min_size=D(5)), LIMITS)
    assert (got.quantity, got.bound) == (0, "min_size")


def test_posture_and_volatility_shrink_everything():
    assert size(request(factor=D("0.5")), LIMITS).quantity == D("2.43")
    assert size(request(factor=D(0)), LIMITS).quantity == 0
    assert size(request(equity=D(0)), LIMITS).quantity == 0
    assert size(request(equity=D(-5)), LIMITS).quantity == 0


@pytest.mark.parametrize("field", ["equity", "price", "fee", "size_step", "factor"])
def test_numbers_that_are_none_are_refused(field: str):
    with pytest.raises(MarketError):
        size(request(**{field: D("NaN")}), LIMITS)


decimals = st.decimals("0.01", "0.99", places=2)


@given(
    equity=st.decimals("1", "100000", places=2),
    price=decimals,
    fee=st.decimals("0", "0.05", places=4),
    probability=decimals,
    depth=st.decimals("0", "1000", places=2),
    step=st.sampled_from([D("0.01"), D(1), D("0.000001")]),
)
def test_no_bound_is_ever_exceeded(equity, price, fee, probability, depth, step):
    got = size(
        request(
            equity=equity,
            price=price,
            fee=fee,
            probability=probability,
            depth=depth,
            size_step=step,
        ),
        LIMITS,
    )
    cost = got.quantity * (price + fee)
    assert got.quantity >= 0
    assert got.quantity % step == 0
    assert got.quantity <= depth
    assert cost <= equity * D("0.02")
    assert cost <= 50
    if got.quantity:
        full = kelly_binary(probability, price + fee)
        assert cost <= equity * full / 4 * (1 + D("1e-20"))
        assert probability > price + fee
