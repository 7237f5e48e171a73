"""A loaded bundle: features in, calibrated forecast out, or an error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from signals.bundle.manifest import Calibration, Manifest
from signals.errors import BundleExpired, InputShape
from signals.features.spec import FeatureSet
from signals.plan.graph import Array
from signals.probability.calibration import logit, sigmoid
from signals.probability.conformal import ConformalBand
from signals.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says about one window.

    Attributes
    ----------
    raw : array
        The model's output: log-odds ``[1, 1]``, or quantiles or points ``[H, Q]``.
    probability, low, high : float
        Calibrated probability and its interval; NaN for other heads.
    quantiles : array
        ``[H, Q]`` with the conformal widening of the outer levels; ``[0, 0]`` for a probability.
    """

    raw: Array
    probability: float
    low: float
    high: float
    quantiles: NDArray[np.float64]


class Predictor:
    """Serve one bundle; made by `signals.bundle.load_predictor`.

    Attributes
    ----------
    manifest : Manifest
    sha256 : str
        Of the signed manifest: names the bundle in forecasts and rows.
    runtime : Runtime
    """

    def __init__(
        self, manifest: Manifest, sha256: str, calibration: Calibration, runtime: Runtime
    ) -> None:
        self.manifest, self.sha256, self.runtime = manifest, sha256, runtime
        self._calibration = calibration
        self._probability = manifest.model.head == "probability"
        self._none = np.empty((0, 0))

    @property
    def model_id(self) -> str:
        """Name and version."""
        return f"{self.manifest.name}@{self.manifest.version}"

    def require_features(self, features: FeatureSet) -> None:
        """Refuse other features than the model was trained on.

        Raises
        ------
        FeatureMismatch
            Other names, order, kinds or settings.
        """
        own = self.manifest.features
        features.require(self.manifest.feature_names, own.sha256 if own else "")

    def predict(self, window: ArrayLike, now_ns: int) -> Answer:
        """Answer for one window of features.

        Parameters
        ----------
        window : array
            ``[lookback, channels]``, oldest row first, columns as `Manifest.feature_names`.
        now_ns : int
            Time of the run: simulated in a backtest.

        Raises
        ------
        BundleExpired
            The bundle is too old to be used at this time.
        InputError, KernelError
            As `Runtime.predict`; there is no answer then.
        """
        if now_ns >= self.manifest.expires_ns:
            raise BundleExpired("bundle has expired", self.model_id, "beta bundle install NEWER")
        x = np.asarray(window)
        if x.ndim != 2:
            raise InputShape(
                "a window is [lookback, channels]",
                x.shape,
                "give one window, for example x[-lookback:]",
            )
        raw = self.runtime.predict({"x": x})["y"]
        if self._probability:
            return self._from_log_odds(raw)
        nan = math.nan
        return Answer(raw, nan, nan, nan, self._widened(raw.astype(np.float64)))

    def _from_log_odds(self, raw: Array) -> Answer:
        band = self._calibration.log_odds_band
        p = self._calibration.calibrator(sigmoid(float(raw[0, 0])))
        centre = logit(p)
        low, high = (p, p) if band == 0 else (sigmoid(centre - band), sigmoid(centre + band))
        return Answer(raw, p, min(low, p), max(high, p), self._none)

    def _widened(self, quantiles: NDArray[np.float64]) -> NDArray[np.float64]:
        widen = self._calibration.widen
        if widen and quantiles.shape[1] > 1:
            band = ConformalBand(widen, self._calibration.alpha)
            low, high = band.apply(quantiles[:, 0], quantiles[:, -1])
            # inner levels stay inside of a band that the calibration narrowed
            quantiles = np.clip(quantiles, low[:, None], high[:, None])
            quantiles[:, 0], quantiles[:, -1] = low, high
        return quantiles
