"""Why a forecast was not given: one error type per kind of bad input, all `SignalError`.

::

    SignalError
    ├── ForecastInputError     scores, splits, calibration: shapes or values that mean nothing
    ├── TrainingError          a run that cannot start, finish or be trusted
    │   └── LeakDetected       a guard found the future in the features
    └── FeatureError           live or batch input from which no feature row may be made
        ├── ShortHistory       fewer rows than lookback + warm-up
        ├── StaleHistory       the last row is older than allowed
        ├── HistoryGap         a row is missing inside the window
        ├── NotFinite          NaN or infinity
        └── FeatureMismatch    other names, order or version than the model was trained on
"""

from __future__ import annotations

from core.domain.errors import SignalError


class ForecastInputError(SignalError):
    """Probabilities, outcomes, quantiles or times that cannot be scored."""


class TrainingError(SignalError):
    """A training run that cannot start, finish or be trusted."""


class LeakDetected(TrainingError):
    """A leak guard found that a forecast knew its future."""


class FeatureError(SignalError):
    """Input from which no feature row may be made."""


class ShortHistory(FeatureError):
    """Fewer rows than lookback plus warm-up."""


class StaleHistory(FeatureError):
    """The last row is older than the model allows."""


class HistoryGap(FeatureError):
    """A row is missing, repeated or out of order."""


class NotFinite(FeatureError):
    """A feature or input is NaN or infinite."""


class FeatureMismatch(FeatureError):
    """Feature names, order or definition differ from those of training."""
