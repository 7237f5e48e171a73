"""The recording as a clock: when the market moved, and where in the stream of news a moment of the venue lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.engine.catalog import Catalog, Kind

NS_PER_MS = 1_000_000
#: ``(instrument id, the venue's time, first and last moment it can be) -> moment of the recording``.
Received = Callable[[str, int, int, int], int]


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
