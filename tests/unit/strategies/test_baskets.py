"""Baskets lock what they say, to the cent, in every resolution."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from strategies.baskets import LegQuote, best_basket, equal_age

D = Decimal
STEP, MIN = D("0.01"), D("5")


def fee_at(rate):
    def fee(_iid, price, shares):
        return (shares * rate * price * (1 - price)).quantize(D("0.00001"))

    return fee


def legs(*asks, size="100"):
    return [LegQuote(f"L{i}", ((D(a), D(size)),), 0) for i, a in enumerate(asks)]


def find(shape, quotes, rate="0.04", budget="1000", min_edge="0", room=lambda basket: D(10**6)):
    return best_basket(
        shape,
        quotes,
        fee_at(D(rate)),
        budget=D(budget),
        room_for=room,
        size_step=STEP,
        min_shares=MIN,
        min_edge=D(min_edge),
    )


def test_the_worked_yes_basket_of_the_reference_earns_48_hundredths_of_a_cent_per_set():
    basket = find("YES", legs("0.45", "0.30", "0.22"), rate="0.04")
    assert basket is not None
    assert basket.profit / basket.shares == D("1") - D("0.97") - D("0.025164")


def test_the_same_basket_at_the_next_fee_rate_loses_and_is_not_taken():
    assert find("YES", legs("0.45", "0.30", "0.22"), rate="0.05") is None


def test_a_yes_basket_with_one_leg_without_asks_is_not_a_basket():
    quotes = [*legs("0.30", "0.30"), LegQuote("X", (), 0)]
    assert find("YES", quotes) is None


def test_a_no_basket_leaves_out_the_leg_that_costs_more_than_it_adds():
    basket = find("NO", legs("0.40", "0.45", "1.0"), rate="0.04")
    assert basket is not None
    assert {leg.instrument_id for leg in basket.legs} == {"L0", "L1"}


def test_size_is_held_to_the_thinnest_book_and_that_leg_goes_first():
    quotes = [
        LegQuote("deep", ((D("0.40"), D("500")),), 0),
        LegQuote("thin", ((D("0.45"), D("30")),), 0),
    ]
    basket = find("NO", quotes)
    assert basket is not None
    assert basket.shares == D("30")
    assert basket.legs[0].instrument_id == "thin"


def test_the_budget_is_never_exceeded_fees_included():
    basket = find("NO", legs("0.40", "0.45"), budget="20")
    assert basket is not None
    assert basket.cost + basket.fees <= D("20")


def test_no_leg_costs_more_than_the_gate_leaves_room_for():
    basket = find(
        "NO",
        legs("0.40", "0.45"),
        room=lambda basket: min(
            (D("9") if leg.instrument_id == "L1" else D(100)) / (leg.cost + leg.fee)
            for leg in basket.legs
        ),
    )
    assert basket is not None
    assert max(leg.cost + leg.fee for leg in basket.legs if leg.instrument_id == "L1") <= D("9")


def test_books_of_different_age_never_count():
    fresh = LegQuote("A", ((D("0.4"), D(10)),), 10_000)
    stale = LegQuote("B", ((D("0.4"), D(10)),), 1_000)
    assert not equal_age([fresh, stale], 10_000, max_age_ns=20_000, max_skew_ns=5_000)
    assert not equal_age([stale, stale], 30_000, max_age_ns=20_000, max_skew_ns=5_000)
    assert equal_age([fresh, fresh], 10_500, max_age_ns=20_000, max_skew_ns=5_000)


prices = st.decimals(min_value="0.01", max_value="0.99", places=2)
ladders = st.lists(
    st.tuples(prices, st.decimals(min_value="1", max_value="300", places=2)), min_size=1, max_size=4
).map(lambda rows: tuple(sorted(rows)))


@given(st.lists(ladders, min_size=2, max_size=6), st.sampled_from(["NO", "YES"]))
def test_in_every_resolution_the_basket_pays_at_least_its_promise(books, shape):
    quotes = [LegQuote(f"L{i}", asks, 0) for i, asks in enumerate(books)]
    basket = find(shape, quotes)
    if basket is None:
        return
    held = {leg.instrument_id for leg in basket.legs}
    winners = [None, *range(len(quotes))] if shape == "NO" else list(range(len(quotes)))
    for winner in winners:
        yes = {f"L{i}": (1 if i == winner else 0) for i in range(len(quotes))}
        paid = sum(basket.shares * (yes[iid] if shape == "YES" else 1 - yes[iid]) for iid in held)
        assert paid >= basket.payout
        assert paid - basket.cost - basket.fees >= basket.profit
    assert basket.cost + basket.fees <= D(1000)
