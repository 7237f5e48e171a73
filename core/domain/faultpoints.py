"""Named points at which a test may stop, kill or fail the process. Free when nobody listens."""

from __future__ import annotations

from collections.abc import Callable

_listener: Callable[[str], None] | None = None


def point(name: str) -> None:
    """Pass the point `name`; a listener may raise, sleep or never return."""
    if _listener is not None:
        _listener(name)


def listen(listener: Callable[[str], None] | None) -> None:
    """Install (or remove, with None) the one listener of this process."""
    global _listener
    _listener = listener
