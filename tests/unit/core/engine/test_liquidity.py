"""What was taken of a book, against looking at every level each time."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.fees import Side
from core.engine.liquidity import TakenLiquidity

PRICES = [Decimal(n) / 100 for n in range(45, 56)]
prices = st.sampled_from(PRICES)
sizes = st.integers(1, 20).map(Decimal)
levels = st.none() | st.tuples(prices, sizes)
steps = st.lists(
    st.tuples(st.just("take"), st.sampled_from(list(Side)), prices, sizes)
    | st.tuples(st.just("top"), levels, levels, st.none()),
    max_size=40,
)


def instrument() -> Any:
    """Return two outcomes of one market, the first with a book."""
    other = SimpleNamespace(iid="M-NO.KALSHI", opposite=None)
    return SimpleNamespace(iid="M-YES.KALSHI", opposite=other)


def gone(book: dict[Decimal, Any], side: Side, top: Any) -> list[Decimal]:
    """Return the levels before the top, all of them for an empty side."""
    if top is None:
        return list(book)
    return [p for p in book if (p < top[0] if side is Side.BUY else p > top[0])]


@settings(max_examples=200, deadline=None)
@given(steps)
def test_levels_before_the_top_are_forgotten_and_no_others(moves):
    ref, own = instrument(), TakenLiquidity()
    model: dict[Side, dict[Decimal, Decimal]] = {Side.BUY: {}, Side.SELL: {}}
    for kind, first, second, size in moves:
        if kind == "take":
            own.take(ref, first, second, size, Decimal(20))
            model[first][second] = model[first].get(second, Decimal(0)) + size
            continue
        own.seen_top(ref.iid, first, second)
        for side, top in ((Side.BUY, second), (Side.SELL, first)):
            if top is not None and top[0] in model[side] and top[1] != 20:
                # The level shows less than before, or more: never more than it shows is ours.
                model[side][top[0]] = own.taken[ref.iid, side][top[0]].shares
                assert model[side][top[0]] <= top[1]
            for price in gone(model[side], side, top):
                del model[side][price]
    for side, book in model.items():
        kept = own.taken.get((ref.iid, side), {})
        assert {p: t.shares for p, t in kept.items()} == book
    assert (ref.iid in own.iids) == any(model.values())
