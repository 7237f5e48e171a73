"""When the strategies of a node heard of their own orders: after which market data, as a row beside what they heard.

A fill is booked by gate and ledger as soon as the venue tells it. The engine's queue hands it to the strategy later, and on a
busy machine market data comes in between. What a strategy decides in between hangs on what it had heard, so a replay that
is to decide the same must tell it then (`core.engine.hearing`).
"""

from __future__ import annotations

from contextlib import suppress

from core.domain.errors import LedgerError
from core.engine.session import Moments
from core.ledger import Ledger
from core.ledger.kinds import NewsHeard

#: Rows that nobody has heard of yet; news of orders that the engine has dropped may never be told.
MOST_WAITING = 4_096


class Hearing:
    """Rows booked and not yet heard of.

    Parameters
    ----------
    moments : Moments
        Of the session: the newest market data that strategies have been handed.
    """

    def __init__(self, ledger: Ledger, moments: Moments) -> None:
        self._ledger, self._moments = ledger, moments
        self._waiting: dict[tuple[str, str], tuple[int, int]] = {}

    def booked(self, client_order_id: str, trade_id: str, seq: int) -> None:
        """Note the row of a fill, or of the end of an order (no trade)."""
        waiting = self._waiting
        waiting[client_order_id, trade_id] = seq, self._moments.last_ns
        if len(waiting) > MOST_WAITING:
            del waiting[next(iter(waiting))]

    def told(self, client_order_id: str, trade_id: str = "") -> None:
        """Write that the strategy hears of it now."""
        found = self._waiting.pop((client_order_id, trade_id), None)
        if found is not None:
            self._write(*found)

    def at_once(self, seq: int) -> None:
        """Write that what this row says is known as it is booked: nobody is told of a merge."""
        self._write(seq, self._moments.last_ns)

    def _write(self, seq: int, booked_ns: int) -> None:
        moments = self._moments
        if moments.clock is None:
            return  # nothing is handed to strategies yet
        row = NewsHeard(booked_after_ns=booked_ns, heard_after_ns=moments.last_ns)
        with suppress(LedgerError):  # a ledger that failed has halted the node, and says so itself
            self._ledger.append(row, ts_event=moments.timestamp_ns(), parents=(seq,))
