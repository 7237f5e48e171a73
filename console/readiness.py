"""The gate before a node starts: every missing thing by name, with its mend. One failure refuses the start."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from core.domain.errors import BetaError, GateClosed

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
        lines = "\n    ".join(f"{c.name}: {c.seen} -> {c.mend}" for c in failed)
        raise GateClosed(f"not ready to trade, {len(failed)} thing(s) missing", f"\n    {lines}")


def live_checks(
    venue: str, home: Path, runs: Path, versions: Mapping[str, str], settings: Mapping[str, Any]
) -> list[Check]:
    """Return what live trading demands, without touching the venue.

    Parameters
    ----------
    runs : Path
        Folder under which backtest ledgers lie.
    versions : mapping
        Strategy name to sha256 of its code.
    """
    from core.risk.state_file import RiskFile
    from core.risk.states import TradingState

    state = RiskFile(home / "risk").read()
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
            "not halted", state.trading is TradingState.RUNNING, state.trading, "beta risk resume"
        ),
        judge("limits", state.profile != "research", state.profile, "beta risk profile usd100"),
        guarded("backtest", lambda: _backtested(runs, versions)),
        guarded("dry run", lambda: _dry_run(home.parent, versions)),
    ]


def _ledgers(root: Path) -> list[Path]:
    return sorted({p.parent for p in root.rglob("ledger-*.sqlite")}) if root.is_dir() else []


def _runs_of(root: Path, mode: str, versions: Mapping[str, str]) -> list[tuple[int, int]]:
    """Return (start, end) of ended runs of `mode` with exactly these strategy versions."""
    from core.ledger.kinds import RunStarted
    from core.ledger.reader import LedgerReader

    wanted, found = set(versions.values()), []
    for folder in _ledgers(root):
        reader = LedgerReader(folder)
        for run in reader.runs():
            if run.mode != mode or run.outcome != "ended":
                continue
            started = reader.row(run.first_seq).decoded()
            if isinstance(started, RunStarted) and wanted <= {s.sha256 for s in started.strategies}:
                found.append((run.started_ns, run.ended_ns))
    return found


def _backtested(runs: Path, versions: Mapping[str, str]) -> Check:
    found = _runs_of(runs, "backtest", versions)
    short = ", ".join(v[:12] for v in versions.values())
    return judge(
        "backtest",
        bool(found),
        f"{len(found)} of version {short}",
        "beta backtest STRATEGY --data NAME",
    )


def _dry_run(root: Path, versions: Mapping[str, str]) -> Check:
    seconds = sum((end - start) / 1e9 for start, end in _runs_of(root, "paper", versions))
    return judge(
        "dry run",
        seconds >= DRY_RUN_S,
        f"{seconds / 3600:.1f} h of 24 h",
        "beta paper STRATEGY --venue VENUE for 24 h",
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
