"""Polymarket's dated category table: the fee of a market that carries no schedule of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from core.domain.clock import ns_from_iso
from core.domain.errors import FeeError
from core.domain.fees import RuleSpan
from core.domain.money import ONE, ZERO

END_OF_TIME_NS = 2**63 - 1

#: Labels of the venue and of common data sets -> category of the fee table.
ALIASES: dict[str, str] = {
    "": "other",
    "general": "other",
    "other / general": "other",
    "science": "other",
    "climate": "weather",
    "climate & weather": "weather",
    "macro": "economics",
    "economy": "economics",
    "technology": "tech",
    "pop-culture": "culture",
    "pop culture": "culture",
    "entertainment": "culture",
    "elections": "politics",
    "esports": "sports",
    "bitcoin": "crypto",
    "ethereum": "crypto",
}
#: Categories that exist only as a narrower rule before they joined their parent.
PARENTS: dict[str, str] = {
    "crypto-5m": "crypto",
    "crypto-15m": "crypto",
    "ncaab": "sports",
    "serie-a": "sports",
}
CATEGORIES: tuple[str, ...] = (
    "crypto",
    "sports",
    "economics",
    "culture",
    "weather",
    "other",
    "finance",
    "politics",
    "mentions",
    "tech",
    "geopolitics",
    *PARENTS,
)


@dataclass(frozen=True, slots=True)
class Curve:
    """Taker curve ``rate * (p * (1 - p)) ** exponent`` per share."""

    rate: Decimal
    exponent: Decimal = ONE


@dataclass(frozen=True, slots=True)
class CategoryTable:
    """The categories that paid fees during `span`; a category not named paid none."""

    span: RuleSpan
    curves: dict[str, Curve] = field(default_factory=dict)

    def curve(self, category: str) -> Curve:
        """Return the curve of `category`, or of its parent, or no fee."""
        for key in (category, PARENTS.get(category, category)):
            if key in self.curves:
                return self.curves[key]
        return Curve(ZERO)


def _curve(rate: str, exponent: str = "1") -> Curve:
    return Curve(Decimal(rate), Decimal(exponent))


_SHORT = _curve("0.25", "2")
_LEAGUE = _curve("0.0175")


def _by_category(crypto: str, sports: str) -> dict[str, Curve]:
    five = dict.fromkeys(("economics", "culture", "weather", "other"), _curve("0.05"))
    four = dict.fromkeys(("finance", "politics", "mentions", "tech"), _curve("0.04"))
    rest = {"crypto": _curve(crypto), "sports": _curve(sports), "geopolitics": Curve(ZERO)}
    return five | four | rest


#: (name, first day, curves); each rule ends where the next begins. Sources in ADR 0036.
_STEPS: tuple[tuple[str, str, dict[str, Curve]], ...] = (
    ("polymarket-no-fees", "1970-01-01", {}),
    ("polymarket-15m-crypto", "2026-01-06", {"crypto-15m": _SHORT}),
    ("polymarket-short-crypto", "2026-02-12", {"crypto-15m": _SHORT, "crypto-5m": _SHORT}),
    (
        "polymarket-short-crypto-leagues",
        "2026-02-18",
        {"crypto-15m": _SHORT, "crypto-5m": _SHORT, "ncaab": _LEAGUE, "serie-a": _LEAGUE},
    ),
    (
        "polymarket-crypto-leagues",
        "2026-03-06",
        {"crypto": _SHORT, "ncaab": _LEAGUE, "serie-a": _LEAGUE},
    ),
    ("polymarket-category-2026-03-30", "2026-03-30", _by_category("0.072", "0.03")),
    ("polymarket-category-2026-06-10", "2026-06-10", _by_category("0.07", "0.03")),
    ("polymarket-category-2026-07-10", "2026-07-10", _by_category("0.07", "0.05")),
)


def _tables() -> tuple[CategoryTable, ...]:
    starts = [ns_from_iso(day) for _, day, _ in _STEPS] + [END_OF_TIME_NS]
    return tuple(
        CategoryTable(RuleSpan(name, starts[i], starts[i + 1]), curves)
        for i, (name, _, curves) in enumerate(_STEPS)
    )


TABLES: tuple[CategoryTable, ...] = _tables()
FEES_FROM_NS = TABLES[1].span.start_ns
#: Before this day fees had four decimals; since then five.
FIVE_DECIMALS_FROM_NS = ns_from_iso("2026-03-30")


def table_at(ts_ns: int) -> CategoryTable:
    """Return the table in force at `ts_ns`."""
    for table in TABLES:
        if table.span.covers(ts_ns):
            return table
    raise FeeError("no Polymarket fee rule covers this time", ts_ns, "give a date after 1970")


def category_of(label: str) -> str:
    """Return the fee category of a venue or data-set label.

    Raises
    ------
    FeeError
        For a label that is neither a category nor a known alias.
    """
    key = label.strip().lower()
    key = ALIASES.get(key, key)
    if key not in CATEGORIES:
        raise FeeError(
            "unknown Polymarket fee category", label, f"use one of {', '.join(CATEGORIES)}"
        )
    return key
