"""Bundle predictor: trade the forecasts of a signed model bundle against the book.

**Edge.** Whatever the bundle knows beyond the market price. Its probability is the market's plus a learned
residual, so an unsure model asks for no trade. Everything else is `BasePredictor`: exact fees, sizing, stops.

**Risk.** Long outcomes only: the cost of a position is the most it can lose. No entry without a forecast that
is still fresh, and none in time that the model was trained on.

**When it loses money.** When the residual is noise: the fee and the spread are then the expected loss. The
shipped training runs show no skill against the price (docs/forecasting-tables.md), so expect none without your own.
"""

from __future__ import annotations

from typing import ClassVar

from nautilus_trader.model import QuoteTick
from pydantic import Field

from core.domain.decision import Forecast
from core.domain.errors import SignalError
from core.engine.strategy import Level, StrategyConfig
from core.ledger import kinds
from signals.actor import ForecastConfig, Refusals, open_forecasters, quote_of
from signals.serving import complement
from strategies.base_predictor import BasePredictor, Estimate, PredictorConfig


class BundlePredictorConfig(PredictorConfig, ForecastConfig):
    """Parameters of the predictor and of the bundle it serves."""

    forecast_every_s: float = Field(default=60.0, gt=0)


class BundlePredictor(BasePredictor):
    """Estimate from a bundle; trade as `BasePredictor` does."""

    config_type: ClassVar[type[StrategyConfig]] = BundlePredictorConfig
    config: BundlePredictorConfig

    def on_start(self) -> None:
        """Load the bundle and watch both outcomes of every market."""
        super().on_start()
        self.forecasters = open_forecasters(self.config, self.now_ns, self._write_fault)
        self.refusals = Refusals(self.config.refusal_every_s, self._write_fault)
        self.latest: dict[str, Forecast] = {}

    def on_quote(self, quote: QuoteTick) -> None:
        """Renew the forecast from quotes of the first outcome, then look at the outcome that moved."""
        iid, now = str(quote.instrument_id), self.now_ns
        market = self.markets[iid]
        if market.outcomes[0].instrument_id == iid and market.close_ns:
            self._renew(iid, quote, now)
        self.consider(iid)

    def _renew(self, iid: str, quote: QuoteTick, now: int) -> None:
        market = self.markets[iid]
        other = market.outcomes[1].instrument_id
        try:
            forecaster = self.forecasters.of(market.market_id, iid, market.close_ns)
            forecast = forecaster.observe(now, quote_of(quote))
        except SignalError as error:
            # Never trade on the last answer once the history behind it is broken.
            self.latest.pop(iid, None)
            self.latest.pop(other, None)
            self.refusals.note(iid, error, now)
            return
        if forecast is not None:
            self.latest[iid], self.latest[other] = forecast, complement(forecast, other)

    def estimate(self, iid: str, bid: Level, ask: Level) -> Estimate | None:
        """Return the bundle's forecast while it is fresh, else no opinion."""
        forecast = self.latest.get(iid)
        if forecast is None or not forecast.fresh(self.now_ns):
            return None
        width = float(forecast.high - forecast.low) / 2.0
        return Estimate(float(forecast.probability), width)

    def _write_fault(self, row: kinds.Fault, now_ns: int) -> None:
        ledger = self.session.journal.ledger
        if ledger is not None:
            ledger.append(row, ts_event=now_ns)
