"""Long lists without long pauses: an order waits for a few rows of a report, not for all of them.

For orders, whose states may be told twice and late. Not for fills: what takes one back must not come between the
reading of a fill and its booking.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

#: Rows between two rests: about half a millisecond of work.
ROWS = 8
#: Long enough that an order, which passes the loop some ten times, meets one slice and not ten.
REST_S = 0.002
#: Rests of one list, however long it is.
MAX_RESTS = 500


async def sliced[T](rows: Sequence[T]) -> AsyncIterator[T]:
    """Give the rows one by one, with a rest after every few of them; a short list has none."""
    size = max(ROWS, len(rows) // MAX_RESTS)
    for number, row in enumerate(rows):
        if number and number % size == 0:
            await asyncio.sleep(REST_S)
        yield row
