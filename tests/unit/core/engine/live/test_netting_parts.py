"""Whose shares a venue that nets has turned into dollars, and what each owner got."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from core.engine.adopted import Adopted
from core.engine.live.adoption import _divided
from core.engine.live.bought import Bought
from core.engine.live.netting import Part, Shares, parts_of
from tests.unit.core.engine.live.test_away import NO, YES, market

D = Decimal
PAIR = (NO, YES) if NO < YES else (YES, NO)


def test_pairs_of_one_owner_are_a_dollar_each():
    held = {("A", YES): D(5), ("A", NO): D(3)}
    assert parts_of(held, PAIR, (NO, D("0.60"))) == [Part("A", PAIR, D(3), D(3))]


def test_a_pair_of_two_owners_closes_at_the_price_of_the_newest_fill():
    held = {("A", YES): D(5), ("B", NO): D(3)}
    assert sorted(parts_of(held, PAIR, (NO, D("0.62")))) == [
        Part("A", (YES,), D(3), D("1.14")),
        Part("B", (NO,), D(3), D("1.86")),
    ]


def test_ones_own_shares_go_first_then_the_oldest():
    held = {("A", YES): D(2), ("B", YES): D(4), ("C", YES): D(9), ("B", NO): D(7)}
    found = parts_of(held, PAIR, (NO, D("0.50")))
    assert found[0] == Part("B", PAIR, D(4), D(4))
    assert sorted(found[1:]) == [
        Part("A", (YES,), D(2), D(1)), Part("B", (NO,), D(3), D("1.5")), Part("C", (YES,), D(1), D("0.5")),
    ]  # fmt: skip


sizes = st.integers(0, 900).map(lambda n: D(n) / 100)
prices = st.integers(1, 9999).map(lambda n: D(n) / 10_000)


@given(yes=st.lists(sizes, max_size=4), no=st.lists(sizes, max_size=4), price=prices)
def test_a_dollar_a_pair_is_paid_and_one_side_is_left(yes, no, price):
    held = {(f"S{n}", YES): q for n, q in enumerate(yes)}
    held |= {(f"S{n + 1}", NO): q for n, q in enumerate(no)}
    pairs = min(sum(yes, D(0)), sum(no, D(0)))
    parts = parts_of(held, PAIR, (NO, price))
    assert sum((p.proceeds for p in parts), D(0)) == pairs
    for part in parts:
        assert part.quantity > 0
        for iid in part.instrument_ids:
            held[part.strategy_id, iid] -= part.quantity
    assert all(q >= 0 for q in held.values())
    left = [sum((q for (_, i), q in held.items() if i == iid), D(0)) for iid in PAIR]
    assert min(left) == 0
    assert sum(left) == abs(sum(yes, D(0)) - sum(no, D(0)))


def shares(*, nets=True, **held):
    known = {
        (owner, iid): Adopted(D(quantity), D(1), since)
        for owner, (iid, quantity, since) in held.items()
    }
    made = Shares(Bought(known, {}), nets=nets)
    made.follow([market()])
    return made


def test_the_ledgers_shares_go_oldest_first_and_stay_where_nothing_nets():
    netting = shares(A=(YES, 2, 9), B=(YES, 2, 1))
    found = netting.fill("C", NO, D(3), D("0.40"))
    assert sorted(found) == [
        Part("A", (YES,), D(1), D("0.60")), Part("B", (YES,), D(2), D("1.20")), Part("C", (NO,), D(3), D("1.20")),
    ]  # fmt: skip
    assert (netting.of(YES), netting.of(NO)) == ({"A": D(1)}, {})
    assert shares(nets=False, A=(YES, 2, 9)).fill("C", NO, D(3), D("0.40")) == []


def test_a_copy_goes_its_own_way():
    first = shares(A=(YES, 2, 1))
    second = first.copy()
    assert second.fill("A", NO, D(2), D("0.40"))
    assert (first.of(YES), second.of(YES)) == ({"A": D(2)}, {})


def test_what_the_venue_holds_is_divided_as_the_ledger_says_and_nobodys_goes_to_the_default():
    owners = {"A": D(3), "EXTERNAL": D(2), "B": D(4)}
    assert _divided(owners, D(9), "B") == [("A", D(3)), ("B", D(6))]
    assert _divided(owners, D(5), "B") == [("A", D(3)), ("B", D(2))]
    assert _divided({}, D(5), "B") == [("B", D(5))]
