"""What a venue package offers a live or paper node, found by import string like everything of a venue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from core.domain.errors import BetaError, VenueUncertain
from core.domain.market import Market, MarketStatus
from core.engine.live.port import SentOrder, VenuePort
from core.engine.venues import load_object

#: Venue code -> import string of a function ``(settings) -> LiveVenue``.
LIVE_PATHS: dict[str, str] = {
    "KALSHI": "adapters.kalshi.live:live_venue",
    "POLYMARKET": "adapters.polymarket.live:live_venue",
}

#: Venue code -> import string of ``(builder, settings) -> builder``: venues that the engine's own clients serve.
WIRE_PATHS: dict[str, str] = {
    "BINANCE": "adapters.binance:wire",
    "KRAKEN": "adapters.kraken:wire",
}


#: Venue code -> import string of ``async (settings) -> list of Finding``: what must hold before real orders.
READINESS_PATHS: dict[str, str] = {
    "KALSHI": "adapters.kalshi.readiness:findings",
    "POLYMARKET": "adapters.polymarket.readiness:findings",
}


ASK_AGAIN = "check the network and the venue's status page, then try again"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at before trading: whether it is good, what was seen, what mends it."""

    name: str
    good: bool
    seen: str
    mend: str = ""


async def found(name: str, look: Callable[[], Awaitable[Finding]]) -> Finding:
    """Return what `look` finds; an error of the venue or the network is a finding that is not good."""
    try:
        return await look()
    except VenueUncertain as exc:  # nothing is at risk yet: it is for the operator to ask again
        return Finding(name, False, exc.what, ASK_AGAIN)
    except BetaError as exc:
        return Finding(name, False, exc.what, exc.mend or ASK_AGAIN)
    except Exception as exc:
        # Whatever a venue answers: not knowing is no permission, and no reason to crash.
        return Finding(name, False, f"{type(exc).__name__}: {exc}"[:160], "check the network")


class LiveVenue(Protocol):
    """One venue, opened for one node.

    Attributes
    ----------
    code, currency : str
        Engine venue code and account currency.
    """

    code: str
    currency: str

    async def open(self, also: Collection[str] = ()) -> list[Market]:
        """Connect for reading and return the markets the settings ask for.

        `also` are instruments that an earlier run traded: their markets are loaded too, whatever became of them,
        resolved ones with their payouts.
        """
        ...

    def data_client(
        self,
        *,
        name: str,
        config: Any,
        cache: Any,
        clock: Any,
        on_market: Callable[[Market], None],
        on_status: Callable[[str, MarketStatus], None],
        on_settled: Callable[[str, Decimal], None],
    ) -> Any:
        """Return the engine's data client; called once, by the node."""
        ...

    def provider(self, on_market: Callable[[Market], None], clock: Callable[[], int]) -> Any:
        """Return an instrument provider for an execution client."""
        ...

    def port(self, outcomes: Mapping[str, str], sent: Collection[SentOrder] = ()) -> VenuePort:
        """Return the private side.

        Parameters
        ----------
        outcomes : mapping of str to str
            Known client order ids to instrument ids.
        sent : collection of SentOrder
            The last orders whose id at the venue the ledger has.
        """
        ...

    def hold(self, markets: Sequence[Market]) -> None:
        """Know markets that are no longer listed, so that what is held of them is told."""

    async def close(self) -> None:
        """Release sockets and sessions."""


def open_venue(code: str, settings: Mapping[str, Any]) -> LiveVenue:
    """Return the live side of a venue.

    Raises
    ------
    UsageError
        If the venue has none.
    """
    from core.domain.errors import UsageError

    if code not in LIVE_PATHS:
        raise UsageError("this venue cannot be traded yet", code, f"one of {', '.join(LIVE_PATHS)}")
    found: LiveVenue = load_object(LIVE_PATHS[code], "live venue")(settings)
    return found


def wire_venue(code: str, builder: Any, settings: Mapping[str, Any]) -> Any:
    """Add the engine's own clients of a venue to a node builder and return it.

    Raises
    ------
    UsageError
        If the venue is not served that way.
    """
    from core.domain.errors import UsageError

    if code not in WIRE_PATHS:
        raise UsageError("no client of the engine for this venue", code, ", ".join(WIRE_PATHS))
    return load_object(WIRE_PATHS[code], "venue wiring")(builder, settings)
