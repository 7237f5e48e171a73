"""The forecast actor: live or replayed quotes in, forecasts on the bus and in the ledger out.

It is a strategy that never trades, so that it runs wherever a strategy runs: beside others in one
backtest, in paper and live. Strategies that want the forecasts hear the bus signal `SIGNAL`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from nautilus_trader.model import QuoteTick
from pydantic import Field

from core.domain.decision import Forecast
from core.domain.errors import ConfigError, SignalError
from core.engine.strategy import BetaStrategy, StrategyConfig
from core.ledger import kinds
from signals.serving import NS_PER_SECOND, Quote, QuoteForecaster, complement

SIGNAL = "forecast"


class ForecastConfig(StrategyConfig):
    """
    Parameters of everything that serves a bundle.

    Attributes
    ----------
    bundle : Path
        An installed name, ``STORE/<name>``, whose current version is opened when the run starts;
        or the folder of one signed bundle.
    trust : Path, optional
        Folder of public keys that are trusted; the store's own for an installed name.
    max_quote_age_s, life_s : float
        Oldest quote that a feature may read; how long a forecast may be traded on.
    refusal_every_s : float
        A repeated reason for no forecast in one market gets one ledger row in this time.
    """

    bundle: Path
    trust: Path | None = None
    max_quote_age_s: float = Field(default=60.0, gt=0)
    life_s: float = Field(default=30.0, gt=0)
    refusal_every_s: float = Field(default=60.0, gt=0)


class Forecasters:
    """One `QuoteForecaster` per binary market of a run, all on one bundle."""

    def __init__(self, config: ForecastConfig, now_ns: int) -> None:
        from signals.bundle import TRUSTED, TrustStore, load_predictor, served

        self._config = config
        folder = served(config.bundle)
        trust = config.trust
        if trust is None:
            if folder == config.bundle:
                raise ConfigError(
                    "a bundle that is not installed needs the keys that are trusted",
                    seen=str(config.bundle),
                    mend="beta bundle install FOLDER, then -p bundle=bundles/NAME; or -p trust=bundles/trusted",
                )
            trust = config.bundle.parent / TRUSTED
        self.model = load_predictor(folder, TrustStore(trust), now_ns)
        features = self.model.manifest.features
        if features is None:
            raise ConfigError(
                "the bundle carries no feature definition",
                seen=str(config.bundle),
                mend="build it from a model of beta train --retrain",
            )
        self.model.require_features(features)
        self.features = features
        self._by_market: dict[str, QuoteForecaster] = {}

    def of(self, market_id: str, yes_iid: str, close_ns: int) -> QuoteForecaster:
        """Return the forecaster of a market, made at its first quote."""
        if market_id not in self._by_market:
            manifest, config = self.model.manifest, self._config
            self._by_market[market_id] = QuoteForecaster(
                self.model,
                self.features,
                manifest.model.lookback,
                yes_iid,
                close_ns,
                max_quote_age_ns=int(config.max_quote_age_s * NS_PER_SECOND),
                life_ns=int(config.life_s * NS_PER_SECOND),
                trained_until_ns=manifest.trained_until_ns,
            )
        return self._by_market[market_id]


def open_forecasters(
    config: ForecastConfig, now_ns: int, write: Callable[[kinds.Fault, int], None]
) -> Forecasters:
    """
    Load the bundle; a bundle that must not be served leaves a row before it stops the run.

    Raises
    ------
    SignalError, ConfigError
        As `signals.bundle.load_predictor`; there is no run without a model.
    """
    try:
        return Forecasters(config, now_ns)
    except (SignalError, ConfigError) as error:
        kind = type(error).__name__
        row = kinds.Fault(
            where=f"bundle {config.bundle.name}",
            error=kind,
            action="no forecast",
            detail=str(error),
        )
        write(row, now_ns)
        raise


def quote_of(tick: QuoteTick) -> Quote:
    """Return the top of book of an engine quote as floats for features."""
    return Quote(
        float(tick.bid_price), float(tick.bid_size), float(tick.ask_price), float(tick.ask_size)
    )


class Refusals:
    """Say once per market, reason and period why there is no forecast."""

    def __init__(self, every_s: float, write: Callable[[kinds.Fault, int], None]) -> None:
        self._every_ns, self._write = int(every_s * NS_PER_SECOND), write
        self._last: dict[tuple[str, str], int] = {}
        self.count = 0

    def note(self, iid: str, error: SignalError, now_ns: int) -> None:
        """Count a refusal, and write its row when it is news."""
        self.count += 1
        key = (iid, type(error).__name__)
        if now_ns - self._last.get(key, -self._every_ns) < self._every_ns:
            return
        self._last[key] = now_ns
        row = kinds.Fault(
            where=f"forecast {iid}", error=key[1], action="no forecast", detail=str(error)
        )
        self._write(row, now_ns)


class ForecastActor(BetaStrategy):
    """Forecast every binary market of the universe; never trade."""

    config_type: ClassVar[type[StrategyConfig]] = ForecastConfig
    config: ForecastConfig

    def on_start(self) -> None:
        """Load the bundle, then watch the first outcome of each binary market."""
        self.forecasters = open_forecasters(self.config, self.now_ns, self._write_fault)
        self.refusals = Refusals(self.config.refusal_every_s, self._write_fault)
        self.made = 0
        for iid in self.universe:
            market = self.markets.get(iid)
            if market is None or len(market.outcomes) != 2 or not market.close_ns:
                continue
            if market.outcomes[0].instrument_id == iid:
                self.watch_quotes(iid)

    def on_quote(self, quote: QuoteTick) -> None:
        """Forecast when a grid time has passed; write why when there is no forecast."""
        iid, now = str(quote.instrument_id), self.now_ns
        market = self.markets[iid]
        try:
            forecaster = self.forecasters.of(market.market_id, iid, market.close_ns)
            forecast = forecaster.observe(now, quote_of(quote))
        except SignalError as error:
            self.refusals.note(iid, error, now)
            return
        if forecast is not None:
            self.give(forecast)
            self.give(complement(forecast, market.outcomes[1].instrument_id))

    def give(self, forecast: Forecast) -> None:
        """Record a forecast in the ledger and publish it on the bus."""
        if forecast.instrument_id not in self.markets:
            return
        self.made += 1
        self.record_forecast(forecast)
        self.publish_signal(SIGNAL, encode(forecast), forecast.ts_event)

    def _write_fault(self, row: kinds.Fault, now_ns: int) -> None:
        ledger = self.session.journal.ledger
        if ledger is not None:
            ledger.append(row, ts_event=now_ns)


def encode(forecast: Forecast) -> str:
    """Return a forecast as the JSON text of a bus signal; probabilities are decimal strings."""
    return json.dumps(
        {name: str(getattr(forecast, name)) for name in Forecast.__slots__}, sort_keys=True
    )


def decode(text: str) -> Forecast:
    """Return the forecast of a bus signal."""
    from decimal import Decimal

    values = json.loads(text)
    for name in ("probability", "low", "high"):
        values[name] = Decimal(values[name])
    for name in ("ts_event", "expires_ns", "horizon_ns"):
        values[name] = int(values[name])
    return Forecast(**values)
