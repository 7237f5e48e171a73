"""What the engine must know of a venue before it can simulate it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.domain.fees import FeeBook


@dataclass(frozen=True, slots=True)
class VenueSpec:
    """A venue as the engine's registry finds it by import string.

    Attributes
    ----------
    code : str
        Suffix of its instrument ids.
    currency : str
        Currency of its account.
    fee_book : callable
        Makes a fresh fee book: one per run, since books carry per-order state.
    nets_outcomes : bool
        Whether YES and NO of a market can never be held together.
    merge_pairs : bool
        Whether a YES and a NO turn back into one dollar before resolution.
    default_latency_ms : float
        Order latency used when a run names none.
    stamps_orders : bool
        Whether its orders and its market data carry the milliseconds of one clock.
    """

    code: str
    currency: str
    fee_book: Callable[[], FeeBook]
    nets_outcomes: bool = False
    merge_pairs: bool = False
    default_latency_ms: float = 100.0
    stamps_orders: bool = False
