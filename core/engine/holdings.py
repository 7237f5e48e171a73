"""What a strategy holds is one number, the gate's; the engine's own count of it is out of a strategy's reach.

The engine counts merged pairs as held (ADR 0011), hears nothing of a trade by hand, and nothing of a fill that is told
after its order has left (ADR 0097). A strategy that decided on its positions would be right in a backtest and wrong on a node.
"""

from __future__ import annotations

from typing import Any

from core.domain.errors import StrategyError


def not_here(strategy: object, name: str) -> StrategyError:
    """Return the error of a strategy that asks the engine what it holds."""
    return StrategyError(
        "the engine's positions are not what the account holds",
        f"{type(strategy).__name__} reads {name}",
        "use self.position(iid), self.positions(), self.cash() or self.equity()",
    )


class EngineCache:
    """The engine's cache (instruments, books, quotes, orders) without its positions.

    Raises
    ------
    StrategyError
        When anything about positions is asked for.
    """

    def __init__(self, cache: Any, strategy: object) -> None:
        self._cache, self._strategy = cache, strategy

    def __getattr__(self, name: str) -> Any:
        if "position" in name:
            raise not_here(self._strategy, f"self.cache.{name}")
        return getattr(self._cache, name)
