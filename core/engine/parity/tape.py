"""The recording as a clock: when the market moved, and where in the stream of news a moment of the venue lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.engine.catalog import Catalog, Kind

NS_PER_MS = 1_000_000
#: News that comes longer than this after the answer to an order does not place it: clocks of a venue differ.
MOST_BEHIND_NS = 2_000_000_000
#: ``(instrument id, the venue's time, first and last moment it can be) -> moment of the recording``.
Received = Callable[[str, int, int, int], int]
#: ``(instrument_id, from_ns, to_ns) -> whether its book or trades moved in between``.
Moved = Callable[[str, int, int], bool]


@dataclass(frozen=True, slots=True)
class _Times:
    """Receive times of one instrument's news, rising, and the latest venue time of each and all before it."""

    received: Any
    venue: Any


class Tape:
    """Times of the books and trades of a recording."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._times: dict[str, _Times] = {}
        found = catalog.markets().values()
        self._markets = {
            o.instrument_id: m for m in found for o in m.outcomes if len(m.outcomes) == 2
        }

    def moved(self, instrument_id: str, start_ns: int, end_ns: int) -> bool:
        """Return whether anything of the instrument is recorded in ``(start_ns, end_ns]``."""
        times = self._of(instrument_id).received
        low, high = np.searchsorted(times, [start_ns, end_ns], side="right")
        return bool(high > low)

    def received(self, instrument_id: str, venue_ns: int, first_ns: int, last_ns: int) -> int:
        """Return when something of the venue's time `venue_ns` happened, in receive times of the recording.

        A live node hears that its order was taken some time after, and news of the market comes by another way. But
        the venue stamps both with one clock: news with an earlier time (in whole milliseconds, as news is stamped)
        came before, the other news after.

        Parameters
        ----------
        first_ns, last_ns : int
            What it cannot be earlier and later than: the decision, and the answer. The latest moment that fits is
            returned, since the node knew nothing before the answer.
        """
        times = self._of(instrument_id)
        after = int(np.searchsorted(times.venue, venue_ns - venue_ns % NS_PER_MS, side="left"))
        if after < len(times.received):
            last_ns = min(last_ns, int(times.received[after]) - 1)
        return max(first_ns, last_ns)

    def happened(self, instrument_id: str, venue_ns: int, first_ns: int, last_ns: int) -> int:
        """Return as `received` does, but after the answer where news from before it came later than the answer.

        The replay then meets the book that the venue had, and tells what was answered when it was (`core.engine.foretold`).
        """
        times = self._of(instrument_id)
        after = int(np.searchsorted(times.venue, venue_ns - venue_ns % NS_PER_MS, side="left"))
        at_ns = self.received(instrument_id, venue_ns, first_ns, last_ns)
        before = int(times.received[after - 1]) if after else 0
        return before if at_ns < before <= last_ns + MOST_BEHIND_NS else at_ns

    def followed(self, instrument_id: str, venue_ns: int, first_ns: int, last_ns: int) -> int:
        """Return where a moment of the paper venue lies in the news of an instrument; `first_ns`, `last_ns` play no part.

        It follows the first outcome of a market, and its moments lie between two news of that. News of the other outcome
        says the same, but comes later or earlier: a moment is then moved to lie between the same two.
        """
        market = self._markets.get(instrument_id)
        if market is None or instrument_id == market.outcomes[0].instrument_id:
            return venue_ns
        one, other = (self._books(iid) for iid in (market.outcomes[0].instrument_id, instrument_id))
        count = int(np.searchsorted(one.received, venue_ns, side="right"))
        known = min(len(one.venue), len(other.venue), count + 1)
        if known < count or not np.array_equal(one.venue[:known], other.venue[:known]):
            return venue_ns  # the two are not told alike
        at_ns = max(venue_ns, int(other.received[count - 1])) if count else venue_ns
        return min(at_ns, int(other.received[count]) - 1) if known > count else at_ns

    def _books(self, instrument_id: str) -> _Times:
        """Return receive and venue times of the changes of a book, one of each moment; 0: the venue gave it no time."""
        if Kind.DELTAS not in self._catalog.kinds(instrument_id):
            nothing = np.zeros(0, dtype=np.int64)
            return _Times(nothing, nothing)
        rows = self._catalog.deltas(instrument_id)
        times, first = np.unique(rows.ts, return_index=True)
        venue = rows.ts_event[first]
        return _Times(times, np.where(venue % NS_PER_MS, 0, venue))

    def _of(self, instrument_id: str) -> _Times:
        found = self._times.get(instrument_id)
        if found is None:
            kinds = self._catalog.kinds(instrument_id)
            nothing = np.zeros(0, dtype=np.int64)
            received, venue = [nothing], [nothing]
            for kind, columns in (
                (Kind.DELTAS, self._catalog.deltas), (Kind.TRADES, self._catalog.trades)
            ):  # fmt: skip
                if kind in kinds:
                    rows = columns(instrument_id)
                    received.append(rows.ts)
                    venue.append(rows.ts_event)
            times = np.concatenate(received)
            order = np.argsort(times, kind="stable")
            latest = np.maximum.accumulate(np.concatenate(venue)[order])
            found = self._times[instrument_id] = _Times(times[order], latest)
        return found
