"""The fault matrix as figures: runs, and what was lost, doubled or counted wrongly in them."""

from __future__ import annotations

import os
from typing import Any


def rows(quick: bool = False) -> list[dict[str, Any]]:
    """Run the matrix and return its rows."""
    from adapters.fake.matrix.cases import CASES
    from adapters.fake.matrix.run import plan_runs, run_matrix

    jobs = min(4, os.cpu_count() or 1)
    report = run_matrix(plan_runs(list(CASES), 200 if quick else 2_000, 1), jobs)
    command = "make bench ONLY=faults"
    broken = report.by_invariant

    def row(name: str, value: float, unit: str, bar: float, better: str) -> dict[str, Any]:
        return {
            "id": f"faults.{name}",
            "value": value,
            "unit": unit,
            "bar": bar,
            "better": better,
            "command": command,
        }

    return [
        row("runs", report.runs, "runs", 200 if quick else 2_000, "higher"),
        row("seconds", round(report.seconds, 1), "s", 360, "lower"),
        row("orders_lost", broken.get("I1", 0) + broken.get("RUN", 0), "differences", 0, "lower"),
        row("duplicates", broken.get("I2", 0), "differences", 0, "lower"),
        row(
            "position_errors", broken.get("I3", 0) + broken.get("I5", 0), "differences", 0, "lower"
        ),
    ]
