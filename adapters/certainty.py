"""Reads of a venue that were answered with nonsense are uncertain: nothing may be concluded from them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Protocol

from adapters.answers import UNREADABLE, Answers
from core.domain.errors import DataError, MarketError, VenueError, VenueRefused, VenueUncertain

#: What code raises that was given a number, a word or a list that cannot be.
NONSENSE = (
    *UNREADABLE,
    DataError,
    MarketError,
    VenueError,
    ArithmeticError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
)


class Asks(Protocol):
    """Whoever keeps count of a venue's answers."""

    @property
    def answers(self) -> Answers:
        """The counters."""
        ...


def certain[S: Asks, **P, T](
    read: Callable[Concatenate[S, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Let a read of a port raise `VenueUncertain`, and count it, when what the venue said cannot be.

    `VenueRefused` and `VenueUncertain` pass as they are, and so does everything that is not about the answer
    (a halt, the ledger, a missing key).
    """

    @functools.wraps(read)
    async def asked(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await read(self, *args, **kwargs)
        except (VenueRefused, VenueUncertain):
            raise
        except NONSENSE as exc:
            what = f"{type(self).__name__}.{read.__name__}"
            self.answers.bad(what, f"{type(exc).__name__}: {exc}")
            raise VenueUncertain(
                f"the venue answered {what} with what cannot be",
                f"{type(exc).__name__}: {exc}"[:200],
            ) from exc

    return asked
