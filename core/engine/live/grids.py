"""Grids that change while a node runs: a row, with the resting orders that the new grid would not take."""

from __future__ import annotations

from collections.abc import Callable

from core.domain.errors import LedgerError
from core.domain.grid import TickGrid
from core.domain.market import Market
from core.ledger import Ledger
from core.ledger.kinds import StateChanged
from core.risk.gate import Gate
from core.risk.units import shares


class GridWatch:
    """Remembers each market's grid and writes what changes.

    The venues leave such orders where they are (Kalshi and Polymarket alike): they fill, expire or are cancelled
    like any other, a smaller size is still taken, a new price must lie on the new grid.
    """

    def __init__(
        self,
        gate: Gate,
        ledger: Ledger,
        clock: Callable[[], int],
        source: tuple[int, ...] = (),
    ) -> None:
        self._gate, self._ledger, self._clock, self._source = gate, ledger, clock, source
        self._known: dict[str, TickGrid] = {}

    def look(self, market: Market) -> None:
        """Take a market as it is now."""
        before = self._known.get(market.market_id)
        self._known[market.market_id] = market.grid
        if before is None or before == market.grid:
            return
        off = [
            o.client_order_id
            for o in self._gate.book.orders.values()
            if o.rules.market_id == market.market_id
            and not market.grid_of(o.rules.instrument_id).contains(shares(o.price))
        ]
        names = f": {', '.join(off[:5])}" if off else ""
        row = StateChanged(
            machine="grid", subject=market.market_id, before=str(before.finest),
            after=str(market.grid.finest), reason=f"{len(off)} resting orders are off it{names}",
        )  # fmt: skip
        try:
            self._ledger.append(row, ts_event=self._clock(), parents=self._source)
        except LedgerError:
            return  # the ledger's own failure halts trading
