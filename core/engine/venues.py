"""Venues by import string: the core finds a venue, it never imports one.

A venue package registers nothing at import time. It offers one object, ``VENUE``, that satisfies
`Venue`; the entry point is the import string ``"adapters.<name>.venue:VENUE"``.
"""

from __future__ import annotations

import importlib
from typing import Any, Protocol, runtime_checkable

from core.domain.errors import UsageError
from core.domain.fees import FeeBook

#: Venue code -> import string of its `Venue` object.
VENUE_PATHS: dict[str, str] = {
    "KALSHI": "adapters.kalshi.venue:VENUE",
    "POLYMARKET": "adapters.polymarket.venue:VENUE",
    "BINANCE": "adapters.binance:VENUE",
    "KRAKEN": "adapters.kraken:VENUE",
}


@runtime_checkable
class Venue(Protocol):
    """What the engine has to know about a venue to simulate it.

    Attributes
    ----------
    code : str
        Engine venue code, the suffix of every instrument id (``"KALSHI"``).
    currency : str
        Currency that markets settle in (``"USD"``).
    nets_outcomes : bool
        True when the venue nets YES against NO (Kalshi): the opposite side of a held outcome is
        refused, "sell the held side instead".
    merge_pairs : bool
        True when one YES and one NO can be turned into a dollar before resolution.
    default_latency_ms : float
        Order latency of a backtest when none is given.
    stamps_orders : bool, optional
        True when what it says of an order carries the time of the same clock as its market data, in milliseconds.
    """

    code: str
    currency: str
    nets_outcomes: bool
    merge_pairs: bool
    default_latency_ms: float

    def fee_book(self) -> FeeBook:
        """Return a fresh fee book (one per run; it carries per-order accumulators)."""
        ...


def load_object(path: str, kind: str) -> Any:
    """Return the object behind ``"package.module:Name"``.

    Parameters
    ----------
    kind : str
        What it is, for the error message (``"venue"``, ``"strategy"``).

    Raises
    ------
    UsageError
        If the path is malformed, or the module or the name does not exist.
    """
    module_name, _, attribute = path.partition(":")
    if not module_name or not attribute:
        raise UsageError(
            f"a {kind} is named package.module:Name",
            path,
            "for example adapters.kalshi.venue:VENUE",
        )
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as exc:
        if exc.name and not module_name.startswith(exc.name):
            raise  # the module is there; something it imports is not
        raise UsageError(
            f"no such {kind} module", path, "check the spelling, and that Python finds the module"
        ) from exc
    try:
        return getattr(module, attribute)
    except AttributeError as exc:
        raise UsageError(
            f"no such {kind} in {module_name}", attribute, f"name one that {module_name} defines"
        ) from exc


def load_venue(code: str, paths: dict[str, str] | None = None) -> Venue:
    """Return the venue with this code.

    Parameters
    ----------
    paths : dict, optional
        Code to import string; default `VENUE_PATHS`.

    Raises
    ------
    UsageError
        If no venue has this code, or its object does not satisfy `Venue`.
    """
    known = paths or VENUE_PATHS
    if code not in known:
        raise UsageError("unknown venue", code, f"known venues: {', '.join(sorted(known))}")
    venue = load_object(known[code], "venue")
    if not isinstance(venue, Venue):
        raise UsageError(
            "this object is not a venue",
            known[code],
            "core/engine/venues.py says what a venue must have",
        )
    return venue
