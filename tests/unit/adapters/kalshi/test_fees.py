from __future__ import annotations

import json
from decimal import Decimal as D
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.kalshi.fees import KalshiFeeBook
from adapters.kalshi.rounding import CENT, CENTICENT, round_fill
from adapters.kalshi.terms import schedule_from_payload
from core.domain.clock import ns_from_iso
from core.domain.errors import FeeError
from core.domain.fees import FeeFill, FeeSchedule, Role, Side

NOW = ns_from_iso("2026-11-01")
SPRING = ns_from_iso("2026-04-01")
OLD = ns_from_iso("2025-11-08")
PLAIN = FeeSchedule("KALSHI", kind="quadratic")


def fill(price, size, *, role=Role.TAKER, side=Side.BUY, ts=NOW, order="o1"):
    return FeeFill(order, side, role, D(str(price)), D(str(size)), ts)


def test_all_recorded_fills_reproduce_to_the_last_digit(shared_fixtures: Path):
    folder = shared_fixtures / "kalshi"
    fills = json.loads((folder / "rest_fills.json").read_text())["fills"]
    series = json.loads((folder / "rest_series.json").read_text())
    terms = {ticker: schedule_from_payload(body["series"]) for ticker, body in series.items()}
    terms["KXMLBKS"] = FeeSchedule("KALSHI", kind="quadratic", multiplier=D("0.5"))  # fitted
    book = KalshiFeeBook()
    wrong = []
    for row in fills:
        yes = D(row["yes_price_dollars"])
        one = FeeFill(
            row["order_id"],
            Side.BUY,
            Role.TAKER if row["is_taker"] else Role.MAKER,
            yes if row["outcome_side"] == "yes" else 1 - yes,
            D(row["count_fp"]),
            ns_from_iso(row["created_time"]),
        )
        got = book.charge(terms.get(row["ticker"].split("-")[0], PLAIN), one).fee
        if got != D(row["fee_cost"]):
            wrong.append((row["ticker"], got, row["fee_cost"]))
    assert len(fills) == 33
    assert wrong == []


@pytest.mark.parametrize(
    ("price", "size", "kind", "multiplier", "role", "trade_fee", "fee"),
    [
        ("0.50", "10", "quadratic", "1", Role.TAKER, "0.1750", "0.1750"),
        ("0.52", "1", "quadratic_with_maker_fees", "0.5", Role.TAKER, "0.0088", "0.0088"),
        ("0.15", "20", "quadratic", "1", Role.TAKER, "0.1785", "0.1785"),
        ("0.001", "227.27", "quadratic", "1", Role.TAKER, "0.0159", "0.015930"),
        ("0.50", "100", "quadratic_with_maker_fees", "1", Role.MAKER, "0.4375", "0.4375"),
        ("0.50", "100", "quadratic_with_combo_maker_fees", "1", Role.MAKER, "0.8750", "0.8750"),
        ("0.50", "100", "quadratic", "1", Role.MAKER, "0", "0"),
        ("0.50", "100", "none", "1", Role.TAKER, "0", "0"),
    ],
)
def test_the_worked_table_of_a_direct_member(price, size, kind, multiplier, role, trade_fee, fee):
    schedule = FeeSchedule("KALSHI", kind=kind, multiplier=D(multiplier))
    got = KalshiFeeBook().charge(schedule, fill(price, size, role=role))
    assert (got.trade_fee, got.fee) == (D(trade_fee), D(fee))


def test_a_cent_aligned_account_pays_the_cent_and_remembers_the_rest():
    got = KalshiFeeBook(direct_member=False).charge(PLAIN, fill("0.50", "10"))
    assert (got.trade_fee, got.rounding, got.fee) == (D("0.1750"), D("0.0050"), D("0.18"))


def test_three_subpenny_lots_of_a_cent_aligned_account_get_no_rebate_yet():
    book = KalshiFeeBook(direct_member=False)
    charges = [book.charge(PLAIN, fill("0.055", "1")) for _ in range(3)]
    assert [c.trade_fee for c in charges] == [D("0.0037")] * 3
    assert [c.fee for c in charges] == [D("0.0050")] * 3
    assert [c.rebate for c in charges] == [0, 0, 0]


DOCUMENTED = [
    # price, size, trade fee, then (rounding, accumulator, rebate, fee) of three equal fills
    ("0.055", "1", "0.0085", [
        ("0.0065", "0.0065", "0", "0.0150"),
        ("0.0065", "0.0030", "0.01", "0.0050"),
        ("0.0065", "0.0095", "0", "0.0150"),
    ]),
    ("0.50", "0.30", "0.0041", [
        ("0.0059", "0.0059", "0", "0.0100"),
        ("0.0059", "0.0018", "0.01", "0.0000"),
        ("0.0059", "0.0077", "0", "0.0100"),
    ]),
    ("0.3301", "0.03", "0.0005", [
        ("0.009597", "0.009597", "0", "0.010097"),
        ("0.009597", "0.009194", "0.01", "0.000097"),
        ("0.009597", "0.008791", "0.01", "0.000097"),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("price", "size", "trade_fee", "rows"), DOCUMENTED)
def test_the_documented_rounding_examples_reproduce(price, size, trade_fee, rows):
    accumulator = D(0)
    for rounding, left, rebate, fee in rows:
        got = round_fill(Side.BUY, D(price) * D(size), D(trade_fee), CENT, accumulator)
        accumulator = got.accumulator
        assert (got.rounding, got.accumulator, got.rebate, got.fee) == tuple(
            map(D, (rounding, left, rebate, fee))
        )


def test_a_sale_floors_the_proceeds():
    got = round_fill(Side.SELL, D("0.055"), D("0.0037"), CENT)
    assert got.rounding == D("0.0013")  # 0.0513 received becomes 0.05
    assert got.fee == D("0.0050")


def test_until_march_2026_an_order_pays_whole_cents_once_for_all_its_fills():
    book = KalshiFeeBook()
    fees = [book.charge(PLAIN, fill("0.09", "1", ts=OLD)).fee for _ in range(114)]
    assert sum(fees) == D("0.66")  # one fill of 114 at 9 cents was charged 66 cents
    assert sum(fees) == KalshiFeeBook().estimate(PLAIN, fill("0.09", "114", ts=OLD)).fee
    assert all(f in (D(0), D("0.01")) for f in fees)


def test_two_orders_do_not_share_a_cent():
    book = KalshiFeeBook()
    fees = [book.charge(PLAIN, fill("0.09", "1", ts=OLD, order=f"o{i}")).fee for i in range(3)]
    assert fees == [D("0.01")] * 3


@pytest.mark.parametrize(
    ("day", "direct", "rule", "fee"),
    [
        ("2026-03-08T23:59:59Z", True, "kalshi-cent-per-order", "0.02"),
        ("2026-03-09", True, "kalshi-centicent-cent-balance", "0.02"),
        ("2026-05-27T23:59:59Z", True, "kalshi-centicent-cent-balance", "0.02"),
        ("2026-05-28", True, "kalshi-centicent-direct", "0.0175"),
        ("2026-05-28", False, "kalshi-centicent-cent-balance", "0.02"),
    ],
)
def test_a_fill_is_charged_by_the_rule_of_its_day(day, direct, rule, fee):
    got = KalshiFeeBook(direct).charge(PLAIN, fill("0.50", "1", ts=ns_from_iso(day)))
    assert got.rule == f"{rule} quadratic x1"
    assert got.fee == D(fee)


@pytest.mark.parametrize("kind", ["flat", "cubic"])
def test_fee_types_that_cannot_be_modelled_are_refused(kind):
    schedule = FeeSchedule("KALSHI", kind=kind)
    book = KalshiFeeBook()
    for call in (
        lambda: book.charge(schedule, fill("0.5", "1")),
        lambda: book.estimate(schedule, fill("0.5", "1")),
        lambda: book.worst_case(schedule, D("0.5"), D(1), NOW),
    ):
        with pytest.raises(FeeError):
            call()


def test_maker_fees_before_the_curve_are_refused_but_can_be_stated():
    early = ns_from_iso("2025-06-30")
    schedule = FeeSchedule("KALSHI", kind="quadratic_with_maker_fees")
    with pytest.raises(FeeError, match="before 2025-07-01"):
        KalshiFeeBook().charge(schedule, fill("0.5", "1", role=Role.MAKER, ts=early))
    stated = FeeSchedule("KALSHI", kind="quadratic_with_maker_fees", maker_rate=D("0.0175"))
    assert KalshiFeeBook().charge(stated, fill("0.5", "1", role=Role.MAKER, ts=early)).fee == D(
        "0.01"
    )


def test_a_waived_market_is_free_until_the_waiver_ends():
    schedule = FeeSchedule("KALSHI", kind="quadratic", waiver_until_ns=NOW)
    assert KalshiFeeBook().charge(schedule, fill("0.5", "10", ts=NOW - 1)).fee == 0
    assert KalshiFeeBook().charge(schedule, fill("0.5", "10", ts=NOW)).fee == D("0.175")


def test_a_waiver_does_not_lower_the_bound_of_an_order_that_can_outlive_it():
    waived = FeeSchedule("KALSHI", kind="quadratic", waiver_until_ns=NOW)
    for ts in (NOW - 1, NOW):
        assert KalshiFeeBook().worst_case(waived, D("0.5"), D(10), ts) >= D("0.175")


def test_an_event_override_wins_over_the_series():
    series = {"ticker": "KXA", "fee_type": "quadratic", "fee_multiplier": 1}
    event = {"fee_type_override": "quadratic_with_maker_fees", "fee_multiplier_override": 0}
    got = schedule_from_payload(series, event)
    assert (got.kind, got.multiplier) == ("quadratic_with_maker_fees", 0)
    cleared = {"fee_type_override": None, "fee_multiplier_override": None}
    assert schedule_from_payload(series, cleared).multiplier == 1


@pytest.mark.parametrize(
    "series",
    [
        {"fee_type": "cubic", "fee_multiplier": 1},
        {"fee_multiplier": 1},
        {"fee_type": "quadratic"},
        {"fee_type": "quadratic", "fee_multiplier": -1},
    ],
)
def test_series_terms_that_make_no_sense_are_refused(series):
    with pytest.raises(FeeError):
        schedule_from_payload(series)


@pytest.mark.parametrize("price", ["-0.01", "1.01", "NaN", "Infinity"])
def test_prices_that_are_no_probability_are_refused(price):
    with pytest.raises(FeeError):
        KalshiFeeBook().charge(PLAIN, fill(price, "1"))


@pytest.mark.parametrize("size", ["0", "-1", "NaN", "Infinity"])
def test_sizes_that_are_not_positive_are_refused(size):
    with pytest.raises(FeeError):
        KalshiFeeBook().charge(PLAIN, fill("0.5", size))


prices = st.integers(1, 9999).map(lambda n: D(n).scaleb(-4))
kinds = st.sampled_from(
    ["quadratic", "quadratic_with_maker_fees", "quadratic_with_combo_maker_fees", "none"]
)
moments = st.sampled_from([OLD, SPRING, NOW])
pieces = st.lists(
    st.tuples(st.integers(1, 3000), st.integers(1, 9999), st.sampled_from(list(Role))),
    min_size=1,
    max_size=40,
)


@given(prices, pieces, kinds, st.sampled_from(["0", "0.5", "1", "2"]), moments, st.booleans(),
       st.sampled_from(list(Side)))  # fmt: skip
def test_worst_case_bounds_every_split_at_every_better_price(
    limit, parts, kind, multiplier, ts, direct, side
):
    schedule = FeeSchedule("KALSHI", kind=kind, multiplier=D(multiplier))
    book = KalshiFeeBook(direct)
    total, size = D(0), D(0)
    for lots, spot, role in parts:
        better = limit * spot / 10_000 if side is Side.BUY else 1 - (1 - limit) * spot / 10_000
        size += D(lots).scaleb(-2)
        total += book.charge(
            schedule, fill(better, D(lots).scaleb(-2), role=role, side=side, ts=ts)
        ).fee
    assert total <= book.worst_case(schedule, limit, size, ts, side)


@given(prices, st.integers(1, 300), kinds, moments, st.booleans())
def test_worst_case_bounds_the_smallest_lots(price, lots, kind, ts, direct):
    schedule = FeeSchedule("KALSHI", kind=kind)
    book = KalshiFeeBook(direct)
    total = sum((book.charge(schedule, fill(price, "0.01", ts=ts)).fee for _ in range(lots)), D(0))
    assert total <= book.worst_case(schedule, price, D(lots).scaleb(-2), ts)


@given(prices, st.integers(1, 10_000_00), st.sampled_from(list(Side)), moments, st.booleans())
def test_a_single_fill_costs_what_was_estimated_and_never_less_than_the_curve(
    price, lots, side, ts, direct
):
    one = fill(price, D(lots).scaleb(-2), side=side, ts=ts)
    book = KalshiFeeBook(direct)
    estimate = book.estimate(PLAIN, one)
    assert estimate == book.charge(PLAIN, one)
    assert estimate.fee >= D("0.07") * one.quantity * price * (1 - price)


@given(st.lists(st.tuples(prices, st.integers(1, 500)), min_size=1, max_size=60), st.booleans())
def test_rounding_never_costs_an_order_more_than_one_cent_over_its_trade_fees(parts, direct):
    book = KalshiFeeBook(direct)
    charges = [book.charge(PLAIN, fill(p, D(n).scaleb(-2))) for p, n in parts]
    assert all(c.fee >= 0 for c in charges)
    assert sum(c.fee for c in charges) - sum(c.trade_fee for c in charges) <= CENT


@given(prices, st.integers(1, 100_000))
def test_the_trade_fee_is_the_smallest_centicent_above_the_curve(price, lots):
    size = D(lots).scaleb(-2)
    got = KalshiFeeBook().estimate(PLAIN, fill(price, size)).trade_fee
    raw = D("0.07") * size * price * (1 - price)
    assert got % CENTICENT == 0
    assert raw <= got < raw + CENTICENT


def test_forgetting_an_order_starts_it_anew():
    book = KalshiFeeBook()
    assert book.charge(PLAIN, fill("0.02", "1", ts=OLD)).fee == D("0.01")
    assert book.charge(PLAIN, fill("0.02", "1", ts=OLD)).fee == D(0)
    book.forget("o1")
    assert book.charge(PLAIN, fill("0.02", "1", ts=OLD)).fee == D("0.01")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["0.03", "0.5", "0.971"]),
            st.sampled_from(["0.01", "1", "2.37"]),
            st.sampled_from(list(Role)),
            st.sampled_from(list(Side)),
            st.sampled_from(["a", "b"]),
            st.integers(0, 3),
        ),
        max_size=30,
    ),
    st.booleans(),
    st.booleans(),
)
def test_remembered_charges_are_the_charges_worked_out(fills, direct: bool, waived: bool):
    end = NOW + 90 * 60 * 10**9 + 1 if waived else 0  # a waiver ends within an hour
    schedule = FeeSchedule("KALSHI", kind="quadratic_with_maker_fees", waiver_until_ns=end)
    remembering, anew = KalshiFeeBook(direct), KalshiFeeBook(direct)
    for price, size, role, side, order, half_hours in fills:
        ts = NOW + half_hours * 30 * 60 * 10**9 + half_hours
        one = fill(price, size, role=role, side=side, ts=ts, order=order)
        anew._known.clear()
        assert remembering.charge(schedule, one) == anew.charge(schedule, one)
        assert remembering._accumulators == anew._accumulators
