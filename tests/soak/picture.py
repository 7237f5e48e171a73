"""Samples of a soak run as one SVG: a strip per figure, time from left to right."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

WIDTH, STRIP, LEFT, TOP = 900, 110, 90, 24
STRIPS = (
    ("rss_mb", "resident memory, MiB"),
    ("tasks", "tasks"),
    ("threads", "threads"),
    ("files", "open files"),
    ("feed_age_s", "feed age, s"),
    ("delay_ms", "venue to node p99, ms"),
    ("loop_lag_s", "loop lag, s"),
    ("orders", "orders"),
)


def picture(samples: list[dict[str, Any]]) -> str:
    """Return the SVG; values that are missing leave a gap in the line."""
    height = TOP + STRIP * len(STRIPS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="11"><rect width="{WIDTH}" height="{height}" fill="white"/>'
    ]
    end = max((float(s["uptime_s"]) for s in samples), default=1.0) or 1.0
    for index, (name, title) in enumerate(STRIPS):
        points = [
            (float(s["uptime_s"]), float(s[name]))
            for s in samples
            if isinstance(s.get(name), int | float)
        ]
        parts.append(_strip(points, TOP + STRIP * index, title, end))
    parts.append(f'<text x="{WIDTH - 80}" y="14">{end / 60:.1f} min</text></svg>\n')
    return "\n".join(parts)


def _strip(points: list[tuple[float, float]], y: int, title: str, end: float) -> str:
    low = min((v for _, v in points), default=0.0)
    high = max((v for _, v in points), default=1.0)
    scale = (high - low) or 1.0
    path = " ".join(
        f"{LEFT + (WIDTH - LEFT - 10) * t / end:.1f},{y + 90 - 80 * (v - low) / scale:.1f}"
        for t, v in points
    )
    return (
        f'<text x="4" y="{y + 4}">{escape(title)}</text>'
        f'<text x="4" y="{y + 20}" fill="#666">{high:,.3g}</text>'
        f'<text x="4" y="{y + 90}" fill="#666">{low:,.3g}</text>'
        f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y + 92}" y2="{y + 92}" stroke="#ddd"/>'
        f'<polyline points="{path}" fill="none" stroke="#1864ab" stroke-width="1.2"/>'
    )
