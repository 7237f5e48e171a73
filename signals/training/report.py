"""What a training run leaves behind: metrics.json, and one HTML page with tables and loss curves."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

SCHEMA_VERSION = 1
COLOURS = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2", "#be185d", "#4b5563")


def plain(value: Any) -> Any:
    """Turn dataclasses and numpy values into JSON values; a non-finite number becomes null."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def write_metrics(path: Path, metrics: dict[str, Any]) -> None:
    """Write the metrics with their schema version, atomically."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"schema_version": SCHEMA_VERSION, **plain(metrics)}, indent=1))
    partial.replace(path)


def cell(value: Any, digits: int = 4) -> str:
    """Format one table value as a reader wants it."""
    value = plain(value)
    if isinstance(value, dict) and {"value", "low", "high"} <= set(value):
        return f"{value['value']:+.{digits}f} [{value['low']:+.{digits}f}, {value['high']:+.{digits}f}]"
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


def html_table(rows: Sequence[Any]) -> str:
    """Render dataclass rows as a table."""
    plain_rows = [plain(r) for r in rows]
    if not plain_rows:
        return "<p>no rows</p>"
    head = "".join(f"<th>{html.escape(k.replace('_', ' '))}</th>" for k in plain_rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell(v))}</td>" for v in row.values()) + "</tr>"
        for row in plain_rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def loss_plot(curves: dict[str, list[float]], width: int = 720, height: int = 260) -> str:
    """Draw loss curves over epochs as one SVG; each curve is scaled to its own first value."""
    lines, labels = [], []
    longest = max((len(c) for c in curves.values()), default=0)
    if longest < 1:
        return "<p>no epochs</p>"
    finite = {n: [v for v in c if math.isfinite(v)] for n, c in curves.items()}
    spans = {n: (min(c), max(c)) for n, c in finite.items() if c}
    for i, (name, curve) in enumerate(finite.items()):
        if name not in spans:
            continue
        low, high = spans[name]
        points = " ".join(
            f"{40 + (width - 60) * k / max(longest - 1, 1):.1f},"
            f"{20 + (height - 50) * (1 - (v - low) / ((high - low) or 1)):.1f}"
            for k, v in enumerate(curve)
        )
        colour = COLOURS[i % len(COLOURS)]
        lines.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        )
        labels.append(
            f'<span style="color:{colour}">{html.escape(name)} '
            f"({curve[0]:.4g} to {min(curve):.4g})</span>"
        )
    axis = f'<line x1="40" y1="{height - 30}" x2="{width - 20}" y2="{height - 30}" stroke="#999"/>'
    ticks = f'<text x="40" y="{height - 12}">epoch 1</text><text x="{width - 70}" y="{height - 12}">{longest}</text>'
    return (
        f'<svg viewBox="0 0 {width} {height}" width="100%" role="img" aria-label="validation loss">'
        f"{axis}{ticks}{''.join(lines)}</svg><p>{' · '.join(labels)}</p>"
    )


def write_html(
    path: Path, title: str, sections: Sequence[tuple[str, str]], context: dict[str, Any]
) -> None:
    """Write a self-contained page: no script, no font, no link to another host."""
    body = "".join(f"<h2>{html.escape(h)}</h2>{content}" for h, content in sections)
    facts = "".join(
        f"<dt>{html.escape(str(k))}</dt><dd>{html.escape(cell(v))}</dd>" for k, v in context.items()
    )
    path.write_text(
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        f"<title>{html.escape(title)}</title><style>"
        "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem}"
        "table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:13px}"
        "td,th{border-bottom:1px solid #ddd;padding:.25rem .6rem;text-align:right}"
        "td:first-child,th:first-child{text-align:left}dl{display:grid;grid-template-columns:"
        "max-content 1fr;gap:.2rem 1rem}dd{margin:0}svg text{font-size:11px}"
        ".wide{overflow-x:auto}</style>"
        f"<h1>{html.escape(title)}</h1><dl>{facts}</dl><div class='wide'>{body}</div></html>"
    )


def markdown(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(v) for v in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
