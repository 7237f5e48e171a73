"""BetaStrategy: the base of every strategy, the same class in backtest, paper and live.

Layers, each in its own file: `bound` (session, guard, data in a fixed order), `views` (read), `orders` (act,
through the gate), `order_events` (book what comes back), and here what an author overrides and says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, ClassVar, Self

from nautilus_trader.model import Bar, QuoteTick, TradeTick
from pydantic import BaseModel, ConfigDict

from core.domain.decision import Forecast, OrderIntent, Proposal, TimeInForce
from core.domain.fees import FeeCharge, Role, Side
from core.engine.adopted import Adopted
from core.engine.order_events import AnsweringStrategy
from core.engine.results import FillRow
from core.engine.session import Level

__all__ = [
    "Adopted",
    "BetaStrategy",
    "FeeCharge",
    "Level",
    "Role",
    "Side",
    "StrategyConfig",
    "TimeInForce",
]


class StrategyConfig(BaseModel):
    """Base of every strategy's parameters: frozen, typed, unknown names refused.

    Attributes
    ----------
    market_time : tuple of str
        Parameters that are durations on the market's clock (a half-life, a cool-down), as opposed to
        waits for a venue's answer: a market replayed ten times faster has them ten times shorter.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    market_time: ClassVar[tuple[str, ...]] = ()

    def at_speed(self, speed: float) -> Self:
        """Return the parameters for a market that runs `speed` times faster than the recorded one."""
        if speed == 1.0:
            return self
        shorter = {name: getattr(self, name) / speed for name in self.market_time}
        return self.model_copy(update=shorter)


class BetaStrategy(AnsweringStrategy):
    """Base of all strategies.

    Subclass it, set `config_type`, override ``on_start`` (subscribe with ``watch_*``) and the
    callbacks below. Every order path passes the gate; an exception in a callback stops the run.

    Attributes
    ----------
    config : StrategyConfig
        Parameters, an instance of `config_type`.
    markets : mapping of str to Market
        Market of each instrument id in the universe.
    events : mapping of str to Event
    universe : tuple of str
        Instrument ids of this run, sorted.
    rng : random.Random
        Seeded source of randomness; use no other.
    trades_spot : bool
        Set it on a strategy of spot pairs: in data that also holds prediction markets these are left
        out. Without it, spot prices beside prediction markets are only read.
    """

    config_type: ClassVar[type[StrategyConfig]] = StrategyConfig
    trades_spot: ClassVar[bool] = False
    #: Set it on a strategy that values markets by the spot price behind them: a node then follows it.
    reads_spot: ClassVar[bool] = False
    #: Venue codes it trades; empty = every prediction venue of the data. Others only inform it.
    venues: ClassVar[tuple[str, ...]] = ()

    # -- what an author says ----------------------------------------------------------------
    def report_legs(
        self, iids: Iterable[str], missing: Iterable[str] = (), *, attempt: bool = True
    ) -> None:
        """Tell the arbitrage breaker how orders that belong together ended.

        Parameters
        ----------
        iids, missing : iterable of str
            Instruments of all legs, and of those that were not filled like the others.
        attempt : bool
            Whether they were one attempt that should have been filled whole; failed ones in a row open
            the breaker. Unequal legs bar their market after a while in either case.
        """
        whole, lacking = ([self.markets[i].market_id for i in x] for x in (iids, missing))
        gate = self.session.gate
        gate.on_legs(self._bt_sid, whole, lacking, self.now_ns, attempt=attempt)
        self.session.watch_holds()

    # -- what an author overrides -----------------------------------------------------------
    def on_start(self) -> None:
        """Subscribe here."""

    def on_adopted(self, held: Mapping[str, Adopted]) -> None:
        """Take over shares from before this run, by instrument: a node was killed or stopped, and is back.

        Called once, after `on_start`, and only where there are any. What was paid and since when is from the
        ledger. A strategy that manages what it holds by its own books fills them here.
        """

    def on_quote(self, quote: QuoteTick) -> None:
        """React to a top-of-book change of a watched instrument."""

    def on_book(self, iid: str) -> None:  # type: ignore[override]
        """React to a book change of a watched instrument; read it with `best_bid`, `depth`."""

    def on_trade(self, trade: TradeTick) -> None:
        """React to a trade of a watched instrument."""

    def on_bar(self, bar: Bar) -> None:
        """React to a closed bar."""

    def on_fill(self, fill: FillRow) -> None:
        """React to an own fill; position and cash are already updated."""

    def on_settlement(self, iid: str, payout: Decimal) -> None:
        """React to the resolution of an instrument of the universe; a position in it is already paid out."""

    def on_refused(self, intent: OrderIntent, refusal: Any) -> None:
        """React to a refusal of the gate (`refusal.code` says why)."""

    def on_forecast(self, forecast: Forecast) -> None:
        """React to a forecast asked for earlier."""

    # -- say --------------------------------------------------------------------------------
    def record_forecast(self, forecast: Forecast) -> int:
        """Record a forecast; return its ledger row (0 without a ledger)."""
        ref = self._bt_refs[forecast.instrument_id]
        return self.session.journal.forecast(
            self._bt_sid, ref, forecast, self.mid(ref.iid), self.now_ns
        )

    def record_proposal(self, proposal: Proposal) -> int:
        """Record a proposal; return its ledger row (0 without a ledger)."""
        return self.session.journal.proposal(proposal, self.now_ns)
