"""The fault matrix as figures: runs, and what was lost, doubled or counted wrongly in them."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

KNOWN = frozenset({"I1", "I2", "I3", "I5", "RUN"})


def _processes(repeats: int) -> tuple[list[tuple[float, float]], list[float]]:
    """Halt and kill whole nodes that send orders at full speed; return what each took, in seconds."""
    from tests.faults.halting import halt, kill

    halts, kills = [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(prefix="beta-halt-") as home:
            halts.append(asyncio.run(halt(Path(home))))
        with tempfile.TemporaryDirectory(prefix="beta-kill-") as home:
            kills.append(asyncio.run(kill(Path(home))))
    return halts, kills


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

    halts, kills = _processes(1 if quick else 3)
    return [
        row("halt_to_last_order_ms", round(1000 * max(h[0] for h in halts), 1), "ms", 250, "lower"),
        row("halt_to_clear_ms", round(1000 * max(h[1] for h in halts), 1), "ms", 1_000, "lower"),
        row("kill_to_safe_s", round(max(kills), 2), "s", 10, "lower"),
        row("cpu_ms_per_run", round(1000 * report.cpu_s / report.runs, 1), "ms", 720, "lower"),
        row("limit_breaches", broken.get("I5", 0), "differences", 0, "lower"),
        row(
            "others", sum(n for i, n in broken.items() if i not in KNOWN), "differences", 0, "lower"
        ),
        row("runs", report.runs, "runs", 200 if quick else 2_000, "higher"),
        row("seconds", round(report.seconds, 1), "s", 360, "lower"),
        row("orders_lost", broken.get("I1", 0) + broken.get("RUN", 0), "differences", 0, "lower"),
        row("duplicates", broken.get("I2", 0), "differences", 0, "lower"),
        row("position_errors", broken.get("I3", 0), "differences", 0, "lower"),
    ]
