"""Checks as the gate keeps them while it decides: numbers only. Text is made of them when somebody reads it.

A group of checks that were all passed is one tuple of a `Shape` and the numbers that it shows; any other
check is (name, value, limit, passed). An approval has four or five such groups instead of a hundred objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from core.domain.decision import CheckResult
from core.risk.units import text_of

#: What one review has seen, in the order it looked; a failed check is the last.
RawChecks = list[tuple[object, ...]]

#: How the integers of a check read: dollars (1e-18), prices and sizes (1e-9); others are plain.
MONEY_CHECKS = frozenset(
    [
        "cash",
        "order",
        "market_exposure",
        "event_exposure",
        "venue_exposure",
        "total_exposure",
        "family_budget",
        "breaker_market",
        "breaker_total",
    ]
)
SIZE_CHECKS = frozenset(
    [
        "price_grid",
        "worst_price",
        "collar",
        "size",
        "size_step",
        "depth",
        "covered_sell",
        "opposite_held",
        "opposite_bid",
    ]
)


def _money(value: object) -> str:
    return text_of(value, 18) if type(value) is int else str(value)


def _size(value: object) -> str:
    return text_of(value, 9) if type(value) is int else str(value)


def _reader(name: str) -> Callable[[object], str]:
    """Return what makes text of the values of the check `name`."""
    return _money if name in MONEY_CHECKS else _size if name in SIZE_CHECKS else str


class Shape:
    """Checks that are passed together: their names, and where the value and the limit of each are.

    Parameters
    ----------
    checks : (name, value, limit)
        Value and limit are a text that never changes, or the place of a number in the tuple that the
        shape begins.
    """

    __slots__ = ("_checks",)

    def __init__(self, *checks: tuple[str, int | str, int | str]) -> None:
        self._checks = tuple((*check, _reader(check[0])) for check in checks)

    def results(self, seen: tuple[object, ...]) -> Iterable[CheckResult]:
        """Yield the checks with the numbers of `seen` as text."""
        for name, value, limit, text in self._checks:
            yield CheckResult(
                name,
                value if isinstance(value, str) else text(seen[value]),
                limit if isinstance(limit, str) else text(seen[limit]),
                True,
            )


#: A sale, or a purchase, that may be made at all: state of trading, age of the book and its most.
MAY_SELL = Shape(("trading", 1, 1), ("market", "active", "active"))
MAY_BUY = Shape(("trading", 1, 1), ("market", "active", "active"), ("book_age_ns", 2, 3))
#: Price, bound of the collar, quantity and the least; of a market order the worst price and the touch.
LIMIT = Shape(("price_grid", 1, "grid"), ("collar", 1, 2), ("size", 3, 4))
MARKET = Shape(("worst_price", 1, 2), ("size", 3, 4))
#: Quantity, and what the book shows.
DEPTH = Shape(("depth", 1, 2))
#: Orders sent and repeated, each with its most; of a purchase the unknown and the open ones too.
PACE = Shape(("rate", 1, 2), ("repeats", 3, 4))
PACE_OF_BUYS = Shape(
    ("rate", 1, 2), ("repeats", 3, 4), ("unknown_orders", 5, 6), ("open_orders", 7, 8)
)
#: Quantity to sell and what is free of it; what is held of the opposite outcome, and bid for by others.
COVERED = Shape(("covered_sell", 1, 2))
OPPOSITE = Shape(("opposite_held", 1, "0"), ("opposite_bid", 2, "0"))
#: Cost, and free cash. `reserved` reads the cost as the last but one of the last group.
CASH = Shape(("cash", 1, 2))
#: Every limit of money with what it would hold, then cost and free cash.
MONEY = Shape(
    ("order", 1, 2), ("market_exposure", 3, 4), ("event_exposure", 5, 6), ("venue_exposure", 7, 8),
    ("total_exposure", 9, 10), ("cash", 11, 12),
)  # fmt: skip


def results(raw: Iterable[tuple[object, ...]]) -> tuple[CheckResult, ...]:
    """Return recorded checks as values for a ledger row."""
    out: list[CheckResult] = []
    for seen in raw:
        shape = seen[0]
        if isinstance(shape, Shape):
            out += shape.results(seen)
            continue
        name, value, limit, passed = seen
        text = _reader(str(name))
        out.append(CheckResult(str(name), text(value), text(limit), bool(passed)))
    return tuple(out)
