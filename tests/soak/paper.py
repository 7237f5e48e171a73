"""A paper node on a replayed recording for an hour: does anything grow, lag or stop?

Starts ``beta paper`` with a strategy that trades all the time as a process of its own, reads what the node logs
about itself and what the fake venue says of its pace, and writes ``report.json`` and ``report.svg``.

    python -m tests.soak.paper --minutes 60 --out reports/soak_paper
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from adapters.fake.replay import load_tape, squeezed
from core.engine.catalog import find_catalog
from tests.soak.picture import picture

STRATEGY = Path(__file__).with_name("churn.py")
#: The first part of a run fills caches; growth is judged from here on.
WARM_UP_S = 300.0
BARS = {
    "rss_growth_mb": 20.0,
    "rss_max_mb": 300.0,
    "tasks_growth": 3,
    "feed_age_max_s": 10.0,
    "feed_delay_max_s": 10.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is run.

    Attributes
    ----------
    speed : float
        Recorded seconds per second.
    max_gap_s : float
        Longest quiet stretch kept, recorded seconds.
    """

    data: str
    minutes: float
    out: Path
    speed: float = 20.0
    max_gap_s: float = 60.0
    markets: int = 100
    every_s: float = 5.0

    @property
    def home(self) -> Path:
        """Folder of the node."""
        return self.out / "node"


@dataclass
class Delays:
    """Venue to node: time of the news at the venue against its arrival, from the node's own recording."""

    folder: Path
    seen: set[str] = field(default_factory=set)

    def fresh(self) -> list[float]:
        """Return the delays, in milliseconds, of all parts written since the last call."""
        out: list[float] = []
        for path in sorted(self.folder.glob("*.parts/*.parquet")):
            if path.name in self.seen:
                continue
            try:
                table = pq.read_table(path, columns=["kind", "ts_event", "ts_init", "seq"])
            except OSError:
                continue  # sealed a moment ago
            self.seen.add(path.name)
            rows = zip(*(table[n].to_pylist() for n in table.column_names), strict=True)
            # A snapshot has no time of the venue; its number is 0.
            out += [(i - e) / 1e6 for kind, e, i, seq in rows if kind == 0 and seq]
        return out


def run(plan: Plan) -> dict[str, Any]:
    """Run the node for `plan.minutes` and return the report, written to ``plan.out`` too."""
    shutil.rmtree(plan.home, ignore_errors=True)
    plan.home.mkdir(parents=True)
    catalog = find_catalog(plan.data)
    tape = squeezed(load_tape(catalog, None, plan.markets, "KALSHI"), int(plan.max_gap_s * 1e9))
    span_s = max((int(tape.ts_ns[-1]) - int(tape.ts_ns[0])) / 1e9, 1.0)
    passes = max(math.ceil(plan.minutes * 60 * plan.speed / span_s) + 1, 1)
    del tape
    (plan.home / "risk").mkdir(mode=0o700)
    # Losses of the churn are wanted: they must not pause it.
    beta("risk", "set", "--dir", str(plan.home / "risk"), "governors.consecutive_losses", "100",
         "governors.cooldown_min", "1")  # fmt: skip
    node = subprocess.Popen(
        [sys.executable, "-m", "console.cli", "paper", str(STRATEGY), "--venue", "fake-kalshi",
         "--data", str(catalog.root), "--home", str(plan.home), "--speed", str(plan.speed),
         "--max-gap", str(plan.max_gap_s), "--markets", str(plan.markets), "--repeat", str(passes),
         "--capital", "1000", "--spot", "off", "--for", str(plan.minutes * 60), "--status-every", str(plan.every_s), "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    samples: list[dict[str, Any]] = []
    delays, all_delays = Delays(plan.home / "recordings"), []
    while node.poll() is None:
        time.sleep(plan.every_s)
        fresh = delays.fresh()
        all_delays += fresh
        lines = status_lines(plan.home / "node.log.jsonl")
        told = venue_truth(plan.home)
        for line in lines[len(samples) :]:
            samples.append(line | {"venue": told, "delay_ms": fresh and quantile(fresh, 0.99)})
        write(plan, report(plan, samples, all_delays, None))
    ended = json.loads(node.stdout.read() or "{}") if node.stdout is not None else {}
    body = report(plan, samples, all_delays, ended | {"exit": node.returncode})
    write(plan, body)
    return body


def beta(*args: str) -> None:
    """Run a command of the product."""
    subprocess.run(
        [sys.executable, "-m", "console.cli", *args], check=True, stdout=subprocess.DEVNULL
    )


def status_lines(path: Path) -> list[dict[str, Any]]:
    """Return the status lines of a node's log so far."""
    if not path.is_file():
        return []
    names = ("uptime_s", "feed_age_s", "link_up", "equity", "fills", "orders", "refused", "unknown", "halted",
             "ledger_seq", "recorded_rows", "recording_lost", "rss_mb", "tasks", "threads", "files", "loop_lag_s", "feed_delay_s", "feed_lag_s", "reader_waits", "unseen", "gaps")  # fmt: skip
    out = []
    for text in path.read_text().splitlines():
        if '"event": "status"' in text:
            row = json.loads(text)
            out.append({n: row.get(n) for n in names})
    return out


def venue_truth(home: Path) -> dict[str, Any]:
    """Return how far and how punctual the fake venue is."""
    try:
        url = json.loads((home / "fake_venue.json").read_text())["told"]["truth_url"]
        with urllib.request.urlopen(url, timeout=5) as answer:
            told = json.load(answer)
    except (OSError, ValueError, urllib.error.URLError):
        return {}
    names = ("played", "of", "behind_s", "replayed_s", "finished", "orders", "holds", "held_s", "waiting")  # fmt: skip
    return {k: told[k] for k in names}


def quantile(values: list[float], q: float) -> float:
    """Return the nearest-rank quantile."""
    ordered = sorted(values)
    return ordered[min(int(q * len(ordered)), len(ordered) - 1)]


def report(
    plan: Plan, samples: list[dict[str, Any]], delays: list[float], ended: dict[str, Any] | None
) -> dict[str, Any]:
    """Return the figures of a run so far, with every sample."""
    body: dict[str, Any] = {
        "schema_version": 1,
        "data": plan.data,
        "speed": plan.speed,
        "minutes": plan.minutes,
        "ended": ended,
    }
    if len(samples) > 2:
        body["figures"] = figures = figures_of(samples)
        body["bars"] = {
            n: {"value": figures[n], "bar": bar, "held": figures[n] <= bar}
            for n, bar in BARS.items()
        }
    if delays:
        shown = {"p50": quantile(delays, 0.5), "p99": quantile(delays, 0.99), "max": max(delays)}
        body["venue_to_node_ms"] = {k: round(v, 3) for k, v in shown.items()} | {
            "rows": len(delays)
        }
    return body | {"samples": samples}


def figures_of(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Return growth and extremes; growth is last tenth against first tenth after the warm-up, medians."""
    last_s = float(samples[-1]["uptime_s"])
    warm = min(WARM_UP_S, last_s / 4)
    steady = [s for s in samples if s["uptime_s"] >= warm]
    tenth = max(len(steady) // 10, 1)

    def ends(name: str) -> tuple[float, float]:
        first, final = steady[:tenth], steady[-tenth:]
        return statistics.median(s[name] for s in first), statistics.median(s[name] for s in final)

    ages = [s["feed_age_s"] for s in steady if s["feed_age_s"] is not None]
    minutes = [s["uptime_s"] / 60 for s in steady]
    rss = [s["rss_mb"] for s in steady]
    slope = statistics.linear_regression(minutes, rss).slope * 60 if len(steady) > 1 else 0.0
    venue = [s["venue"] for s in samples if s["venue"]]
    replayed = venue[-1]["replayed_s"] if venue else 0.0
    return {
        "warm_up_s": round(warm, 1),
        "wall_s": round(last_s, 1),
        "rss_start_mb": ends("rss_mb")[0],
        "rss_end_mb": ends("rss_mb")[1],
        "rss_growth_mb": round(ends("rss_mb")[1] - ends("rss_mb")[0], 2),
        "rss_slope_mb_per_h": round(slope, 2),
        "rss_max_mb": max(s["rss_mb"] for s in samples),
        "tasks_growth": ends("tasks")[1] - ends("tasks")[0],
        "tasks_max": max(s["tasks"] for s in samples),
        "threads_growth": ends("threads")[1] - ends("threads")[0],
        "files_growth": ends("files")[1] - ends("files")[0],
        "feed_age_max_s": round(max(ages, default=math.inf), 3),
        "loop_lag_max_s": max(s["loop_lag_s"] for s in steady),
        "orders": samples[-1]["orders"],
        "fills": samples[-1]["fills"],
        "unknown": samples[-1]["unknown"],
        "halted": samples[-1]["halted"],
        "recorded_rows": samples[-1]["recorded_rows"],
        "recording_lost": samples[-1]["recording_lost"],
        "replayed_h": round(replayed / 3600, 2),
        "effective_speed": round(replayed / last_s, 2) if last_s else 0.0,
        "venue_behind_max_s": round(max((v["behind_s"] for v in venue), default=0.0), 3),
        "venue_held_s": round(venue[-1]["held_s"], 3) if venue else 0.0,
        "venue_waiting_max": max((v["waiting"] for v in venue), default=0),
        "feed_delay_max_s": max(s["feed_delay_s"] for s in steady),
        "feed_lag_max_s": max(s["feed_lag_s"] for s in steady),
        "reader_waits": samples[-1]["reader_waits"],
        "unseen": samples[-1]["unseen"],
        "gaps": samples[-1]["gaps"],
    }


def write(plan: Plan, body: dict[str, Any]) -> None:
    """Write report and picture."""
    (plan.out / "report.json").write_text(json.dumps(body, indent=1) + "\n")
    (plan.out / "report.svg").write_text(picture(body["samples"]))


def main() -> int:
    """Run from the command line; exit 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.paper")
    parser.add_argument("--data", default="kalshi_btc15m_l2", help="catalog; ingest it first")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--speed", type=float, default=20.0)
    parser.add_argument("--every", type=float, default=5.0)
    parser.add_argument("--out", type=Path, default=Path("reports/soak_paper"))
    args = parser.parse_args()
    out = args.out.absolute()
    body = run(
        Plan(data=args.data, minutes=args.minutes, out=out, speed=args.speed, every_s=args.every)
    )
    print(json.dumps({k: v for k, v in body.items() if k != "samples"}, indent=1))
    held = all(b["held"] for b in body.get("bars", {"": {"held": False}}).values())
    return 0 if held and body["ended"]["exit"] == 0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
