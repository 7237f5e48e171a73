"""`make bench`: run every ``bench_*.py``, print a table of ratios, write bench.json."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from sysconfig import get_config_var

HERE = Path(__file__).resolve().parent


def machine() -> dict[str, object]:
    """Describe the machine the figures come from."""
    return {
        "cpu": cpu_model(),
        "cpus": os.cpu_count(),
        "memory_gb": memory_gb(),
        "arch": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        # an interpreter built without profile-guided optimisation is slower at all interpreted code
        "python_optimised": "--enable-optimizations" in (get_config_var("CONFIG_ARGS") or ""),
        "load_1m": round(os.getloadavg()[0], 2),
    }


def cpu_model() -> str:
    """Return the processor's name as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for text in info.read_text().splitlines():
            if text.startswith("model name"):
                return text.partition(":")[2].strip()
    return platform.processor()


def memory_gb() -> float:
    """Return the machine's memory in GB."""
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)


def main() -> int:
    """Run the chosen areas; a bar that is missed is printed as such and does not stop the run."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument(
        "--only", default="", help="comma list of areas, for example ledger,backtest"
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", default="bench.json")
    args = parser.parse_args()
    only = [a for a in args.only.split(",") if a]
    rows: list[dict[str, object]] = []
    for path in sorted(HERE.glob("bench_*.py")):
        area = path.stem.removeprefix("bench_")
        if only and not any(area.startswith(o) for o in only):
            continue
        print(f"-- {area}", file=sys.stderr, flush=True)
        module = importlib.import_module(f"tests.benchmarks.{path.stem}")
        for row in module.rows(quick=args.quick):
            row["at"] = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
            row["load_1m"] = round(os.getloadavg()[0], 2)
            row["quick"] = args.quick
            rows.append(row)
            print(line(row), flush=True)
    rows = kept(Path(args.out), only, rows) + rows
    Path(args.out).write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")
    print(f"wrote {args.out}", file=sys.stderr)
    return 0


def kept(path: Path, only: list[str], fresh: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return the rows of an earlier run of other areas; none from another machine or interpreter."""
    if not only or not path.exists():
        return []
    old, here = json.loads(path.read_text()), machine()
    there = old.get("machine", {})
    if any(there.get(name) != here[name] for name in ("cpu", "cpus", "python")):
        return []
    ids = {row["id"] for row in fresh}
    return [row for row in old.get("rows", []) if row["id"] not in ids]


def line(row: dict[str, object]) -> str:
    """Return one row as a line of the table."""
    bar, value = row.get("bar"), row["value"]
    verdict = ""
    if bar is not None and isinstance(value, int | float) and isinstance(bar, int | float):
        good = value >= bar if row.get("better") == "higher" else value <= bar
        verdict = "ok" if good else "MISSED"
    against = f"  against {row['against']}" if row.get("against") else ""
    shown = f"{value:,.4g}" if isinstance(value, float) else f"{value}"
    return f"{row['id']!s:44} {shown:>14} {row.get('unit', '')!s:10} bar {bar!s:>10} {verdict:7}{against}"


if __name__ == "__main__":
    raise SystemExit(main())
