"""From quotes to forecasts: sample the top of book on a fixed grid, make features, ask the bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Protocol

from core.domain.decision import Forecast
from signals.errors import FeatureError, FeatureMismatch, ForecastInputError, StaleHistory
from signals.features import FeatureSet, FeatureStream

STEP: Final = Decimal("0.000001")
NS_PER_SECOND: Final = 1_000_000_000


class Model(Protocol):
    """What serving needs of a loaded bundle (`signals.bundle.Predictor`)."""

    @property
    def model_id(self) -> str:
        """Name and version."""
        ...

    sha256: str

    def require_features(self, features: FeatureSet) -> None:
        """Refuse other features than those of training."""
        ...

    def predict(self, window: Any, now_ns: int) -> Any:
        """Answer for one window."""
        ...


@dataclass(frozen=True, slots=True)
class Quote:
    """Top of book: dollars per share and shares, as floats for features only."""

    bid_px: float
    bid_sz: float
    ask_px: float
    ask_sz: float


class QuoteForecaster:
    """
    Forecast one market from its quotes.

    The book is read on a grid of `features.interval_ns` (for example every 10 s of the UTC
    clock), as it was known at each grid time: exactly how training sampled it. A grid time whose
    newest quote is older than `max_quote_age_ns`, one-sided or crossed breaks the history, and no
    forecast is given until a whole new window has been seen.

    Parameters
    ----------
    model
        A loaded bundle with a probability head.
    instrument_id
        The outcome that the probability is about.
    close_ns
        When the market closes.
    max_quote_age_ns
        As in training.
    life_ns
        How long a forecast may be traded on.
    trained_until_ns
        End of the data that the model has seen; no forecast before it.
    """

    def __init__(
        self,
        model: Model,
        features: FeatureSet,
        lookback: int,
        instrument_id: str,
        close_ns: int,
        *,
        max_quote_age_ns: int = 60 * NS_PER_SECOND,
        life_ns: int = 30 * NS_PER_SECOND,
        trained_until_ns: int = 0,
    ) -> None:
        if not features.interval_ns:
            raise ForecastInputError(
                "live features need a grid",
                seen="interval_ns = 0",
                mend="train on a feature set with interval_ns",
            )
        model.require_features(features)
        self._model, self._instrument_id, self._close_ns = model, instrument_id, close_ns
        self._stream = FeatureStream(features, lookback)
        self._interval_ns = features.interval_ns
        self._age_ns, self._life_ns = max_quote_age_ns, life_ns
        self._trained_until_ns = trained_until_ns
        self._features_sha = features.sha256
        self._quote: Quote | None = None
        self._quote_ns = 0
        self._next_ns = 0

    def observe(self, ts_ns: int, quote: Quote) -> Forecast | None:
        """
        Take a quote; return a forecast if a grid time has passed since the last one.

        Raises
        ------
        SignalError
            There should be a forecast now, and there is none: the reason. The state stays sound.
        """
        due = self._next_ns and ts_ns >= self._next_ns
        try:
            return self._advance(ts_ns) if due else None
        finally:
            self._quote, self._quote_ns = quote, ts_ns
            self._next_ns = (ts_ns // self._interval_ns + 1) * self._interval_ns

    def _advance(self, ts_ns: int) -> Forecast | None:
        """Push every grid time up to now with the quote that was known then."""
        last = ts_ns // self._interval_ns * self._interval_ns
        for at_ns in range(self._next_ns, last + 1, self._interval_ns):
            if at_ns - self._quote_ns > self._age_ns:
                self._stream.reset()
                raise StaleHistory(
                    "the newest quote is too old: history starts again",
                    seen=f"{(at_ns - self._quote_ns) / NS_PER_SECOND:.0f} s",
                    mend="check the feed",
                )
            self._push(at_ns)
        if last >= self._close_ns:
            return None
        return self._answer(last, ts_ns)

    def _push(self, at_ns: int) -> None:
        quote = self._quote
        assert quote is not None
        if not 0.0 < quote.bid_px < quote.ask_px < 1.0:
            self._stream.reset()
            raise ForecastInputError(
                "the book is one-sided or crossed: history starts again",
                seen=f"bid {quote.bid_px}, ask {quote.ask_px}",
                mend="wait for a two-sided book",
            )
        row: Mapping[str, float] = {
            "bid_px_0": quote.bid_px,
            "bid_sz_0": quote.bid_sz,
            "ask_px_0": quote.ask_px,
            "ask_sz_0": quote.ask_sz,
            "mid": (quote.bid_px + quote.ask_px) / 2.0,
            "seconds_to_close": (self._close_ns - at_ns) / NS_PER_SECOND,
        }
        try:
            self._stream.push(at_ns, row)
        except FeatureMismatch:
            raise
        except FeatureError:
            self._stream.reset()
            raise

    def _answer(self, at_ns: int, now_ns: int) -> Forecast:
        if at_ns < self._trained_until_ns:
            raise ForecastInputError(
                "the model has already seen this time",
                seen=f"{at_ns} before {self._trained_until_ns}",
                mend="start the run after the training data, or train an earlier bundle",
            )
        window = self._stream.window(at_ns, 0)
        answer = self._model.predict(window, now_ns)
        p, low, high = (_probability(v) for v in (answer.probability, answer.low, answer.high))
        return Forecast(
            instrument_id=self._instrument_id,
            probability=p,
            low=min(low, p),
            high=max(high, p),
            ts_event=at_ns,
            expires_ns=now_ns + self._life_ns,
            model_id=self._model.model_id,
            horizon_ns=0,
            bundle_sha=self._model.sha256,
            features_sha=self._features_sha,
        )


def _probability(value: float) -> Decimal:
    """Return a probability on six decimals; a forecast never claims certainty."""
    return min(max(Decimal(value).quantize(STEP), STEP), 1 - STEP)


def complement(forecast: Forecast, instrument_id: str) -> Forecast:
    """Return the forecast of the other outcome of a binary market."""
    return Forecast(
        instrument_id=instrument_id,
        probability=1 - forecast.probability,
        low=1 - forecast.high,
        high=1 - forecast.low,
        ts_event=forecast.ts_event,
        expires_ns=forecast.expires_ns,
        model_id=forecast.model_id,
        horizon_ns=forecast.horizon_ns,
        bundle_sha=forecast.bundle_sha,
        features_sha=forecast.features_sha,
    )
