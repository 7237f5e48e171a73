"""BetaStrategy: the base of every strategy, the same class in backtest, paper and live."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, NamedTuple

from nautilus_trader.model import Bar, QuoteTick, TradeTick
from nautilus_trader.trading import Strategy
from pydantic import BaseModel, ConfigDict

from core.domain.decision import Forecast, OrderIntent, Proposal, TimeInForce
from core.domain.fees import FeeCharge, Role, Side
from core.domain.market import Event, Market
from core.engine.results import FillRow


class Level(NamedTuple):
    """One price level: dollars per share, shares."""

    price: Decimal
    size: Decimal


class StrategyConfig(BaseModel):
    """Base of every strategy's parameters: frozen, typed, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class BetaStrategy(Strategy):
    """Base of all strategies.

    Subclass it, set `config_type`, override ``on_start`` (subscribe with ``watch_*``) and the
    callbacks. Every order path passes the gate; an exception in a callback stops the run.

    Attributes
    ----------
    markets : dict of str to Market
        Market of each instrument id in the universe.
    events : dict of str to Event
    universe : tuple of str
        Instrument ids of this run, sorted.
    """

    config_type: ClassVar[type[StrategyConfig]] = StrategyConfig

    markets: dict[str, Market]
    events: dict[str, Event]
    universe: tuple[str, ...]

    # -- callbacks an author overrides -------------------------------------------------------
    def on_start(self) -> None:
        """Subscribe here."""

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
        """React to the resolution of a held instrument; the position is already gone."""

    def on_refused(self, intent: OrderIntent, refusal: Any) -> None:
        """React to a refusal of the gate (`refusal.code` says why)."""

    def on_forecast(self, forecast: Forecast) -> None:
        """React to a forecast asked for earlier."""

    # -- watch ------------------------------------------------------------------------------
    def watch_quotes(self, iid: str) -> None:
        """Subscribe to top-of-book changes (quotes, or derived from the book)."""
        raise NotImplementedError

    def watch_book(self, iid: str) -> None:
        """Subscribe to book changes; ``on_book(iid)`` follows each complete batch of deltas."""
        raise NotImplementedError

    def watch_trades(self, iid: str) -> None:
        """Subscribe to trades."""
        raise NotImplementedError

    def watch_bars(self, bar_type: str) -> None:
        """Subscribe to bars, for example ``"BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL"``."""
        raise NotImplementedError

    # -- act --------------------------------------------------------------------------------
    def buy(
        self,
        iid: str,
        quantity: Decimal,
        price: Decimal,
        *,
        tif: TimeInForce = TimeInForce.IOC,
        post_only: bool = False,
        reason: str = "",
        forecast: Forecast | None = None,
        expire_ns: int = 0,
    ) -> str | None:
        """Send a limit buy through the gate; return the client order id, or None when refused."""
        raise NotImplementedError

    def sell(
        self,
        iid: str,
        quantity: Decimal,
        price: Decimal,
        *,
        tif: TimeInForce = TimeInForce.IOC,
        post_only: bool = False,
        reason: str = "",
        forecast: Forecast | None = None,
        expire_ns: int = 0,
    ) -> str | None:
        """Send a limit sell of held shares through the gate; None when refused."""
        raise NotImplementedError

    def exit(self, iid: str, reason: str) -> str | None:
        """Cancel own working orders and sell what is held at the best bid or better, IOC."""
        raise NotImplementedError

    def cancel(self, client_order_id: str) -> None:
        """Cancel a working order; unknown or closed ids are ignored."""
        raise NotImplementedError

    def cancel_all(self, iid: str) -> None:
        """Cancel every own working order of an instrument."""
        raise NotImplementedError

    # -- read -------------------------------------------------------------------------------
    @property
    def now_ns(self) -> int:
        """Simulated or real time, nanoseconds since 1970 UTC."""
        return int(self.clock.timestamp_ns())

    def position(self, iid: str) -> Decimal:
        """Shares that this strategy holds."""
        raise NotImplementedError

    def cash(self) -> Decimal:
        """Free dollars of the account: total minus what working orders reserve."""
        raise NotImplementedError

    def equity(self) -> Decimal:
        """Dollars: cash plus positions marked at the bid."""
        raise NotImplementedError

    def best_bid(self, iid: str) -> Level | None:
        """Best bid, or None when the side is empty or nothing was seen yet."""
        raise NotImplementedError

    def best_ask(self, iid: str) -> Level | None:
        """Best ask, or None when the side is empty or nothing was seen yet."""
        raise NotImplementedError

    def depth(self, iid: str, side: Side, levels: int = 10) -> list[Level]:
        """Best `levels` levels one can trade against: asks for BUY, bids for SELL, best first."""
        raise NotImplementedError

    def book_age_ns(self, iid: str) -> int:
        """Nanoseconds since the book of `iid` last changed; a large number when never seen."""
        raise NotImplementedError

    def fee(self, iid: str, side: Side, role: Role, price: Decimal, quantity: Decimal) -> FeeCharge:
        """Exact charge of such a fill now, as the first fill of its order."""
        raise NotImplementedError

    # -- say --------------------------------------------------------------------------------
    def record_forecast(self, forecast: Forecast) -> int:
        """Record a forecast; return its ledger row (0 without a ledger)."""
        raise NotImplementedError

    def record_proposal(self, proposal: Proposal) -> int:
        """Record a proposal; return its ledger row (0 without a ledger)."""
        raise NotImplementedError
