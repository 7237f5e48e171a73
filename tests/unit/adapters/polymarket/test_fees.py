from __future__ import annotations

import json
from decimal import Decimal as D
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.polymarket.categories import CATEGORIES, TABLES, category_of
from adapters.polymarket.fees import PolymarketFeeBook
from adapters.polymarket.terms import schedule_from_gamma
from core.domain.clock import ns_from_iso
from core.domain.errors import BetaError, FeeError
from core.domain.fees import FeeFill, FeeSchedule, Role, Side

NOW = ns_from_iso("2026-09-17")
STEP = D("0.00001")


def fee(schedule, price, size=100, ts=NOW, role=Role.TAKER):
    one = FeeFill("o", Side.BUY, role, D(str(price)), D(str(size)), ts)
    return PolymarketFeeBook().charge(schedule, one)


def of(category):
    return FeeSchedule("POLYMARKET", category=category)


TABLE = [
    (("crypto",), "1.75", "1.47", "0.63"),
    (("sports", "economics", "culture", "weather", "other"), "1.25", "1.05", "0.45"),
    (("finance", "politics", "mentions", "tech"), "1.00", "0.84", "0.36"),
    (("geopolitics",), "0", "0", "0"),
]


@pytest.mark.parametrize(
    ("category", "price", "expected"),
    [
        (category, price, value)
        for categories, *values in TABLE
        for category in categories
        for price, value in zip(("0.50", "0.30", "0.10"), values, strict=True)
    ],
)
def test_the_published_table_of_september_2026(category, price, expected):
    assert fee(of(category), price).fee == D(expected)


def test_the_crypto_tail_of_the_published_table():
    assert fee(of("crypto"), "0.05").fee == D("0.3325")
    assert fee(of("crypto"), "0.01").fee == D("0.0693")


def test_the_worked_neg_risk_basket_adds_up():
    parts = [fee(of("politics"), p, size=1).fee for p in ("0.45", "0.30", "0.22")]
    assert abs(sum(parts) - D("0.025164")) <= STEP
    dearer = FeeSchedule("POLYMARKET", rate=D("0.05"), kind="curve")
    parts = [fee(dearer, p, size=1).fee for p in ("0.45", "0.30", "0.22")]
    assert abs(sum(parts) - D("0.031455")) <= STEP


def test_makers_pay_nothing():
    assert fee(of("crypto"), "0.5", role=Role.MAKER).fee == 0


@pytest.mark.parametrize(
    ("day", "category", "expected", "rule"),
    [
        ("2025-12-31", "crypto-15m", "0", "polymarket-no-fees"),
        ("2026-01-05T23:59:59Z", "crypto-15m", "0", "polymarket-no-fees"),
        ("2026-01-06", "crypto-15m", "1.5625", "polymarket-15m-crypto crypto-15m"),
        ("2026-01-20", "crypto-5m", "0", "polymarket-15m-crypto crypto-5m"),
        ("2026-02-12", "crypto-5m", "1.5625", "polymarket-short-crypto crypto-5m"),
        ("2026-02-20", "politics", "0", "polymarket-short-crypto-leagues politics"),
        ("2026-02-20", "serie-a", "0.4375", "polymarket-short-crypto-leagues serie-a"),
        ("2026-03-10", "crypto", "1.5625", "polymarket-crypto-leagues crypto"),
        ("2026-03-29T23:59:59Z", "politics", "0", "polymarket-crypto-leagues politics"),
        ("2026-03-30", "politics", "1", "polymarket-category-2026-03-30 politics"),
        ("2026-03-30", "crypto-5m", "1.8", "polymarket-category-2026-03-30 crypto-5m"),
        ("2026-06-10", "crypto", "1.75", "polymarket-category-2026-06-10 crypto"),
        ("2026-07-09", "sports", "0.75", "polymarket-category-2026-06-10 sports"),
        ("2026-07-10", "sports", "1.25", "polymarket-category-2026-07-10 sports"),
        ("2026-07-10", "ncaab", "1.25", "polymarket-category-2026-07-10 ncaab"),
    ],
)
def test_a_market_without_terms_pays_what_its_category_paid_that_day(day, category, expected, rule):
    got = fee(of(category), "0.5", ts=ns_from_iso(day))
    assert (got.fee, got.rule) == (D(expected), rule)


def test_the_markets_own_schedule_wins_over_its_category():
    own = FeeSchedule("POLYMARKET", rate=D("0.25"), exponent=D(2), kind="curve", category="sports")
    got = fee(own, "0.3")
    assert got.fee == D("1.1025")
    assert got.rule == "polymarket-market-schedule"


def test_no_schedule_charges_a_fill_from_before_fees_existed():
    own = FeeSchedule("POLYMARKET", rate=D("0.07"), kind="curve")
    got = fee(own, "0.5", ts=ns_from_iso("2025-06-30"))
    assert (got.fee, got.rule) == (0, "polymarket-no-fees")


def test_less_than_the_smallest_step_is_free():
    assert fee(of("politics"), "0.0001", size=1).fee == 0  # 0.000004 dollars
    assert fee(of("politics"), "0.001", size=1).fee == D("0.00004")


def test_early_fees_had_four_decimals():
    early = ns_from_iso("2026-02-01")
    assert fee(of("crypto-15m"), "0.5", size=1, ts=early).fee == D("0.0156")


@pytest.mark.parametrize(
    "schedule",
    [
        FeeSchedule("POLYMARKET", category="astrology"),
        FeeSchedule("POLYMARKET", kind="quadratic"),
        FeeSchedule("POLYMARKET", rate=D(-1)),
        FeeSchedule("POLYMARKET", rate=D("NaN")),
        FeeSchedule("POLYMARKET", rate=D("0.1"), exponent=D(-1)),
    ],
)
def test_terms_that_make_no_sense_are_refused(schedule):
    with pytest.raises(FeeError):
        fee(schedule, "0.5")
    with pytest.raises(FeeError):
        PolymarketFeeBook().worst_case(schedule, D("0.5"), D(1), NOW)


@pytest.mark.parametrize(("price", "size"), [("1.1", 1), ("NaN", 1), ("0.5", 0), ("0.5", "NaN")])
def test_prices_and_sizes_that_make_no_sense_are_refused(price, size):
    with pytest.raises(FeeError):
        fee(of("politics"), price, size)


def test_recorded_gamma_markets_give_their_own_terms(shared_fixtures: Path):
    gamma = shared_fixtures / "polymarket" / "gamma"
    sports = json.loads((gamma / "market_sports_moneyline_proposed.json").read_text())
    got = schedule_from_gamma(sports, "sports")
    assert got.rate == D(str(sports["feeSchedule"]["rate"]))
    assert got.exponent == D(str(sports["feeSchedule"]["exponent"]))
    crypto = json.loads((gamma / "market_crypto_updown.json").read_text())
    assert schedule_from_gamma(crypto).rate == D("0.25")
    assert schedule_from_gamma(crypto).exponent == 2


def test_gamma_terms_without_a_schedule():
    assert schedule_from_gamma({"feesEnabled": False}).kind == "none"
    assert schedule_from_gamma({}, "politics").category == "politics"
    with pytest.raises(BetaError):
        schedule_from_gamma({"feeSchedule": {"exponent": 1}})
    with pytest.raises(BetaError):
        schedule_from_gamma({"feeSchedule": {"rate": "x"}})


def test_data_set_labels_map_to_categories():
    labels = ("science", "macro", "technology", "climate", "Politics", "")
    assert [category_of(x) for x in labels] == [
        "other", "economics", "tech", "weather", "politics", "other",
    ]  # fmt: skip


def test_the_tables_cover_all_time_without_a_hole():
    for one, after in pairwise(TABLES):
        assert one.span.end_ns == after.span.start_ns
    assert TABLES[0].span.start_ns == 0


prices = st.integers(1, 9999).map(lambda n: D(n).scaleb(-4))
moments = st.sampled_from([t.span.start_ns for t in TABLES] + [NOW])
pieces = st.lists(
    st.tuples(st.integers(1, 3000), st.integers(1, 9999), st.sampled_from(list(Role))),
    min_size=1,
    max_size=40,
)


@given(prices, pieces, st.sampled_from(CATEGORIES), moments, st.sampled_from(list(Side)))
def test_worst_case_bounds_every_split_at_every_better_price(limit, parts, category, ts, side):
    book, schedule = PolymarketFeeBook(), of(category)
    total, size = D(0), D(0)
    for lots, spot, role in parts:
        better = limit * spot / 10_000 if side is Side.BUY else 1 - (1 - limit) * spot / 10_000
        one = FeeFill("o", side, role, better, D(lots).scaleb(-2), ts)
        size += one.quantity
        total += book.charge(schedule, one).fee
    assert total <= book.worst_case(schedule, limit, size, ts, side)


@given(prices, st.integers(1, 300), st.sampled_from(["0.25", "0.0175", "0.04", "0.07"]),
       st.sampled_from(["1", "2", "0.5"]), moments)  # fmt: skip
def test_worst_case_bounds_the_smallest_lots(price, lots, rate, exponent, ts):
    own = FeeSchedule("POLYMARKET", rate=D(rate), exponent=D(exponent), kind="curve")
    book = PolymarketFeeBook()
    one = FeeFill("o", Side.BUY, Role.TAKER, price, D("0.01"), ts)
    total = sum((book.charge(own, one).fee for _ in range(lots)), D(0))
    assert total <= book.worst_case(own, price, D(lots).scaleb(-2), ts)


@given(prices, st.integers(1, 1_000_000), st.sampled_from(CATEGORIES))
def test_fees_are_symmetric_in_price_and_within_half_a_step_of_the_curve(price, lots, category):
    size = D(lots).scaleb(-2)
    got = fee(of(category), price, size)
    assert got.fee == fee(of(category), 1 - price, size).fee
    assert got.fee % STEP == 0
    assert abs(got.fee - got.trade_fee) <= STEP / 2 or (got.fee == 0 and got.trade_fee < STEP)
