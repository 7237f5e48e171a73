"""A signature kept ready for the next order: with an RSA key it takes most of a millisecond of the interpreter.

A create's signature covers time, method and path, not the order, so it can be made before there is one. The
library holds the interpreter's lock while it signs: another thread would not take the time off an order's way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

#: A kept signature is renewed this often, so that its time is never further from the venue's.
RENEW_S = 0.5
#: After one was taken the next is made when its order has left.
PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class SignedHeaders:
    """Access headers, there or on their way from a worker thread, and the time they are signed for."""

    at_ms: int
    headers: asyncio.Future[dict[str, str]]


class ReadySignature:
    """One signature in store, each used once.

    Parameters
    ----------
    sign : callable
        Makes the headers for a time in milliseconds.
    now_ms : callable
        The venue's time.
    """

    def __init__(self, sign: Callable[[int], dict[str, str]], now_ms: Callable[[], int]) -> None:
        self._sign, self._now_ms = sign, now_ms
        self._kept: SignedHeaders | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Keep one from now on."""
        self.stop()
        self._renew()

    def stop(self) -> None:
        """Keep none."""
        self._kept = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def take(self) -> SignedHeaders | None:
        """Return the one in store, or None: then the order before has just taken it."""
        kept, self._kept = self._kept, None
        if kept is not None:
            self._again(PAUSE_S)
        return kept

    def _renew(self) -> None:
        at_ms = self._now_ms()
        headers: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        headers.set_result(self._sign(at_ms))
        self._kept = SignedHeaders(at_ms, headers)
        self._again(RENEW_S)

    def _again(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._renew)
