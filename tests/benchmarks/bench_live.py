"""A live node on loopback: news to ``on_quote``, ``buy`` to bytes at the venue, memory; a bare aiohttp client beside it.

Order latency runs from the strategy's call to the whole request body at the server: gate, engine, ledger row on
disk, signature, HTTP. "nofsync" is the same with the node's folder in memory (/dev/shm), where fsync costs nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

COMMAND = "make bench ONLY=live"
MEMORY = Path("/dev/shm")
VENUES = ("KALSHI", "POLYMARKET")


def rows(quick: bool = False) -> list[dict[str, Any]]:
    """Measure both venues, each with and without fsync."""
    n = 150 if quick else 500  # p99 of fewer is one order or two
    out: list[dict[str, Any]] = []
    memory: list[float] = []
    for code in VENUES:
        disk = run(code, n, None)
        ram = run(code, n, MEMORY) if MEMORY.is_dir() else None
        memory += [r["rss_mb"] for r in (disk, ram) if r is not None]
        name = f"live.{code.lower()}"
        quote = disk["ws_bare"]
        beside = f"bare client p50 {quote['p50'] / 1000:.2f} p99 {quote['p99'] / 1000:.2f} ms"
        out += both(f"{name}.submit_to_wire", disk["post_node"], 25.0, beside_bare(disk))
        if ram is not None:
            out += both(f"{name}.submit_to_wire_nofsync", ram["post_node"], 5.0, beside_bare(ram))
        out += both(f"{name}.ws_to_quote", disk["ws_node"], None, beside)
    out.append(row("live.rss_mb", max(memory), "MiB", 300.0, ""))
    return out


def beside_bare(run: dict[str, Any]) -> str:
    """Say what a bare client took in the same run, and how the node's orders spread."""
    bare, node = run["post_bare"], run["post_node"]
    return (
        f"bare POST p50 {bare['p50'] / 1000:.2f} p99 {bare['p99'] / 1000:.2f} ms; "
        f"p90 {node['p90'] / 1000:.2f} max {node['max'] / 1000:.2f} of {node['n']}"
    )


def both(name: str, value: dict[str, float], bar: float | None, against: str) -> list[dict[str, Any]]:  # fmt: skip
    """Return p50 (no bar) and p99 as rows in milliseconds."""
    return [
        row(f"{name}_p50_ms", value["p50"] / 1000, "ms", None, against),
        row(f"{name}_p99_ms", value["p99"] / 1000, "ms", bar, against),
    ]


def row(name: str, value: float, unit: str, bar: float | None, against: str) -> dict[str, Any]:
    """Return one row."""
    body = {
        "id": name,
        "value": round(value, 3),
        "unit": unit,
        "bar": bar,
        "better": "lower",
        "command": COMMAND,
    }
    return body | ({"against": against} if against else {})


def run(code: str, n: int, root: Path | None) -> dict[str, Any]:
    """Measure one venue in a process of its own, the node's folder under `root`."""
    with tempfile.TemporaryDirectory(dir=root) as folder:
        done = subprocess.run(
            [sys.executable, "-m", "tests.live.latency", code, f"{folder}/node", str(n)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
