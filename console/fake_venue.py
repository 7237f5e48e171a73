"""The fake venue that belongs to a paper session: started once, found again after the node was killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.domain.errors import MissingData, UsageError, VenueError

MODULES = {
    "fake-kalshi": "adapters.fake.kalshi.process",
    "fake-polymarket": "adapters.fake.polymarket.process",
}


@dataclass(frozen=True, slots=True)
class FakeVenue:
    """A running fake venue: its process and what it said about itself."""

    pid: int
    told: dict[str, Any]

    def alive(self) -> bool:
        """Return whether it answers."""
        try:
            with urllib.request.urlopen(self.told["truth_url"], timeout=2.0) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError, KeyError):
            return False

    def stop(self) -> None:
        """End the process; one that is gone already is fine."""
        try:
            os.kill(self.pid, 15)
        except ProcessLookupError:
            return


def ensure(
    name: str,
    home: Path,
    catalog: Path,
    *,
    speed: float,
    max_gap_s: float,
    cash: str,
    markets: int,
    named: Sequence[str] = (),
    spot: bool = False,
    repeat: int = 1,
) -> tuple[FakeVenue, bool]:
    """Return the session's fake venue and whether it was already running.

    Parameters
    ----------
    markets, named
        How many markets of the catalog are replayed, or which.
    spot : bool
        Replay the spot price behind them too.
    repeat : int
        How often everything is played (Kalshi only).

    Raises
    ------
    VenueError
        If it does not start; the last lines of its log are in the message.
    UsageError
        If one is running that replays something else.
    """
    note = home / "fake_venue.json"
    if note.is_file():
        body = json.loads(note.read_text())
        found = FakeVenue(int(body["pid"]), body["told"])
        if body.get("name") == name and found.alive():
            _demand_same(found, home, catalog, speed)
            return found, True
    home.mkdir(parents=True, exist_ok=True)
    log = (home / "fake_venue.log").open("ab")
    options = {
        "catalog": catalog,
        "speed": speed,
        "max-gap": max_gap_s,
        "cash": cash,
        "max-markets": markets,
        "markets": ",".join(named),
    }
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            MODULES[name],
            *(f"--{k}={v}" for k, v in options.items()),
            *(["--spot"] if spot else []),
            *([f"--repeat={repeat}"] if repeat > 1 else []),
        ],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,  # it outlives a node that is killed: the market goes on without us
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        tail = (home / "fake_venue.log").read_text(errors="replace").strip().splitlines()[-1:]
        raise VenueError(f"{name} did not start", tail, f"see {home / 'fake_venue.log'}")
    told = json.loads(line)
    if "error" in told:
        raise MissingData(told["error"], told["seen"], told["mend"])
    told |= {"folder": str(catalog.absolute())}
    note.write_text(json.dumps({"name": name, "pid": process.pid, "told": told}))
    return FakeVenue(process.pid, told), False


def _demand_same(found: FakeVenue, home: Path, catalog: Path, speed: float) -> None:
    """Refuse to go on with a market that is not the one asked for."""
    told = found.told
    if told.get("folder") != str(catalog.absolute()) or told.get("speed") != speed:
        raise UsageError(
            "the market of this session is still running and is another one",
            f"{told.get('catalog')} at {told.get('speed'):g}x (process {found.pid})",
            f"give the same --data and --speed, another --home, or end it: kill {found.pid}",
        )
