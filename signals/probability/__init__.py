"""Calibration and honest scoring of probabilities, quantiles and intervals."""

from signals.probability.bootstrap import Interval, bootstrap_interval, mean_interval
from signals.probability.calibration import (
    Calibrator,
    Identity,
    Isotonic,
    Platt,
    choose_calibrator,
    fit_isotonic,
    fit_platt,
)
from signals.probability.compare import DieboldMariano, Skill, diebold_mariano, skill_against
from signals.probability.conformal import ConformalBand, conformalize
from signals.probability.scores import (
    brier_score,
    expected_calibration_error,
    log_loss,
    murphy,
)

__all__ = [
    "Calibrator",
    "ConformalBand",
    "DieboldMariano",
    "Identity",
    "Interval",
    "Isotonic",
    "Platt",
    "Skill",
    "bootstrap_interval",
    "brier_score",
    "choose_calibrator",
    "conformalize",
    "diebold_mariano",
    "expected_calibration_error",
    "fit_isotonic",
    "fit_platt",
    "log_loss",
    "mean_interval",
    "murphy",
    "skill_against",
]
