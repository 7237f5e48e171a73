"""The operator's hand on a running node: the risk file is watched, applied, written into the ledger.

What comes first when trading is halted, by whomever: nothing new leaves (the client asks `halted` before every
order), then what works is cancelled, and only then rows are written: the ledger may be what failed.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.domain.errors import BetaError
from core.engine.live.sweep import Sweep
from core.ledger import Ledger
from core.risk import command, headroom
from core.risk.gate import Gate
from core.risk.limits import Limits
from core.risk.state_file import Command, RiskFile
from core.risk.states import TradingState

POLL_S = 0.05
TICK_S = 1.0
STOPPED = (TradingState.HALTED, TradingState.LIQUIDATING)


def limits_in_force(directory: Path, profile: str, now_ns: int) -> Limits:
    """Return the limits of a node that starts, after putting `profile` in force.

    An empty `profile`, and the one that is in force already, change nothing: what an operator set since
    (`beta risk set`) outlives a restart with the same command line. Another one is an operator's command like
    `beta risk profile` and becomes a row once the node runs.

    Raises
    ------
    ConfigError
        If there is no such profile, or the risk file cannot be trusted.
    """
    file = RiskFile(directory)
    name = str(Path(profile).resolve()) if profile.endswith(".toml") else profile
    before = file.read().profile
    if name and name != before:
        arguments = {"profile": name, "before profile": before}
        command = Command(
            uuid.uuid4().hex, "risk profile", arguments, "operator", "start of the node", now_ns
        )
        file.change({}, command, profile=name)
    return file.read().limits()


def resumed_ns(directory: Path) -> int:
    """Return when an operator last resumed trading by a command that waits for its row; 0 = none does."""
    waiting = RiskFile(directory).read().pending
    return max((c.ts_ns for c in waiting if c.command == "risk resume"), default=0)


class RiskWatch:
    """Keeps a gate in line with ``risk.json``, and ``risk.json`` in line with the gate.

    Parameters
    ----------
    sweep : Sweep
        Cancels what works, with the venue's kill switch while trading is halted; liquidation needs orders, so
        then without.
    liquidate : callable
        Sells everything that is held; called once when liquidation begins and nothing works any more.
    halted : callable
        Why the node itself stopped trading (a failed ledger, an order that cannot be), or an empty string.
    say : callable
        Takes an event name and values for the node's log.
    busy : callable
        Whether an order is on its way: the numbers beside the risk file wait for it, half a tick at most.
    """

    def __init__(
        self,
        gate: Gate,
        directory: Path,
        ledger: Ledger,
        sweep: Sweep,
        liquidate: Callable[[], None],
        *,
        halted: Callable[[], str] = lambda: "",
        say: Callable[..., None] = lambda event, **values: None,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self.gate, self.ledger, self.sweep = gate, ledger, sweep
        self.file = RiskFile(directory)
        self._liquidate, self._halted, self._say, self._busy = liquidate, halted, say, busy
        self._resume = command.restore(gate, self.file.read(), time.time_ns())
        headroom.carry_losses(directory, gate, resumed_ns(directory))
        self._stopped: tuple[TradingState | None, str] = (None, "")
        self._liquidated = False
        self._ticked, self._told = 0.0, True
        self._recording: asyncio.Task[Any] | None = None
        self._failed = ""

    async def run(self) -> None:
        """Watch until cancelled: a halt is in force, and its orders asked back, within `POLL_S`."""
        try:
            while True:
                self.look()
                await asyncio.sleep(POLL_S)
        finally:
            self.sweep.stop()

    def look(self) -> None:
        """Take what has changed since the last look; a disk that refuses is said once and tried again."""
        now = time.time_ns()
        changed = self.file.poll()
        try:
            if changed is not None:
                self._resume = command.apply(self.gate, changed, now, self._resume)
            self._react()
            if changed is not None:
                self._record()
            if time.monotonic() - self._ticked >= TICK_S:
                self._ticked = time.monotonic()
                self.gate.on_time(now)
                self._react()
                command.persist(self.gate, self.file, now)
                self._told = False
            elif not self._told and not self._gives_way():  # a millisecond of the loop
                self._told = True
                headroom.keep(self.file.path.parent, self.gate, now, self._halted())
        except (BetaError, OSError) as exc:
            if str(exc) != self._failed:
                self._say("risk.watch_failed", error=str(exc)[:300])
            self._failed = str(exc)
        else:
            self._failed = ""

    def _gives_way(self) -> bool:
        return self._busy() and time.monotonic() - self._ticked < TICK_S / 2

    def _record(self) -> None:
        """Write waiting commands as rows, beside the loop; a ledger that refuses keeps them waiting."""
        if self._recording is not None and not self._recording.done():
            return

        def work() -> None:
            try:
                command.record(self.ledger, self.file)
            except (BetaError, OSError) as exc:
                self._say("risk.command_not_recorded", error=str(exc)[:300])

        self._recording = asyncio.get_running_loop().create_task(asyncio.to_thread(work))

    def _react(self) -> None:
        """Do once what a new state of trading demands."""
        state, why = self.gate.holds.state, self._halted()
        stopped = (state if state in STOPPED else None, why)
        if stopped != self._stopped:
            self._stopped, self._liquidated = stopped, False
            if stopped == (None, ""):
                self.sweep.lift()
                return
            reason = why or self.gate.holds.reason
            self._say("halt", state=str(state), reason=reason)
            liquidates = state is TradingState.LIQUIDATING and not why
            self.sweep.start(reason, kill_switch=not liquidates)
        if state is TradingState.LIQUIDATING and self.sweep.clean and not self._liquidated:
            self._liquidated = True
            self._liquidate()
