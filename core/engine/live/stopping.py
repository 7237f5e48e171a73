"""The stop of a node: from one moment on strategies see no market data, what works is withdrawn.

The moment is a row. Market data is recorded a little longer, because orders on their way still meet it; a replay
ends its strategies where the node ended them.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from core.domain.errors import LedgerError
from core.engine.live.feed import LiveFeed
from core.engine.live.sweep import Sweep
from core.ledger import DurableLedger
from core.ledger.kinds import RunStopping

#: How long a stopping node goes on cancelling.
WITHDRAW_S = 10.0


def end_strategies(
    ledger: DurableLedger, source: int, run_id: str, feed: LiveFeed, reason: str, keeps_orders: bool
) -> None:
    """Hand strategies no more market data, and write after which news, as a row that comes from `source`."""
    seen = feed.end_strategies()
    row = RunStopping(run_id=run_id, reason=reason[:500], seen_ns=seen, keeps_orders=keeps_orders)
    with suppress(LedgerError):  # a ledger that failed has halted the node, and says so itself
        ledger.append(row, ts_event=time.time_ns(), parents=(source,))


async def withdrawn(sweep: Sweep) -> bool:
    """Cancel what works before the node goes; return whether nothing is left."""
    end = time.monotonic() + WITHDRAW_S
    sweep.start("stop", kill_switch=False)
    while not sweep.clean and time.monotonic() < end:
        await asyncio.sleep(0.01)
    sweep.stop()
    return sweep.clean
