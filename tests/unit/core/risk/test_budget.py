"""Risk budget across families: by results, within floor and cap, the weakest off first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.risk import Code, Posture, load_profile
from core.risk.budget import FamilyResult, allocate, missing
from core.risk.limits import Budget
from tests.unit.core.risk.test_gate import refused
from tests.unit.core.risk.world import K2YES, KYES, D

FOUR = ("arbitrage", "momentum", "prediction", "scalping")


def record(profit: str, trades: int = 50) -> FamilyResult:
    return FamilyResult(D(profit), D(1000), trades)


def test_without_results_everyone_gets_the_same():
    assert set(allocate(FOUR, {}, Budget()).values()) == {D("0.25")}
    assert allocate([], {}, Budget()) == {}


def test_better_results_get_more_and_too_few_results_count_as_average():
    got = allocate(FOUR, {"arbitrage": record("80"), "momentum": record("-50")}, Budget())
    assert got["arbitrage"] > got["prediction"] == got["scalping"] > got["momentum"] > 0
    early = allocate(FOUR, {"arbitrage": record("80", trades=19)}, Budget())
    assert set(early.values()) == {D("0.25")}


def test_under_stress_the_weakest_is_switched_off_first_and_in_a_halt_all_are():
    results = {"arbitrage": record("80"), "momentum": record("-50"), "scalping": record("-90")}
    got = allocate(FOUR, results, Budget(), Posture.DEFENSIVE)
    assert [f for f in FOUR if got[f] == 0] == ["scalping"]
    assert set(allocate(FOUR, results, Budget(), Posture.HALT).values()) == {D(0)}
    assert allocate(["arbitrage"], results, Budget(), Posture.DEFENSIVE)["arbitrage"] > 0


@given(
    st.dictionaries(st.sampled_from(FOUR), st.integers(-500, 500), max_size=4),
    st.sampled_from([Posture.AGGRESSIVE, Posture.BALANCED, Posture.DEFENSIVE]),
)
def test_shares_never_sum_to_more_than_one(profits: dict[str, int], posture: Posture):
    results = {name: record(str(p)) for name, p in profits.items()}
    got = allocate(FOUR, results, Budget(), posture)
    assert sum(got.values()) <= 1
    assert all(0 <= share <= 1 for share in got.values())
    assert sum(1 for share in got.values() if share) >= 3


def test_the_gate_enforces_the_budget(make_desk):
    desk = make_desk(limits=load_profile("research"))
    desk.gate.on_strategy("ARB", "arbitrage")
    desk.gate.set_budget({"arbitrage": D("0.1")})  # 20 of 200
    assert desk.send(KYES, "BUY", "40", "0.40", strategy_id="ARB").approved
    refused(desk.send(K2YES, "BUY", "10", "0.40", strategy_id="ARB"), Code.FAMILY_BUDGET)
    assert desk.send(K2YES, "BUY", "10", "0.40", strategy_id="S1").approved


@pytest.mark.parametrize(
    ("family", "facts", "lacking"),
    [
        ("cross_venue", {"prediction_venues": 1}, 1),
        ("cross_venue", {"prediction_venues": 2}, 0),
        ("scalping", {}, 1),
        ("scalping", {"exchanges": 1}, 0),
        ("crypto_arbitrage", {"exchanges": 1}, 1),
        ("anything else", {}, 0),
    ],
)
def test_a_family_starts_only_when_its_prerequisites_hold(family, facts, lacking):
    assert len(missing(family, facts)) == lacking
