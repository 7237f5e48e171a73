"""What the private sides of the venues share: one connection that brings news, and REST that knows the whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from adapters.answers import Answers
from adapters.connection import Connection, SocketState, SocketStats
from core.engine.live.port import VenueNews

REREAD_S = 0.5


class Watched(Protocol):
    """What is looked at like a connection."""

    @property
    def state(self) -> str: ...
    @property
    def stats(self) -> SocketStats: ...


class Rest(Protocol):
    """A venue's signed REST client."""

    answers: Answers
    before_order: Callable[[], None]


class PrivateSide[R: Rest]:
    """A private connection and what is done when it comes, goes, or says what nobody can read."""

    venue = ""
    channel = ""
    names_orders = False

    def __init__(self, rest: R) -> None:
        self.rest = rest
        self._socket: Connection | None = None
        self._news: VenueNews | None = None
        self._rereads = False

    @property
    def answers(self) -> Answers:
        """What the venue's REST answers tell beside their content."""
        return self.rest.answers

    @property
    def connections(self) -> dict[str, Watched]:
        """The private connection and the REST answers, by name."""
        found: dict[str, Watched] = {f"{self.venue} REST": self.answers}
        if self._socket is not None:
            found[f"{self.venue} {self.channel}"] = self._socket
        return found

    def before_order(self, check: Callable[[], None]) -> None:
        """Have every order and change checked once more after the wait for its rate limit."""
        self.rest.before_order = check

    def _on_state(self, state: SocketState) -> None:
        if self._news is not None and state in (SocketState.UP, SocketState.DOWN):
            self._news.on_link(state is SocketState.UP)

    def _lost_news(self) -> None:
        """Have everything read again soon: a frame that nobody could read may have told of a fill."""
        if self._news is not None and not self._rereads:
            self._rereads = True
            asyncio.get_running_loop().call_later(REREAD_S, self._reread)

    def _reread(self) -> None:
        self._rereads = False
        if self._news is not None and self._socket is not None and not self._socket.closed:
            self._news.on_link(self._socket.state is SocketState.UP)
