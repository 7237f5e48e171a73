"""Forecast actor latency, feature throughput, training throughput and memory."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

HOUR_NS = 3_600_000_000_000
SECOND_NS = 1_000_000_000
FAMILIES: dict[str, dict[str, Any]] = {
    "linear": {},
    "mlp": {"hidden": 128},
    "lstm": {"hidden": 64, "layers": 1},
    "tcn": {"hidden": 32, "layers": 6},
    "nbeats": {"hidden": 128, "layers": 4},
    "deepar": {"hidden": 64},
    "tft": {"hidden": 16},
}


def _row(
    name: str, value: float, unit: str, bar: float | None, better: str, against: str = ""
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": f"signals.{name}",
        "value": round(value, 4),
        "unit": unit,
        "bar": bar,
        "better": better,
        "command": "make bench ONLY=signals",
    }
    return row | ({"against": against} if against else {})


def rows(quick: bool = False) -> list[dict[str, Any]]:
    """Measure; `quick` takes fewer calls and families."""
    import torch

    torch.set_num_threads(2)
    return [
        *_actor(200 if quick else 2000),
        *_features(2000 if quick else 20_000),
        *_training(quick),
    ]


def _actor(calls: int) -> list[dict[str, Any]]:
    """Time one forecast from quote to calibrated probability, for an LSTM(64) over 60 rows."""
    import torch

    from signals.bundle import (
        Calibration,
        SigningKey,
        TrustStore,
        load_predictor,
        sign_bundle,
        write_bundle,
    )
    from signals.bundle.write import Draft
    from signals.models import ModelSpec
    from signals.models.build import build, export
    from signals.probability.calibration import Platt
    from signals.serving import Quote, QuoteForecaster
    from signals.training.sources.markets import QUOTE_FEATURES

    spec = ModelSpec(
        family="lstm",
        lookback=60,
        channels=4,
        head="probability",
        market=0,
        hidden=64,
        layers=1,
        normalization="fixed",
    )
    model = build(spec).eval()
    golden = np.random.default_rng(0).normal(0, 1, (16, 60, 4)).astype(np.float32)
    with torch.no_grad():
        reference = model(torch.from_numpy(golden)).numpy()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_bundle(
            Draft(
                name="bench",
                version="1",
                plan=export(model),
                model=spec,
                features=QUOTE_FEATURES,
                feature_names=QUOTE_FEATURES.names,
                golden_inputs={"x": golden},
                reference={"y": reference},
                created_ns=1,
                expires_ns=4 * 10**18,
                calibration=Calibration(
                    calibrator=Platt(slope=0.9, intercept=0.1), log_odds_band=0.2
                ),
            ),
            root / "bundle",
        )
        key = SigningKey.generate(root / "key.pem")
        sign_bundle(root / "bundle", key)
        trust = TrustStore(root / "trust")
        trust.add(key.public)
        predictor = load_predictor(root / "bundle", trust, 2)
    forecaster = QuoteForecaster(predictor, QUOTE_FEATURES, 60, "BENCH-YES.KALSHI", 10**15 * 4)
    random = np.random.default_rng(1)
    times, made = [], 0
    for i in range(calls + 80):
        quote = Quote(float(random.uniform(0.3, 0.5)), 10.0, 0.55, 12.0)
        begin = time.perf_counter_ns()
        try:
            forecast = forecaster.observe((i * 10 + 1) * SECOND_NS, quote)
        except Exception:
            continue
        if forecast is not None:
            made += 1
            times.append(time.perf_counter_ns() - begin)
    ordered = np.sort(np.array(times)) / 1e6
    window = torch.from_numpy(golden[:1])
    with torch.inference_mode():
        eager = []
        for _ in range(calls // 4):
            begin = time.perf_counter_ns()
            model(window)
            eager.append(time.perf_counter_ns() - begin)
    against = f"torch eager, model alone: p50 {np.median(eager) / 1e6:.3f} ms"
    return [
        _row("actor_ms", float(ordered[int(0.99 * len(ordered))]), "ms p99", 2.0, "lower", against),
        _row("actor_p50_ms", float(np.median(ordered)), "ms", 2.0, "lower", against),
    ]


def _features(bars: int) -> list[dict[str, Any]]:
    """Rows per second of the 15-feature bar set, in batch and streaming."""
    from signals.errors import ShortHistory
    from signals.features import FeatureStream, compute
    from signals.training.sources.crypto import BAR_FEATURES

    random = np.random.default_rng(2)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.01, bars)))
    frame = pl.DataFrame(
        {
            "ts_ns": np.arange(1, bars + 1) * HOUR_NS,
            "open": close,
            "high": close * 1.01,
            "low": close * 0.99,
            "close": close,
            "volume": random.uniform(1, 2, bars),
        }
    )
    begin = time.perf_counter()
    compute(frame, BAR_FEATURES)
    batch = bars / (time.perf_counter() - begin)
    stream, some = FeatureStream(BAR_FEATURES, 24), frame.head(min(bars, 3000)).to_dicts()
    begin = time.perf_counter()
    for row in some:
        stream.push(row["ts_ns"], row)
        try:
            stream.window(row["ts_ns"], 0)
        except ShortHistory:
            continue
    per_row = (time.perf_counter() - begin) / len(some) * 1e6
    return [
        _row("features_batch_rows_per_s", batch, "rows/s, 15 features", None, "higher"),
        _row(
            "features_stream_us",
            per_row,
            "us a row, 15 features",
            500.0,
            "lower",
            f"batch {1e6 / batch:.1f} us",
        ),
    ]


def _training(quick: bool) -> list[dict[str, Any]]:
    """Samples per second and peak memory of each family, each in a process of its own."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    chosen = [f for f in FAMILIES if not quick or f in ("linear", "lstm")]
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        measured = pool.map(train_family, chosen, [4 if quick else 12] * len(chosen))
        found = dict(zip(chosen, measured, strict=True))
    out = []
    for family, (speed, memory, empty) in found.items():
        name, alone = f"train_{family}", f"torch and data alone: {empty:.0f} MB"
        out.append(_row(f"{name}_samples_per_s", speed, "samples/s", None, "higher"))
        out.append(_row(f"{name}_peak_mb", memory, "MB resident", 4000.0, "lower", alone))
    return out


def train_family(family: str, steps: int) -> tuple[float, float, float]:
    """Forward and backward of batches of 128, 96 rows to 24 steps, nine quantiles, 2 threads.

    Returns
    -------
    tuple[float, float, float]
        Samples per second; peak resident MB of this process; the same before the training.
    """
    import torch

    from signals.models import ModelSpec
    from signals.training.fit import fit, peak_memory_mb
    from signals.training.fit_spec import FitSpec
    from signals.training.samples import windows

    torch.set_num_threads(2)
    wave = np.cumsum(np.random.default_rng(3).normal(0, 1, (4000, 1)), axis=0).astype(np.float32)
    samples = windows([wave], [np.arange(4000)], 96, 24)
    spec = ModelSpec(family=family, lookback=96, horizon=24, **FAMILIES[family])
    nothing, before = np.array([], dtype=int), peak_memory_mb()
    fit(spec, samples, np.arange(3000), nothing, FitSpec(epochs=1, batch=128, steps=2))
    _, report = fit(
        spec, samples, np.arange(3000), nothing, FitSpec(epochs=1, batch=128, steps=steps)
    )
    return report.samples_per_s, peak_memory_mb(), before
