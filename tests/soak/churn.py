"""A strategy for soak runs: rests, cancels, takes and sells all the time, at a small bounded loss.

It has no edge and pays the spread and the fee of each round trip; it exists to keep every part of the order path
in use for hours. Never use it with money.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from nautilus_trader.model import QuoteTick
from pydantic import Field

from core.domain.clock import NS_PER_SECOND
from core.domain.decision import TimeInForce
from core.engine.strategy import BetaStrategy, StrategyConfig


class ChurnConfig(StrategyConfig):
    """Pace of the churn, in wall seconds."""

    quantity: Decimal = Field(default=Decimal(1), gt=0)
    pause_s: float = Field(default=0.5, gt=0, description="between two actions in one market")
    hold_s: float = Field(default=4.0, gt=0)
    take_every: int = Field(default=4, ge=1, description="every n-th order takes, the others rest")


class Churn(BetaStrategy):
    """Rest at the bid, cancel, rest again; every few orders take the ask; sell after a while."""

    config_type: ClassVar[type[StrategyConfig]] = ChurnConfig
    config: ChurnConfig

    def on_start(self) -> None:
        """Watch the first outcome of every market."""
        self._next: dict[str, int] = {}
        self._since: dict[str, int] = {}
        self._count = 0
        for iid in self.universe:
            if self.markets[iid].outcomes[0].instrument_id == iid:
                self.watch_quotes(iid)

    def on_quote(self, quote: QuoteTick) -> None:
        """Act at most once per pause and market."""
        iid, now = quote.instrument_id.value, quote.ts_init
        if now < self._next.get(iid, 0):
            return
        self._next[iid] = now + int(self.config.pause_s * NS_PER_SECOND)
        if self.working(iid):
            self.cancel_all(iid)
        elif self.position(iid) > 0:
            if now - self._since.get(iid, 0) > self.config.hold_s * NS_PER_SECOND:
                self.exit(iid, "churn")
        else:
            self._open(iid)

    def _open(self, iid: str) -> None:
        bid, ask = self.best_bid(iid), self.best_ask(iid)
        if (
            bid is None
            or ask is None
            or not Decimal("0.02") <= bid.price < ask.price <= Decimal("0.98")
        ):
            return  # near 0 and 1 one contract is worth less than its fee
        self._count += 1
        if self._count % self.config.take_every == 0:
            self.buy(iid, self.config.quantity, ask.price, reason="churn")
        else:
            self.buy(iid, self.config.quantity, bid.price, tif=TimeInForce.GTC, reason="churn")

    def on_fill(self, fill: Any) -> None:
        """Remember when it was bought."""
        self._since[fill.instrument_id] = self.now_ns
