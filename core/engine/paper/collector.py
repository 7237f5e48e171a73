"""Pairs of a paper account become dollars at once: a call that has no way to go and cannot be lost."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from core.domain.errors import LedgerWriteError, VenueRefused
from core.domain.faultpoints import point
from core.engine.live.collectable import MERGE, CallState, TokenCall, Winner
from core.engine.paper.account import ONE_DOLLAR, TokenAccount
from core.engine.paper.book import QUANTITY_UNIT
from core.risk.states import TradingState

if TYPE_CHECKING:
    from core.engine.paper.port import PaperPort

#: Fewer pairs are not worth a transaction on chain, so they wait here too.
SMALLEST, MOST = Decimal(1), Decimal(10**12)


class PaperCollector:
    """Merges in the account of a `PaperPort`, which pays winners out by itself."""

    def __init__(self, port: PaperPort, account: TokenAccount) -> None:
        self._port, self._account = port, account
        self.smallest, self.most = SMALLEST, MOST
        self.trading: Callable[[], TradingState] = lambda: TradingState.RUNNING

    def calls(self) -> list[TokenCall]:
        """Return every merge of the account's file."""
        return [
            TokenCall(
                f"paper-merge-{number}", MERGE, market, Decimal(units) / QUANTITY_UNIT,
                CallState.DONE,
            )
            for number, market, units in self._port.store.merged()
        ]  # fmt: skip

    async def resolve(self) -> list[TokenCall]:
        """Return nothing: no call is ever open."""
        return []

    async def merge(self, market_id: str, quantity: Decimal) -> TokenCall:
        """Turn pairs into dollars, in memory and in the file, both or neither.

        Raises
        ------
        VenueRefused
            If the account has not that many.
        LedgerWriteError
            If the disk refuses.
        """
        units, port = int(quantity * QUANTITY_UNIT), self._port
        if units <= 0 or not self._account.merge(market_id, units):
            raise VenueRefused(
                "not_enough", "the paper account does not hold these pairs", 400,
                "compare beta ledger tail with the account; restart the node",
            )  # fmt: skip
        try:
            number = port.store.save_merge(port.exchange, market_id, units, port.clock())
        except LedgerWriteError:
            self._account.cash -= ONE_DOLLAR * units
            for name in ("YES", "NO"):
                held = self._account.held.get((market_id, name), 0)
                self._account.held[market_id, name] = held + units
            raise
        point("paper.merged")
        done = Decimal(units) / QUANTITY_UNIT
        return TokenCall(f"paper-merge-{number}", MERGE, market_id, done, CallState.DONE)

    async def winners(self) -> list[Winner]:
        """Return nothing: a paper account is paid out at the resolution."""
        return []

    async def redeem(self, winner: Winner) -> TokenCall:
        """Refuse: nothing is left to redeem."""
        raise VenueRefused("nothing", "a paper account has no winners to redeem", 400)
