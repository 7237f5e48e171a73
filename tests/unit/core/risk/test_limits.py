"""Limits: profiles, contradictions, changes by key; and each limit at work in the gate."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.domain.errors import ConfigError
from core.risk import Code, Limits, load_profile
from core.risk.limits import PROFILES, profile_names
from core.risk.verdict import MENDS
from tests.unit.core.risk.test_gate import refused
from tests.unit.core.risk.world import K2YES, KYES, PYES, D, Desk, market


@pytest.fixture
def small(make_desk) -> Desk:
    """A desk with the $100 profile, 100 dollars at each of two venues: equity 200."""
    return make_desk(limits=load_profile().changed({"posture.balanced": "1"}))


def loosened(**changes: str) -> Limits:
    keys = {k.replace("__", "."): v for k, v in changes.items()}
    return load_profile("research").changed(keys)


def test_the_default_profile_holds_the_promised_numbers():
    limits = load_profile()
    flat = limits.flat()
    assert limits.name == "usd100"
    assert {k: Decimal(flat[k]) for k in flat if k.startswith("exposure.") and "_" not in k} == {
        "exposure.order": D("0.02"),
        "exposure.market": D("0.10"),
        "exposure.event": D("0.20"),
        "exposure.venue": D("0.50"),
        "exposure.total": D(1),
        "exposure.leverage": D(1),
    }
    assert flat["price.collar"] == flat["governors.daily_loss"] == "0.05"
    assert flat["governors.drawdown"] == "0.05"
    assert flat["governors.consecutive_losses"] == "3"
    assert Limits().flat() == flat, "the code's defaults and the shipped profile are the same"


@pytest.mark.parametrize("name", sorted(p.stem for p in PROFILES.glob("*.toml")))
def test_every_shipped_profile_is_valid(name: str):
    assert load_profile(name).name == name
    assert name in profile_names()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("exposure.order", "0.2"),
        ("exposure.market", "0.3"),
        ("exposure.event", "0.6"),
        ("exposure.leverage", "3"),
        ("exposure.total", "1.5"),
        ("exposure.order", "0"),
        ("exposure.order", "-0.1"),
        ("exposure.order", "NaN"),
        ("exposure.order", "Infinity"),
        ("exposure.order", "0.01"),
        ("sizing.kelly", "1"),
        ("sizing.kelly", "0.1"),
        ("sizing.risk_per_trade", "0.03"),
        ("governors.soft_drawdown", "0.06"),
        ("posture.defensive", "0.9"),
        ("breaker.total", "0.05"),
        ("breaker.daily_loss", "0.06"),
        ("rate.orders", "0"),
        ("posture.start", "RECKLESS"),
        ("exposure.order", "many"),
    ],
)
def test_limits_that_contradict_each_other_or_make_no_sense_are_refused(key: str, value: str):
    with pytest.raises(ConfigError) as info:
        load_profile().changed({key: value})
    assert info.value.exit_code == 4
    assert key.split(".")[1] in str(info.value)


def test_an_unknown_limit_names_the_nearest():
    with pytest.raises(ConfigError, match=r"exposure\.market"):
        load_profile().changed({"exposure.markets": "0.1"})


def test_a_profile_of_ones_own_is_read_from_a_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        "blacklist = ['K1']\n[exposure]\norder = 0.01\n[sizing]\nrisk_per_trade = 0.01\n"
    )
    limits = load_profile(str(path))
    assert (limits.name, limits.exposure.order, limits.blacklist) == ("mine", D("0.01"), ("K1",))
    for text in ("[exposure]\nordr = 1\n", "[exposure\n", "\x00", "[exposure]\norder = [1]\n"):
        path.write_text(text)
        with pytest.raises(ConfigError):
            load_profile(str(path))
    with pytest.raises(ConfigError, match="usd100"):
        load_profile("nosuch")


@pytest.mark.parametrize("name", profile_names())
def test_limits_can_be_rebuilt_from_a_runs_record(name: str):
    limits = load_profile(name)
    again = Limits.of(limits.flat())
    assert again.model_copy(update={"name": name}) == limits
    with pytest.raises(ConfigError):
        limits.changed({"phases": "not json"})
    with pytest.raises(ConfigError):
        limits.changed({"phases": "[]"})


def test_limits_are_frozen():
    limits = load_profile()
    with pytest.raises(Exception, match="frozen"):
        limits.exposure.order = D(1)  # type: ignore[misc]


def test_every_refusal_code_has_a_mend():
    assert set(MENDS) == set(Code)


# -- each limit at work ---------------------------------------------------------------------------


def test_one_order_costs_at_most_its_share_of_equity(small: Desk):
    # 2 % of 200 = 4 dollars; 9.50 shares at 0.40 with the fee cost 3.9596, 9.60 cost 4.0013
    refused(small.send(KYES, "BUY", "9.60", "0.40"), Code.ORDER_LIMIT)
    assert small.send(KYES, "BUY", "9.50", "0.40").approved


def test_one_order_never_costs_more_than_the_cap_in_dollars(make_desk):
    desk = make_desk(limits=loosened(exposure__order_usd="3"))
    refused(desk.send(KYES, "BUY", "8", "0.40"), Code.ORDER_LIMIT)
    assert desk.send(KYES, "BUY", "7", "0.40").approved


@pytest.mark.parametrize(
    ("key", "code", "iids"),
    [
        ("exposure.market", Code.MARKET_LIMIT, (KYES, KYES)),
        ("exposure.event", Code.EVENT_LIMIT, (KYES, K2YES)),
        ("exposure.venue", Code.VENUE_LIMIT, (KYES, "K3-YES.KALSHI")),
        ("exposure.total", Code.TOTAL_LIMIT, (KYES, PYES)),
    ],
)
def test_money_at_risk_is_bounded_in_every_scope(make_desk, key: str, code: Code, iids):
    scopes = ["order", "market", "event", "venue", "total"]
    # the scope in question gets 0.2 of equity (40 dollars), the wider ones stay open
    changes = {f"exposure.{s}": "0.2" for s in scopes[: scopes.index(key.split(".")[1]) + 1]}
    if key == "exposure.total":
        changes |= {"breaker.total": "0.2"}
    changes |= {"breaker.market": "0.2"}
    desk = make_desk(
        limits=load_profile("research").changed(changes | {"sizing.risk_per_trade": "0.02"})
    )
    desk.gate.on_market(market("KALSHI", "K3"))
    first, second = iids
    assert desk.send(first, "BUY", "50", "0.40").approved  # about 21 of 40
    refused(desk.send(second, "BUY", "50", "0.40"), code)
    assert desk.send(second, "BUY", "40", "0.40").approved


def test_exposure_counts_what_is_held_as_well_as_what_rests(make_desk):
    desk = make_desk(
        limits=loosened(exposure__order="0.1", exposure__market="0.1", breaker__market="0.1")
    )
    assert desk.send(KYES, "BUY", "40", "0.40").approved
    desk.fill("O-1", "40", "0.40", "0.5")
    refused(desk.send(KYES, "BUY", "10", "0.40"), Code.MARKET_LIMIT)


def test_selling_is_never_stopped_by_exposure(make_desk):
    desk = make_desk(limits=loosened(exposure__order="0.02", breaker__market="1"))
    desk.hold(KYES, "400", "0.40")
    assert desk.send(KYES, "SELL", "400", "0.40").approved


@pytest.mark.parametrize(
    ("side", "price", "good"),
    [
        ("BUY", "0.42", True),
        ("BUY", "0.43", False),
        ("BUY", "0.05", True),
        ("SELL", "0.37", True),
        ("SELL", "0.36", False),
        ("SELL", "0.95", True),
    ],
)
def test_the_collar_stops_prices_that_reach_through_the_market(make_desk, side, price, good):
    desk = make_desk(limits=loosened(price__collar="0.05"))
    desk.hold(KYES, "10")
    # ask 0.40: to 0.42; bid 0.39: 5 % is 0.0195, less than two ticks, so to 0.37
    answer = desk.send(KYES, side, "1", price, bid=D("0.39"), ask=D("0.40"))
    assert answer.approved is good, answer
    if not good:
        refused(answer, Code.COLLAR)


def test_the_collar_is_at_least_two_ticks(make_desk):
    desk = make_desk(limits=loosened(price__collar="0.05"))
    assert desk.send(KYES, "BUY", "1", "0.04", ask=D("0.02")).approved
    refused(desk.send(KYES, "BUY", "1", "0.05", ask=D("0.02")), Code.COLLAR)


def test_without_any_price_nothing_is_bought_and_one_sided_books_give_one(make_desk):
    desk = make_desk(limits=loosened(price__collar="0.05"))
    refused(desk.send(KYES, "BUY", "1", "0.40", bid=None), Code.NO_REFERENCE)
    refused(desk.send(KYES, "BUY", "1", "0.90", bid=D("0.40"), ask=None), Code.COLLAR)
    assert desk.send(KYES, "BUY", "1", "0.41", bid=D("0.40"), ask=None).approved


def test_a_stale_book_stops_buying_but_not_selling(make_desk):
    desk = make_desk(limits=loosened(price__book_age_ms="1000"))
    desk.hold(KYES, "10")
    at = {"bid": D("0.40"), "ask": D("0.40")}
    refused(desk.send(KYES, "BUY", "1", "0.40", book_age_ns=1_000_000_001, **at), Code.STALE_BOOK)
    assert desk.send(KYES, "BUY", "1", "0.40", book_age_ns=1_000_000_000, **at).approved
    assert desk.send(KYES, "SELL", "1", "0.40", book_age_ns=10**12, **at).approved


def test_an_order_that_takes_is_clamped_to_the_visible_depth(make_desk):
    desk = make_desk(limits=loosened(sizing__depth_share="0.5"))
    at = {"bid": D("0.39"), "ask": D("0.40"), "depth": D(20)}
    refused(desk.send(KYES, "BUY", "10.01", "0.40", **at), Code.LIQUIDITY)
    assert desk.send(KYES, "BUY", "10", "0.40", **at).approved
    assert desk.send(KYES, "BUY", "50", "0.39", **at).approved, "a resting order takes nothing"


def test_a_blacklist_names_instruments_markets_events_or_venues(make_desk):
    for name in ("K1-YES.KALSHI", "K1", "E1", "KALSHI"):
        desk = make_desk(limits=loosened(blacklist=name))
        desk.hold(KYES, "10")
        refused(desk.send(KYES, "BUY", "1", "0.40"), Code.BLACKLISTED)
        assert desk.send(KYES, "SELL", "1", "0.40").approved, "one can always get out"
        assert desk.send(PYES, "BUY", "5", "0.40").approved


def test_the_rate_is_bounded_per_strategy_and_window(make_desk):
    desk = make_desk(limits=loosened(rate__orders="3", rate__window_ms="1000"))
    for n in range(3):
        assert desk.send(KYES, "BUY", f"{n + 1}", "0.40", now_ns=n).approved
    refused(desk.send(KYES, "BUY", "4", "0.40", now_ns=3), Code.RATE)
    assert desk.send(KYES, "BUY", "4", "0.40", now_ns=3, strategy_id="S2").approved
    assert desk.send(KYES, "BUY", "4", "0.40", now_ns=1_000_000_000).approved, "the window slides"
    refused(desk.send(KYES, "BUY", "5", "0.40", now_ns=1_000_000_000), Code.RATE)


def test_getting_out_has_twice_the_rate(make_desk):
    desk = make_desk(limits=loosened(rate__orders="2"))
    desk.hold(KYES, "10")
    for n in range(4):
        assert desk.send(KYES, "SELL", f"1.0{n}", "0.40").approved
    refused(desk.send(KYES, "SELL", "1.05", "0.40"), Code.RATE)


def test_the_same_order_again_and_again_is_stopped(make_desk):
    desk = make_desk(limits=loosened(rate__repeats="2", rate__repeat_window_ms="1000"))
    for n in range(2):
        assert desk.send(KYES, "BUY", "1", "0.40", now_ns=n).approved
    refused(desk.send(KYES, "BUY", "1.00", "0.400", now_ns=2), Code.REPEATED)
    assert desk.send(KYES, "BUY", "1", "0.41", now_ns=2).approved
    assert desk.send(KYES, "BUY", "1", "0.40", now_ns=1_000_000_001).approved


def test_refused_orders_do_not_count_against_the_rate(make_desk):
    desk = make_desk(limits=loosened(rate__orders="1"))
    for _ in range(5):
        refused(desk.send(KYES, "BUY", "1", "0.405"), Code.PRICE_OFF_GRID)
    assert desk.send(KYES, "BUY", "1", "0.40").approved


def test_too_many_unknown_orders_stop_buying(make_desk):
    desk = make_desk(limits=loosened(exposure__unknown_orders="1"))
    desk.hold(KYES, "10")
    desk.gate.redeem(desk.send(KYES, "BUY", "1", "0.40"), 11)
    desk.gate.on_unknown("O-1")
    refused(desk.send(KYES, "BUY", "2", "0.40"), Code.UNKNOWN_ORDERS)
    assert desk.send(KYES, "SELL", "2", "0.40").approved
    desk.gate.on_done("O-1")
    assert desk.send(KYES, "BUY", "2", "0.40").approved


def test_open_orders_are_bounded(make_desk):
    desk = make_desk(limits=loosened(exposure__open_orders="2"))
    for n in range(2):
        assert desk.send(KYES, "BUY", f"{n + 1}", "0.40").approved
    refused(desk.send(KYES, "BUY", "3", "0.40"), Code.OPEN_ORDERS)


def test_strategies_must_be_known_and_running_to_buy(desk: Desk):
    refused(desk.send(KYES, "BUY", "1", "0.40", strategy_id="GHOST"), Code.UNKNOWN_STRATEGY)
    refused(desk.send(KYES, "SELL", "1", "0.40", strategy_id="GHOST"), Code.UNKNOWN_STRATEGY)
    desk.hold(KYES, "10")
    desk.gate.on_strategy_stopped("S1", "stopped by the operator")
    refused(desk.send(KYES, "BUY", "1", "0.40"), Code.STRATEGY_STOPPED)
    assert desk.send(KYES, "SELL", "1", "0.40").approved
    desk.gate.on_strategy("S1")
    assert desk.send(KYES, "BUY", "1", "0.40").approved


def test_a_clock_that_steps_back_stops_buying_until_it_has_caught_up(desk: Desk):
    second = 1_000_000_000
    desk.hold(KYES, "10")
    assert desk.send(KYES, "BUY", "1", "0.40", now_ns=100 * second).approved
    refused(desk.send(KYES, "BUY", "2", "0.40", now_ns=70 * second), Code.CLOCK_BACK)
    assert desk.send(KYES, "SELL", "2", "0.40", now_ns=70 * second).approved
    assert desk.send(KYES, "BUY", "3", "0.40", now_ns=99 * second).approved, "a second is tolerated"


def test_changed_limits_hold_from_the_next_order(desk: Desk):
    assert desk.send(KYES, "BUY", "100", "0.40").approved
    desk.gate.set_limits(load_profile())
    refused(desk.send(KYES, "BUY", "1", "0.40"), Code.MARKET_LIMIT)


def test_room_is_what_one_more_purchase_may_cost(small: Desk):
    assert small.gate.room("S1", KYES) == 4
    small.send(KYES, "BUY", "5", "0.40")
    assert small.gate.room("S1", KYES) == 4
    for _ in range(4):
        small.hold(KYES, "10", "0.40")
    left = small.gate.room("S1", KYES)
    assert 0 < left < 4
    assert small.gate.room("S1", "nothing") == 0
