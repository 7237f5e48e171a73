"""The operator's hand on a running node: the risk file is watched, applied, written into the ledger."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

from core.domain.errors import LedgerError, VenueError
from core.ledger import Ledger
from core.risk import command
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


class RiskWatch:
    """Keeps a gate in line with ``risk.json``, and ``risk.json`` in line with the gate.

    Parameters
    ----------
    cancel_everything : callable
        Cancels all working orders at the venue; called once whenever trading is halted or liquidated.
    liquidate : callable
        Sells everything that is held; called once when liquidation begins.
    """

    def __init__(
        self,
        gate: Gate,
        directory: Path,
        ledger: Ledger,
        cancel_everything: Callable[[], Awaitable[list[str]]],
        liquidate: Callable[[], None],
    ) -> None:
        self.gate, self.ledger = gate, ledger
        self.file = RiskFile(directory)
        self._cancel, self._liquidate = cancel_everything, liquidate
        self._resume = command.restore(gate, self.file.read(), time.time_ns())
        self._state = TradingState.RUNNING

    async def run(self) -> None:
        """Watch until cancelled: a halt on file is in the gate within `POLL_S`."""
        ticked = 0.0
        while True:
            now = time.time_ns()
            changed = self.file.poll()
            if changed is not None:
                self._resume = command.apply(self.gate, changed, now, self._resume)
                await self._record()
            if time.monotonic() - ticked >= TICK_S:
                ticked = time.monotonic()
                self.gate.on_time(now)
                command.persist(self.gate, self.file, now)
            await self._react()
            await asyncio.sleep(POLL_S)

    async def _record(self) -> None:
        """Write waiting commands as rows; a ledger that refuses keeps them waiting."""
        try:
            await asyncio.to_thread(command.record, self.ledger, self.file)
        except LedgerError:
            return

    async def _react(self) -> None:
        """Do once what a new state of trading demands."""
        state = self.gate.holds.state
        if state is self._state:
            return
        self._state = state
        if state in STOPPED:
            try:
                await self._cancel()
            except VenueError:
                self._state = TradingState.RUNNING  # try again at the next look
        if state is TradingState.LIQUIDATING:
            self._liquidate()
