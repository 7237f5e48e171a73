"""The gate before a node starts: every missing thing by name, with its mend. One failure refuses the start."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.domain.errors import BetaError, GateClosed

if TYPE_CHECKING:
    from core.ledger.kinds import RunStarted

DRY_RUN_S = 24 * 3600
MAX_SKEW_S = 5.0
KEYS = {
    "KALSHI": ("KALSHI_KEY_ID", "KALSHI_PRIVATE_KEY"),
    "POLYMARKET": ("POLYMARKET_PK",),
}


@dataclass(frozen=True, slots=True)
class Check:
    """One condition: ``ok``, ``fail`` or ``skip``, what was seen, and the mend."""

    name: str
    status: str
    seen: str
    mend: str = ""


def judge(name: str, good: bool, seen: object, mend: str) -> Check:
    """Return a check that passed or failed."""
    return Check(name, "ok" if good else "fail", str(seen), "" if good else mend)


def guarded(name: str, check: Callable[[], Check]) -> Check:
    """Return the check; an error inside it is a failure with its own mend, never a crash."""
    try:
        return check()
    except BetaError as exc:
        return Check(name, "fail", exc.what, exc.mend)
    except Exception as exc:
        # A check that cannot be made is a check that failed: it never takes the command down.
        return Check(
            name, "fail", f"{type(exc).__name__}: {exc}"[:120], "check the network and try again"
        )


def require(checks: list[Check]) -> None:
    """Raise when a check failed.

    Raises
    ------
    GateClosed
        Naming every failed check with its mend.
    """
    failed = [c for c in checks if c.status == "fail"]
    if failed:
        raise GateClosed(
            f"not ready to trade, {len(failed)} thing(s) missing",
            "".join(f"\n    {c.name}: {c.seen}" for c in failed),
            "".join(f"\n    {c.name}: {c.mend or 'see docs/paper.md'}" for c in failed),
        )


def live_checks(
    venue: str, home: Path, runs: Path, versions: Mapping[str, str], profile: str = ""
) -> list[Check]:
    """Return what live trading demands, without touching the venue.

    Parameters
    ----------
    runs : Path
        Folder under which backtest ledgers lie.
    versions : mapping
        Strategy name to sha256 of its code.
    profile : str
        Risk profile that the command names; empty = the one in force.
    """
    from core.risk.state_file import RiskFile
    from core.risk.states import TradingState

    state = RiskFile(home / "risk").read()
    profile = profile or state.profile
    missing = [k for k in KEYS.get(venue, ()) if not os.environ.get(k)]
    return [
        judge(
            "confirmed",
            os.environ.get("BETA_LIVE") == "1",
            "BETA_LIVE",
            "set BETA_LIVE=1, or type LIVE when asked",
        ),
        judge(
            "keys",
            not missing,
            ", ".join(missing) or "set",
            f"export {' '.join(missing)} (trade-only keys)",
        ),
        judge(
            "not halted",
            state.trading is TradingState.RUNNING,
            state.trading,
            f"beta risk resume --dir {home / 'risk'}",
        ),
        judge(
            "limits",
            profile != "research",
            profile,
            f"--limits usd100, or beta risk profile usd100 --dir {home / 'risk'}",
        ),
        guarded("backtest", lambda: _backtested(runs, versions)),
        guarded("dry run", lambda: _dry_run(venue, runs, versions)),
    ]


def venue_checks(venue: str, settings: Mapping[str, Any]) -> list[Check]:
    """Return what the venue itself says of place, key, its permissions, balance and allowances."""
    import asyncio

    from core.engine.live.venue import READINESS_PATHS
    from core.engine.venues import load_object

    look = load_object(READINESS_PATHS[venue], "readiness")
    try:
        found = asyncio.run(look(settings))
    except BetaError as exc:  # settings that cannot be used: nothing was asked
        return [Check("settings", "fail", f"{exc.what}: {exc.seen}", exc.mend)]
    return [judge(f.name, f.good, f.seen, f.mend) for f in found]


def _ledgers(root: Path) -> list[Path]:
    return sorted({p.parent for p in root.rglob("ledger-*.sqlite")}) if root.is_dir() else []


def _runs_of(
    root: Path, mode: str, versions: Mapping[str, str]
) -> Iterator[tuple[RunStarted, float]]:
    """Yield the ended runs of `mode` with exactly these strategy versions, and how many seconds they ran."""
    from core.ledger.kinds import RunStarted
    from core.ledger.reader import LedgerReader

    wanted = set(versions.values())
    for folder in _ledgers(root):
        reader = LedgerReader(folder)
        for run in reader.runs():
            if run.mode != mode or run.outcome != "ended":
                continue
            started = reader.row(run.first_seq).decoded()
            if isinstance(started, RunStarted) and wanted <= {s.sha256 for s in started.strategies}:
                yield started, (run.ended_ns - run.started_ns) / 1e9


def _backtested(runs: Path, versions: Mapping[str, str]) -> Check:
    count = sum(1 for _ in _runs_of(runs, "backtest", versions))
    short = ", ".join(v[:12] for v in versions.values())
    return judge(
        "backtest",
        count > 0,
        f"{count} of version {short} in {runs}/",
        "beta backtest STRATEGY --data NAME (it keeps its ledger there)",
    )


def _dry_run(venue: str, runs: Path, versions: Mapping[str, str]) -> Check:
    """Count the hours on paper over the venue's own market; a replay on this machine is none."""
    import json

    seconds = replayed = 0.0
    for started, lasted in _runs_of(runs, "paper", versions):
        config = json.loads(started.config or "{}")
        if config.get("venue") != venue:
            continue
        if config.get("synthetic", True):
            replayed += lasted
        else:
            seconds += lasted
    seen = f"{seconds / 3600:.1f} h of 24 h"
    if replayed:
        seen += f" ({replayed / 3600:.1f} h on replays do not count)"
    return judge(
        "dry run",
        seconds >= DRY_RUN_S,
        seen,
        f"beta paper STRATEGY --venue {venue.lower()} until it has run 24 h with this version",
    )


def skew_check(base_url: str) -> Check:
    """Compare our clock with the venue's ``Date`` header."""
    import httpx

    answer = httpx.head(base_url, timeout=5.0)
    stated = answer.headers.get("date")
    if not stated:
        return Check("clock", "skip", "the venue sends no time")
    skew = abs(parsedate_to_datetime(stated).timestamp() - datetime.now(UTC).timestamp())
    return judge(
        "clock",
        skew <= MAX_SKEW_S,
        f"{skew:.1f} s apart",
        "run an NTP client (chrony, systemd-timesyncd)",
    )


def disk_check(home: Path) -> Check:
    """Demand room for a ledger."""
    import shutil

    home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(home).free
    return judge("disk", free >= 200 << 20, f"{free >> 20} MiB free", "free at least 200 MiB")
