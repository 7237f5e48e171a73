"""The comparison tables of docs/forecasting-tables.md, filled from the metrics of finished runs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.domain.errors import MissingData
from signals.training.report import cell, markdown
from signals.training.summary import SUMMARISED, summary

Row = dict[str, Any]

# Published scores, from the sources named in docs/forecasting-tables.md.
ETTH1_MULTIVARIATE_96 = [
    ("NLinear, input 336 (Zeng et al. 2023)", 0.374, 0.394),
    ("DLinear, input 336 (same)", 0.375, 0.399),
    ("PatchTST/64, input 512 (Nie et al. 2023)", 0.370, 0.400),
    ("N-HiTS (neuralforecast experiments)", 0.378, 0.393),
    ("TiDE (same)", 0.375, 0.398),
]
ETTH1_OT_24 = [
    ("Informer (Zhou et al. 2021)", 0.098, 0.247),
    ("DeepAR (in the Informer paper)", 0.107, 0.280),
    ("LSTMa (same)", 0.114, 0.272),
    ("ARIMA (same)", 0.108, 0.284),
]
type Published = list[tuple[str, float | None, float | None, float | None, float | None]]
M4_HOURLY: Published = [
    ("Naive2 (M4)", 18.383, 2.395, 1.000, None),
    ("seasonal naive (M4)", 13.912, 1.193, 0.627, None),
    ("Theta (M4)", 18.138, 2.455, 1.006, None),
    ("MLP benchmark (M4)", 13.842, 2.607, 0.921, None),
    ("RNN benchmark (M4)", 14.698, 3.048, 1.036, None),
    ("ES-RNN, winner (M4)", 9.328, 0.893, 0.440, 7.93),
    ("FFORMA, second (M4)", 11.506, 0.819, 0.484, 18.5),
    ("ETS intervals (M4)", None, None, None, 17.5),
    ("ARIMA intervals (M4)", None, None, None, 7.5),
]


def write_table(runs: Path, page: Path) -> str:
    """
    Replace the text between the table marks of the page by tables of the finished runs.

    Returns
    -------
    str
        One line that says which tables were written and which runs are missing.
    """
    if not page.is_file():
        raise MissingData(
            "the page of the tables is not here",
            seen=page,
            mend="run beta train --table in the root of the repository",
        )
    text = page.read_text()
    written, missing = [], []
    for name, render in TABLES.items():
        path = runs / name / "metrics.json"
        if not path.exists():
            missing.append(name)
            continue
        text = _replaced(text, name, render(json.loads(path.read_text())), page)
        written.append(name)
    if not set(SUMMARISED) & set(missing):
        runs_by_name = {n: json.loads((runs / n / "metrics.json").read_text()) for n in SUMMARISED}
        text = _replaced(text, "summary", summary(runs_by_name), page)
    page.write_text(text)
    rest = f"; no run yet of {', '.join(missing)}" if missing else ""
    return f"{page}: {', '.join(written) or 'nothing'} written{rest}"


def _replaced(text: str, name: str, block: str, page: Path) -> str:
    """Return the page with the text between the marks of one table replaced."""
    mark = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not mark.search(text):
        raise MissingData(
            "the page lacks the mark of a table",
            seen=f"<!-- table: {name} --> in {page}",
            mend="put the mark and <!-- end --> where the table belongs",
        )
    return mark.sub(lambda m: m.group(1) + block + m.group(2), text)


def _footer(metrics: Row) -> str:
    guards = "; ".join(f"{g['name']}: {g['detail']}" for g in metrics["guards"])
    trained = sum(t["seconds"] for t in metrics["training"].values())
    return (
        f"\n`{metrics['command']}`: {trained:.0f} s of training, peak {metrics['peak_mb']:.0f} MB, "
        f"{metrics['environment']['threads']} threads, torch {metrics['environment']['torch']}. "
        f"Guards: {guards}.\n"
    )


def _ett(published: list[tuple[str, float, float]]) -> Callable[[Row], str]:
    def render(metrics: Row) -> str:
        head = (
            "forecaster",
            "parameters",
            "MSE",
            "MAE",
            "CRPS",
            "80 % coverage",
            "conformal",
            "DM p vs naive",
            "train s",
            "samples/s",
        )
        rows: list[list[Any]] = [
            [
                r["forecaster"],
                r["parameters"] or "",
                cell(r["mse"]),
                cell(r["mae"]),
                cell(r["crps"]),
                cell(r["coverage"], 3),
                cell(r["coverage_conformal"], 3),
                cell(r["dm_p_value"]),
                f"{r['train_s']:.0f}" if r["train_s"] else "",
                f"{r['samples_per_s']:,.0f}" if r["samples_per_s"] else "",
            ]
            for r in metrics["rows"]
        ]
        rows += [[f"*{n}*", "", f"{mse:.3f}", f"{mae:.3f}", *[""] * 6] for n, mse, mae in published]
        return markdown(head, rows) + _footer(metrics)

    return render


def _m4(published: Published) -> Callable[[Row], str]:
    def render(metrics: Row) -> str:
        return _m4_rows(metrics, published)

    return render


def _m4_rows(metrics: Row, published: Published) -> str:
    head = (
        "forecaster",
        "parameters",
        "sMAPE",
        "MASE",
        "OWA",
        "MSIS",
        "95 % coverage",
        "train s",
        "samples/s",
    )
    rows: list[list[Any]] = [
        [
            r["forecaster"],
            r["parameters"] or "",
            cell(r["smape"], 3),
            cell(r["mase"], 3),
            cell(r["owa"], 3),
            cell(r["msis"], 2),
            cell(r["coverage"], 3),
            f"{r['train_s']:.0f}" if r["train_s"] else "",
            f"{r['samples_per_s']:,.0f}" if r["samples_per_s"] else "",
        ]
        for r in metrics["rows"]
    ]
    for name, smape, mase, owa, msis in published:
        rows.append(
            [
                f"*{name}*",
                "",
                *(cell(v, d) for v, d in ((smape, 3), (mase, 3), (owa, 3), (msis, 2))),
                *[""] * 3,
            ]
        )
    return markdown(head, rows) + _footer(metrics)


def _probability(metrics: Row) -> str:
    head = (
        "forecaster",
        "at",
        "rows",
        "events",
        "Brier",
        "log loss",
        "ECE [95 %]",
        "Brier less market [95 %]",
        "log loss less market [95 %]",
        "verdict",
    )
    rows = []
    horizons = list(dict.fromkeys(r["horizon"] for r in metrics["rows"]))
    for horizon in horizons:
        for r in metrics["rows"]:
            full = horizon == "all"
            if r["horizon"] != horizon or not (full or _brief(r["forecaster"])):
                continue
            ece = r["ece"]
            rows.append(
                [
                    f"**{r['forecaster']}**" if r["forecaster"] == "market" else r["forecaster"],
                    horizon,
                    r["rows"],
                    r["events"],
                    cell(r["brier"]),
                    cell(r["log_loss"]),
                    f"{ece['value']:.3f} [{ece['low']:.3f}, {ece['high']:.3f}]",
                    cell(r["brier_gain"]),
                    cell(r["log_loss_gain"]),
                    r["verdict"],
                ]
            )
    return markdown(head, rows) + _footer(metrics)


def _brief(name: str) -> bool:
    """Forecasters that get a row at every horizon; the others only over all rows."""
    return name in {"market", "linear", "ensemble", "ensemble calibrated"}


TABLES: dict[str, Callable[[Row], str]] = {
    "etth1_multivariate_96": _ett(ETTH1_MULTIVARIATE_96),
    "etth1_families_96": _ett([]),
    "etth1_ot_24": _ett(ETTH1_OT_24),
    "m4_hourly": _m4(M4_HOURLY),
    "m4_hourly_small": _m4([]),
    "m4_hourly_families": _m4([]),
    "kalshi_btc15m": _probability,
    "polymarket_bbo": _probability,
    "polymarket_daily": _probability,
    "crypto_direction": _probability,
}
