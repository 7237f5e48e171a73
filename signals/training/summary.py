"""One table over the public benchmarks: every family and baseline, published rows, the commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from signals.training.report import cell, markdown

type Row = dict[str, Any]
MULTI, FAMILIES = "etth1_multivariate_96", "etth1_families_96"
OT, M4, M4_FAMILIES = "etth1_ot_24", "m4_hourly", "m4_hourly_families"
SUMMARISED = (MULTI, FAMILIES, OT, M4, M4_FAMILIES)

# Row of the summary: where its forecaster stands in the runs, as (run, forecaster).
ROWS: list[tuple[str, tuple[str, str] | None, str, tuple[str, str] | None]] = [
    ("last value", (MULTI, "naive last value"), "naive last value", (M4, "last value")),
    ("seasonal naive", (MULTI, "seasonal naive"), "seasonal naive", (M4, "seasonal naive")),
    ("NLinear", (MULTI, "nlinear"), "nlinear", (M4, "linear 336")),
    ("NLinear (MSE)", None, "nlinear (MSE)", None),
    ("MLP", (FAMILIES, "mlp"), "mlp", (M4_FAMILIES, "mlp 168")),
    ("LSTM", (FAMILIES, "lstm"), "lstm", (M4_FAMILIES, "lstm 96")),
    ("TCN", (FAMILIES, "tcn"), "tcn", (M4_FAMILIES, "tcn 96")),
    ("N-BEATS", (FAMILIES, "nbeats"), "nbeats", (M4, "nbeats 168 balanced")),
    ("N-BEATS (MSE)", None, "nbeats (MSE)", None),
    ("DeepAR", (FAMILIES, "deepar"), "deepar", (M4_FAMILIES, "deepar 96")),
    ("TFT", (FAMILIES, "tft"), "tft", (M4_FAMILIES, "tft 96")),
    ("ensemble", (FAMILIES, "ensemble"), "ensemble", (M4, "ensemble (median)")),
]  # fmt: skip
PUBLISHED = [
    ("NLinear (Zeng et al. 2023)", "0.374", "0.394", "", "", "", "", "", ""),
    ("PatchTST/64 (Nie et al. 2023)", "0.370", "0.400", "", "", "", "", "", ""),
    ("N-HiTS", "0.378", "0.393", "", "", "", "", "", ""),
    ("DeepAR (Informer paper)", "", "", "0.107", "0.280", "", "", "", ""),
    ("seasonal naive (M4)", "", "", "", "", "13.912", "1.193", "0.627", ""),
    ("ES-RNN, winner of M4", "", "", "", "", "9.328", "0.893", "0.440", "7.93"),
    ("ETS intervals (M4)", "", "", "", "", "", "", "", "17.50"),
]
HEAD = (
    "forecaster",
    "ETTh1, 7 columns, 96 h: MSE",
    "MAE",
    "oil temperature, 24 h: MSE",
    "MAE",
    "M4 Hourly: sMAPE",
    "MASE",
    "OWA",
    "MSIS",
    "`beta train`",
)


def summary(runs: Mapping[str, Row]) -> str:
    """Return the table from the metrics of the runs in `SUMMARISED`."""
    rows = []
    for name, multi, ot, m4 in ROWS:
        found = [
            (_row(runs, *multi) if multi else {}, ("mse", "mae"), 4),
            (_row(runs, OT, ot), ("mse", "mae"), 4),
            (_row(runs, *m4) if m4 else {}, ("smape", "mase", "owa", "msis"), 3),
        ]
        cells = [cell(row.get(key), digits) for row, keys, digits in found for key in keys]
        commands = dict.fromkeys([*([multi[0]] if multi else []), OT, *([m4[0]] if m4 else [])])
        rows.append([name, *cells, ", ".join(f"`{c}`" for c in commands)])
    rows += [[f"*{name}*", *values, ""] for name, *values in PUBLISHED]
    return markdown(HEAD, rows)


def _row(runs: Mapping[str, Row], run: str, forecaster: str) -> Row:
    return next((r for r in runs[run]["rows"] if r["forecaster"] == forecaster), {})
