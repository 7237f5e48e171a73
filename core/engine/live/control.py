"""The operator's hand on a running node: the risk file is watched, applied, written into the ledger."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from core.domain.errors import LedgerError, VenueError
from core.engine.live.port import VenuePort
from core.ledger import Ledger
from core.risk import command, headroom
from core.risk.gate import Gate
from core.risk.limits import Limits
from core.risk.state_file import Command, RiskFile
from core.risk.states import TradingState

POLL_S = 0.05
TICK_S = 1.0


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
    port : VenuePort
        Whose kill switch is engaged while trading is halted. Liquidation needs orders, so then it is released and
        everything that works is cancelled.
    liquidate : callable
        Sells everything that is held; called once when liquidation begins.
    """

    def __init__(
        self,
        gate: Gate,
        directory: Path,
        ledger: Ledger,
        port: VenuePort,
        liquidate: Callable[[], None],
    ) -> None:
        self.gate, self.ledger = gate, ledger
        self.file = RiskFile(directory)
        self._port, self._liquidate = port, liquidate
        self._engaged = False
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
                headroom.keep(self.file.path.parent, self.gate, now)
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
        try:
            await self._at_the_venue(state)
        except VenueError:
            return  # tried again at the next look
        self._state = state
        if state is TradingState.LIQUIDATING:
            self._liquidate()

    async def _at_the_venue(self, state: TradingState) -> None:
        """Bring the venue in line with a state; repeating it does no harm."""
        if state is TradingState.HALTED:
            self._engaged = True
            await self._port.engage_kill_switch()
            return
        if self._engaged:
            await self._port.release_kill_switch()
            self._engaged = False
        if state is TradingState.LIQUIDATING:
            await self._port.cancel_everything()
