"""`make bench`: run every ``bench_*.py``, print a table of ratios, write bench.json."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def machine() -> dict[str, object]:
    """Describe the machine the figures come from."""
    return {
        "cpus": os.cpu_count(),
        "arch": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "load_1m": round(os.getloadavg()[0], 2),
    }


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
            rows.append(row)
            print(line(row), flush=True)
    previous: dict[str, object] = {}
    if only and Path(args.out).exists():
        old = json.loads(Path(args.out).read_text())
        fresh = {r["id"] for r in rows}
        rows = [r for r in old.get("rows", []) if r["id"] not in fresh] + rows
    Path(args.out).write_text(
        json.dumps({"machine": machine(), "rows": rows, **previous}, indent=1) + "\n"
    )
    print(f"wrote {args.out}", file=sys.stderr)
    return 0


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
