"""What a venue must offer so that a running node can turn pairs and winners into dollars: an optional part of its port.

A port that can do it has a `collector` attribute; one that has none, or None, cannot. A call is named by an id and is
carried out at most once, whatever happens on the way; the venue's own record of calls outlives a kill.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from core.risk.states import TradingState

MERGE, REDEEM = "merge", "redeem"


class CallState(StrEnum):
    """How far a call is: it has happened, has not and will not, or nobody knows yet."""

    DONE = "done"
    NOT_DONE = "not done"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class TokenCall:
    """One call on tokens: `action` is ``merge``, ``redeem`` or what else the owner has sent.

    `there`: the venue is known to have it; an open call that it may never have seen can be asked for again.
    """

    call_id: str
    action: str
    market_id: str
    quantity: Decimal
    state: CallState
    detail: str = ""
    there: bool = True


@dataclass(frozen=True, slots=True)
class Winner:
    """Shares of a resolved market that still lie in the wallet, and the dollars they pay."""

    market_id: str
    instrument_id: str
    quantity: Decimal
    dollars: Decimal


class CollectPort(Protocol):
    """The calls that bring dollars back.

    Attributes
    ----------
    smallest, most : Decimal
        Pairs below and above which none is sent in one call.
    trading : callable
        The kill switch; a node puts its own state here.
    """

    smallest: Decimal
    most: Decimal
    trading: Callable[[], TradingState]

    def calls(self) -> list[TokenCall]:
        """Return every call of this wallet that is on record; nobody is asked."""
        ...

    async def resolve(self) -> list[TokenCall]:
        """Ask how open calls have ended; return them as they are now."""
        ...

    async def merge(self, market_id: str, quantity: Decimal) -> TokenCall:
        """Turn pairs of a market into dollars, once. Asked again while open, it is a second attempt at the same call.

        Raises
        ------
        BetaError
            If it was refused, or its end is not known: `calls` then says which.
        """
        ...

    async def winners(self) -> list[Winner]:
        """Return what lies unredeemed in the wallet."""
        ...

    async def redeem(self, winner: Winner) -> TokenCall:
        """Turn shares of a resolved market into what they pay, like `merge`."""
        ...


def collector_of(port: object) -> CollectPort | None:
    """Return what collects at this venue; None where nothing can."""
    found: CollectPort | None = getattr(port, "collector", None)
    return found
