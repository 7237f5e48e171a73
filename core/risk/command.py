"""An operator's commands become ledger rows and take effect in a running gate.

The node calls `apply` on each change of the file (`RiskFile.poll`) and `record` for the commands that
wait for a row; the command line calls `record` itself when no node holds the ledger. A row is written at
least once: its ``command_id`` tells repetitions.
"""

from __future__ import annotations

from core.ledger import Ledger
from core.ledger.kinds import Halted, LimitsChanged, OperatorCommand, Resumed
from core.risk.gate import Gate
from core.risk.governor import DAILY_LOSS
from core.risk.state_file import CORRUPT, OPERATOR, Command, RiskFile, RiskState
from core.risk.states import TradingState

#: Commands that change limits; every other one moves the trading state.
LIMIT_COMMANDS = frozenset({"risk set", "risk profile"})


def apply(gate: Gate, state: RiskState, now_ns: int, applied_resume: str = "") -> str:
    """Bring a running gate in line with the file; return the id of the last resume applied.

    Parameters
    ----------
    applied_resume : str
        Id of the last resume this node has applied (its own start counts as having applied the one on
        file): a newer one lifts every hold once.
    """
    if state.limits() != gate.limits:
        gate.set_limits(state.limits())
    if state.resumed_id != applied_resume:
        gate.on_resume(now_ns)
    for source in (OPERATOR, CORRUPT):  # the other sources are the gate's own
        hold = state.holds.get(source)
        if hold is not None:
            gate.on_hold(source, hold.state, hold.reason, now_ns)
        elif source in gate.holds.sources:
            gate.on_hold(source, TradingState.RUNNING, "lifted", now_ns)
    return state.resumed_id


def restore(gate: Gate, state: RiskState, now_ns: int) -> str:
    """Bring a gate that has just been built to the state that was left; return the resume id on file."""
    gate.set_limits(state.limits())
    for source, hold in state.holds.items():
        gate.holds.put(source, hold.state, hold.reason, hold.since_ns or now_ns)
        if source == DAILY_LOSS:
            gate.governor.restore_day(hold.since_ns)
    return state.resumed_id


def persist(gate: Gate, file: RiskFile, now_ns: int) -> None:
    """Write the gate's own holds to the file, so that a restart finds them."""
    on_file = file.latest().holds
    for source, hold in gate.holds.sources.items():
        if source not in on_file or on_file[source].state is not hold.state:
            file.hold(source, hold.state, hold.reason, hold.since_ns)
    for source in on_file:
        if source not in gate.holds.sources and source != OPERATOR:
            file.hold(source, TradingState.RUNNING, "", now_ns)


def record(ledger: Ledger, file: RiskFile, limits_before: dict[str, str] | None = None) -> int:
    """Write a durable row for each waiting command; return how many.

    Raises
    ------
    LedgerWriteError
        If the ledger refuses: the commands keep waiting.
    """
    state = file.read()
    done: set[str] = set()
    for command in state.pending:
        parent = ledger.append(
            OperatorCommand(
                command=command.command,
                arguments=command.arguments | {"command_id": command.command_id},
                actor=command.actor,
                channel=command.channel,
            ),
            ts_event=command.ts_ns,
            durable=True,
        )
        _effect(ledger, command, state, parent, limits_before)
        done.add(command.command_id)
    file.recorded(done)
    return len(done)


def _effect(
    ledger: Ledger, command: Command, state: RiskState, parent: int, before: dict[str, str] | None
) -> None:
    """Write the row that says what the command did."""
    reason, ts_ns = command.arguments.get("reason", ""), command.ts_ns
    if command.command in LIMIT_COMMANDS:
        after = {k: v for k, v in command.arguments.items() if not k.startswith("before ")}
        old = {k.removeprefix("before "): v for k, v in command.arguments.items() if k not in after}
        changed = LimitsChanged(
            actor=command.actor, profile=state.profile, before=old or before or {}, after=after
        )
        ledger.append(changed, ts_event=ts_ns, parents=(parent,), durable=True)
    elif command.command == "risk resume":
        row = Resumed(source=OPERATOR, reason=reason)
        ledger.append(row, ts_event=ts_ns, parents=(parent,), durable=True)
    else:
        level = command.arguments["state"]
        halted = Halted(level=level, source=OPERATOR, reason=reason)
        ledger.append(halted, ts_event=ts_ns, parents=(parent,), durable=True)
