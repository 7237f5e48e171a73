"""Spot pairs that have bars beside pairs of the same venue that have trades: each bar's close is their trade.

The engine matches a venue in one way: from bars, or from ticks. Beside trades its bars move no price, so an order
in a pair without trades would never fill, and one in a pair whose trades pause would fill at a price that is hours
old. Here the close of each bar of the shortest type is given to the engine as one trade, at the bar's end and just
before the bar itself: the price a strategy may know at that moment, up to the bar's volume, and nothing of the
high and low before it. A resting order is met by later closes only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
from nautilus_trader.model import BarType

from core.engine.catalog import BarColumns
from core.engine.references import InstrumentRef, PriceSource

Int64 = npt.NDArray[np.int64]
#: Sources with which a venue is matched from bars.
FROM_BARS = frozenset({PriceSource.BARS, PriceSource.NONE})


def filled_at_close(
    refs: Iterable[InstrumentRef], quotes_in: Mapping[str, str], traded: Iterable[str]
) -> frozenset[str]:
    """Return the spot pairs whose bars must become trades.

    Parameters
    ----------
    quotes_in : mapping
        Spot pairs of the catalog.
    traded : iterable of str
        Venues that have capital; where nothing is traded, nothing need fill.
    """
    own = list(refs)
    ticking = {r.venue for r in own if r.source not in FROM_BARS}
    wanted = ticking & set(traded)
    return frozenset(
        r.iid
        for r in own
        if r.venue in wanted
        and r.iid in quotes_in
        and r.bar_types
        and r.source in (PriceSource.BARS, PriceSource.TRADES)
    )


def shortest(bar_types: Iterable[str]) -> str:
    """Return the bar type that closes most often."""
    return min(bar_types, key=lambda key: (BarType.from_str(key).spec.get_interval_ns(), key))


def closing_trades(bars: BarColumns) -> tuple[Int64, Int64, Int64, Int64]:
    """Return price, size, event time and time of the trades that stand for the closes; empty bars have none."""
    at = np.flatnonzero(bars.volume > 0)
    return bars.close[at], bars.volume[at], bars.ts_event[at], bars.ts[at]
