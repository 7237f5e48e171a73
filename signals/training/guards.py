"""Leak guards that run with every training: the future drawn anew, and the labels shuffled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from signals.errors import LeakDetected
from signals.models.spec import ModelSpec
from signals.probability.calibration import apply, fit_platt
from signals.probability.compare import diebold_mariano, skill_against
from signals.training.fit import fit, predict
from signals.training.fit_spec import FitSpec
from signals.training.samples import MarketSamples, Rows, Samples, WindowSamples
from signals.training.sources.base import Raw, Source, redraw_after
from signals.training.splits import Fold

SAMPLE_ROWS = 1000


@dataclass(frozen=True)
class GuardReport:
    """What a guard looked at and what it found."""

    name: str
    passed: bool
    detail: str


def future_permutation(
    source: Source, raw: Raw, options: Mapping[str, Any], samples: Samples
) -> GuardReport:
    """
    Draw every observation after a time anew; inputs of forecasts made until then must not change.

    Three times are tried, at a quarter, half and three quarters of the decisions, none before the
    end of the period whose constants `build` fits. All windows that end just before the time are
    compared, where a look of one step ahead shows, and a sample of the earlier ones.

    Raises
    ------
    LeakDetected
        When one does: a feature reads the future. Also when constants are fitted on all data.
    """
    compared, fitted = 0, source.fitted_until_ns(raw)
    newest = max(int(f["ts_ns"].max()) for f in raw.values() if "ts_ns" in f.columns)  # type: ignore[arg-type]
    if fitted >= newest:
        raise LeakDetected(
            "constants are fitted on all data",
            seen=f"until {fitted}, the newest observation is of {newest}",
            mend="fit them on the training rows only",
        )
    quantiles = np.quantile(samples.decided_ns, (0.25, 0.5, 0.75), method="lower")
    for cut in sorted({max(int(q), fitted) for q in quantiles}):
        mixed = {name: redraw_after(frame, cut) for name, frame in raw.items()}
        again = source.build(mixed, options)
        before, after = _known(samples, cut), _known(again, cut)
        if before.size != after.size:
            raise LeakDetected(
                "which samples exist depends on the future",
                seen=f"{before.size} samples until the cut, {after.size} after redrawing the rest",
                mend="select samples by what is known at the decision time",
            )
        places = np.arange(before.size)
        chosen = np.union1d(places[-SAMPLE_ROWS:], places[:: max(1, before.size // SAMPLE_ROWS)])
        x, _ = samples.take(before[chosen])
        x_again, _ = again.take(after[chosen])
        changed = int((x != x_again).any(axis=(1, 2)).sum())
        if changed:
            raise LeakDetected(
                "a feature reads the future",
                seen=f"{changed} of {len(x)} windows changed",
                mend="look for centred windows, whole-sample scaling or unlagged joins",
            )
        compared += len(x)
    return GuardReport("future_permutation", True, f"{compared} windows unchanged")


def _known(samples: Samples, cut: int) -> Rows:
    rows = np.flatnonzero(samples.decided_ns <= cut)
    order = np.lexsort((samples.event[rows], samples.decided_ns[rows]))
    return np.asarray(rows[order])


def shuffled_labels(
    samples: MarketSamples, fold: Fold, spec: ModelSpec, how: FitSpec
) -> GuardReport:
    """
    Train on shuffled outcomes: the result must show no skill against the price.

    Outcomes are permuted among the training and validation rows; test rows keep theirs. Shuffled
    outcomes still teach a model to pull every price towards the mean, which helps where prices are
    too sure; so the price with its best Platt scaling must be beaten as well.

    Raises
    ------
    LeakDetected
        When the verdict is ``better`` against both.
    """
    random = np.random.default_rng(spec.seed)
    known = np.concatenate([fold.train, fold.validation])
    outcome = samples.outcome.copy()
    outcome[known] = random.permutation(outcome[known])
    model, _ = fit(spec, replace(samples, outcome=outcome), fold.train, fold.validation, how)
    logits = predict(model, samples, fold.test)[:, 0, 0].astype(np.float64)
    p = 1.0 / (1.0 + np.exp(-np.clip(logits, -30, 30)))
    truth, events = samples.outcome[fold.test], samples.event[fold.test]
    price = samples.price[fold.test]
    scaled = apply(fit_platt(samples.price[known], samples.outcome[known]), price)
    skill = skill_against(p, price, truth, events, draws=500)
    beyond = skill_against(p, scaled, truth, events, draws=500)
    if skill.verdict == beyond.verdict == "better":
        raise LeakDetected(
            "a model trained on shuffled outcomes beats the reference",
            seen=f"Brier difference {skill.brier.value:+.4f}",
            mend="look for outcomes among the inputs, and for events on both sides of the split",
        )
    return GuardReport(
        "shuffled_labels", True, f"Brier difference {skill.brier.value:+.4f} ({skill.verdict})"
    )


def shuffled_targets(
    samples: WindowSamples,
    train: Rows,
    validation: Rows,
    test: Rows,
    spec: ModelSpec,
    how: FitSpec,
) -> GuardReport:
    """
    Train a series forecaster on targets of other windows: it must know nothing of its own.

    What needs no link from window to target stays allowed: the last value, the mean of the
    window, the mean of all targets. Only a model better than the best of these, with a
    Diebold-Mariano p-value below 0.01, is a leak.

    Raises
    ------
    LeakDetected
        When it is.
    """
    scrambled = _Scrambled.of(samples, train, spec.seed)
    model, _ = fit(spec, scrambled, train, validation, how)
    forecast = predict(model, samples, test)
    x, y = samples.take(test)
    middle = forecast[:, :, forecast.shape[2] // 2]
    size = samples.scale(test)
    weight = np.ones((len(y), 1)) if size is None else 1.0 / size[:, None].astype(np.float64)
    own = (((middle - y) * weight) ** 2).mean(axis=1)
    past = x[:, :, samples.target]
    everywhere = samples.take(train[:: max(1, train.size // 5000)])[1].mean()
    blind = {
        "last value": past[:, -1:],
        "window mean": past.mean(axis=1, keepdims=True),
        "mean of all targets": np.full_like(past[:, -1:], everywhere),
    }
    losses = {name: (((value - y) * weight) ** 2).mean(axis=1) for name, value in blind.items()}
    best = min(losses, key=lambda name: float(losses[name].mean()))
    compared = diebold_mariano(own, losses[best], lags=2 * spec.horizon)
    detail = f"MSE {own.mean():.4f}, {best} {losses[best].mean():.4f}"
    if compared.difference < 0.0 and compared.p_value < 0.01:
        raise LeakDetected(
            "a model trained on shuffled targets beats every blind forecast",
            seen=detail,
            mend="look for targets among the inputs",
        )
    return GuardReport("shuffled_labels", True, detail)


@dataclass(frozen=True)
class _Scrambled(Samples):
    """Windows of the rows asked for, with the targets of other rows of the same series."""

    inner: Samples
    partner: Rows

    @classmethod
    def of(cls, samples: Samples, train: Rows, seed: int) -> _Scrambled:
        random, partner = np.random.default_rng(seed), np.arange(len(samples))
        for event in np.unique(samples.event[train]):
            own = train[samples.event[train] == event]
            partner[own] = random.permutation(own)
        return cls(samples.decided_ns, samples.label_end_ns, samples.event, samples, partner)

    def take(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        x, _ = self.inner.take(rows)
        _, y = self.inner.take(self.partner[rows])
        return x, y

    def scale(self, rows: Rows) -> np.ndarray | None:
        return self.inner.scale(rows)
