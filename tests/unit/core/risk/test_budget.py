"""Risk budget across families: by results, within floor and cap, the weakest off first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.clock import NS_PER_DAY
from core.risk import Code, Posture, load_profile
from core.risk.budget import FamilyResult, allocate, missing
from core.risk.limits import Budget, Limits
from core.risk.states import TradingState
from tests.unit.core.risk.test_gate import refused
from tests.unit.core.risk.world import K2YES, KYES, D, Desk

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
    desk.gate.on_time(1)
    desk.gate.set_budget({"arbitrage": D("0.1")})  # 20 of 200
    assert desk.send(KYES, "BUY", "40", "0.40", strategy_id="ARB").approved
    refused(desk.send(K2YES, "BUY", "10", "0.40", strategy_id="ARB"), Code.FAMILY_BUDGET)
    assert desk.send(K2YES, "BUY", "10", "0.40", strategy_id="S1").approved


def moves(desk: Desk) -> list[tuple[str, str, str]]:
    return [(e.subject, e.before, e.after) for e in desk.gate.drain() if e.machine == "budget"]


def test_two_families_share_the_total_from_their_start(make_desk):
    desk = make_desk(limits=Limits())
    desk.gate.on_strategy("ARB", "arbitrage")
    assert desk.gate.budget == {}, "one family has it all"
    desk.gate.on_strategy("PRED", "prediction")
    assert desk.gate.families.shares == {"arbitrage": D("0.5"), "prediction": D("0.5")}
    assert moves(desk) == [("arbitrage", "all", "0.5"), ("prediction", "all", "0.5")]


def test_a_family_beyond_its_share_is_refused_and_the_other_is_not(make_desk):
    limits = Limits().changed(
        {
            "exposure.total": "0.10",
            "exposure.venue": "0.10",
            "exposure.event": "0.10",
            "breaker.total": "0.10",
        }
    )
    desk = make_desk(limits=limits)  # 200 dollars: 20 for both, 10 each
    for name in ("arbitrage", "prediction"):
        desk.gate.on_strategy(name, name)
    for n in range(2):
        sent = desk.send(KYES, "BUY", f"{9 - n}", "0.40", strategy_id="prediction")
        assert sent.approved
    desk.hold(K2YES, "6", "0.50", strategy="prediction")
    refused(desk.send(K2YES, "BUY", "5", "0.40", strategy_id="prediction"), Code.FAMILY_BUDGET)
    assert desk.send(K2YES, "BUY", "5", "0.40", strategy_id="arbitrage").approved


def test_shares_follow_results_on_a_new_day_and_not_within_it(make_desk):
    desk = make_desk(limits=Limits().changed({"budget.min_trades": "1"}))
    for name in ("arbitrage", "prediction"):
        desk.gate.on_strategy(name, name)
    desk.gate.on_time(1)
    desk.hold(KYES, "10", "0.40", strategy="arbitrage")
    sold = desk.send(KYES, "SELL", "10", "0.50", strategy_id="arbitrage").intent
    desk.fill(sold.client_order_id, "10", "0.50", ts_ns=20)
    desk.gate.families.count("arbitrage", 10**18)
    desk.gate.on_time(30)
    assert set(desk.gate.families.shares.values()) == {D("0.5")}
    desk.gate.on_time(NS_PER_DAY + 1)
    shares = desk.gate.families.shares
    assert shares["arbitrage"] >= shares["prediction"]
    assert sum(shares.values()) <= 1


def test_a_defensive_posture_switches_the_weaker_family_off(make_desk):
    desk = make_desk(limits=Limits())
    for name in ("arbitrage", "prediction"):
        desk.gate.on_strategy(name, name)
    desk.gate.on_time(1)
    desk.gate.on_hold("anomaly", TradingState.REDUCE_ONLY, "x", 2)
    desk.gate.governor.posture = Posture.DEFENSIVE
    desk.gate.on_time(3)
    assert sorted(desk.gate.families.shares.values()) == [0, 1]


def test_limits_that_do_not_enforce_it_leave_every_family_free(make_desk):
    desk = make_desk(limits=load_profile("research"))
    for name in ("arbitrage", "prediction"):
        desk.gate.on_strategy(name, name)
    assert desk.gate.budget == {}
    desk.gate.set_limits(load_profile("research").changed({"budget.enforced": "true"}))
    assert set(desk.gate.budget) == {"arbitrage", "prediction"}


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
