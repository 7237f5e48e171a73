"""The short paper soak: a node on a replayed recording at 20x and more; `make soak-paper` is the hour."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from core.domain.errors import BetaError
from core.engine.catalog import find_catalog

COMMAND = "make bench ONLY=soak"


def rows(quick: bool = False) -> list[dict[str, Any]]:
    """Run a minute (quick) or two and return what grew, lagged or stopped."""
    from tests.soak.paper import Plan, run

    data = "kalshi_btc15m_l2"
    try:
        find_catalog(data)
    except BetaError:
        return [{"id": "soak.paper", "value": f"no catalog {data}: beta data ingest {data} --from ../shared/data/{data}",
                 "unit": "", "bar": None, "better": "lower", "command": COMMAND}]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        body = run(Plan(data=data, minutes=1.0 if quick else 2.0, out=Path(folder), speed=21.0))
    figures, delay = body["figures"], body.get("venue_to_node_ms", {})

    def row(name: str, value: float, unit: str, bar: float | None, better: str = "lower") -> dict[str, Any]:  # fmt: skip
        return {
            "id": f"soak.{name}",
            "value": value,
            "unit": unit,
            "bar": bar,
            "better": better,
            "command": COMMAND,
        }

    return [
        row("node_rss_max", figures["rss_max_mb"], "MiB", 300),
        row("node_rss_growth", figures["rss_growth_mb"], "MiB", 20),
        row("tasks_growth", figures["tasks_growth"], "tasks", 3),
        row("feed_age_max", figures["feed_age_max_s"], "s", 10),
        row("speed", figures["effective_speed"], "x", 20, "higher"),
        row("orders", figures["orders"], "orders", 1, "higher"),
        row("venue_to_node_p99", delay.get("p99", -1), "ms", None),
    ]
