"""What must be true before a key may trade on Polymarket; each finding says what is wrong and what mends it."""

from __future__ import annotations

import time
from collections.abc import Callable

from adapters.polymarket.catalogue import Catalogue
from adapters.polymarket.rest import ClobRest
from core.domain.errors import GateClosed

MAX_SKEW_S = 5.0
VERSIONS = frozenset({"2", "3"})


async def check(
    rest: ClobRest, catalogue: Catalogue, clock: Callable[[], float] = time.time
) -> None:
    """Refuse to trade from a blocked place, with a closed-only account, a wrong clock or an unknown order version.

    Raises
    ------
    GateClosed
        With what was seen and what mends it.
    VenueUncertain, VenueRefused
        If the venue could not be asked: not knowing is no permission.
    """
    await check_place(catalogue)
    await check_clock(rest, clock)
    version = await rest.version()
    if version and version not in VERSIONS:
        raise GateClosed(
            "Polymarket takes an order format that this version does not know",
            version,
            "upgrade beta-trader",
        )
    if await rest.closed_only():
        raise GateClosed(
            "this Polymarket account may only close positions",
            "closed_only",
            "close them on polymarket.com; the account cannot open new ones",
        )


async def check_place(catalogue: Catalogue) -> None:
    """Refuse to trade from a blocked place.

    Raises
    ------
    GateClosed
        With the place.
    """
    place = await catalogue.location()
    if place.blocked:
        raise GateClosed(
            "Polymarket does not allow trading from this place",
            f"{place.country} {place.region}".strip(),
            "run where Polymarket permits it; do not route around the block",
        )


async def check_clock(rest: ClobRest, clock: Callable[[], float] = time.time) -> None:
    """Refuse to sign by a clock that differs from the venue's.

    Raises
    ------
    GateClosed
        With the difference.
    """
    before = clock()
    theirs = await rest.time_s()
    skew = theirs - (before + clock()) / 2
    if abs(skew) > MAX_SKEW_S:
        raise GateClosed(
            "this clock and Polymarket's differ too much",
            f"{skew:+.1f} s",
            "synchronise the clock: sudo systemctl restart systemd-timesyncd",
        )
