"""No error of a callback is lost: it is kept, the run is stopped, and the runner raises it.

The engine logs exceptions of callbacks and goes on, KeyboardInterrupt and SystemExit included. Every entry
from the engine into a strategy is therefore a guarded one (`core.engine.delivery`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Failure:
    """First error of a run and how to stop it.

    Attributes
    ----------
    error : BaseException, optional
        What was raised first.
    where : str
        Component and callback.
    interrupted, stopping : bool
        Whether the operator has stopped the run, and whether it has to end now for any reason.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.where = ""
        self.interrupted = self.stopping = False

    def keep(self, error: BaseException, where: str) -> None:
        """Remember the first error; later ones are its consequences."""
        if self.error is None:
            self.error = error
            self.where = where
        self.stopping = True

    def interrupt(self) -> None:
        """Stop the run by the operator's word."""
        self.interrupted = self.stopping = True


def guarded(method: Callable[..., Any], fail: Callable[[BaseException, str], None]) -> Any:
    """Return `method` (bound) with its exceptions handed to `fail` and raised again."""
    name = getattr(method, "__name__", repr(method))

    def call(*args: Any) -> Any:
        try:
            return method(*args)
        except BaseException as exc:
            fail(exc, name)
            raise

    return call
