"""The operator's word on disk: holds, changed limits and commands, in one file that outlives the node.

Commands work with the node alive (it watches the file) or dead (it reads it at the start). Writing is
atomic: a temporary file, two syncs and a rename, under a lock. A file that cannot be read or whose
checksum is wrong means HALTED with the shipped default limits: nothing is traded on doubt.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from core.domain.errors import BetaError, ConfigError, LedgerWriteError
from core.risk.limits import DEFAULT_PROFILE, Limits, load_profile
from core.risk.states import SEVERITY, TradingState

SCHEMA_VERSION = 1
#: Source name of what an operator orders, of a file that cannot be trusted, and of a ledger that fails.
OPERATOR, CORRUPT, LEDGER = "operator", "state_file", "ledger"
#: Commands that wait for their ledger row; more than this and the file would grow without end.
MAX_PENDING = 1_000


@dataclass(frozen=True, slots=True)
class HoldRecord:
    """One source that holds trading back: see `core.risk.states.Hold`."""

    state: TradingState
    reason: str
    since_ns: int


@dataclass(frozen=True, slots=True)
class Command:
    """What somebody ordered: it waits here until it is a ledger row."""

    command_id: str
    command: str
    arguments: dict[str, str]
    actor: str
    channel: str
    ts_ns: int


@dataclass(frozen=True, slots=True)
class RiskState:
    """Everything the file holds.

    Attributes
    ----------
    profile : str
        Name of a shipped profile, or path of one's own.
    changes : dict
        Limits changed since, ``section.key`` to text.
    holds : dict
        Source to hold.
    pending : tuple of Command
        Commands without a ledger row yet, oldest first.
    resumed_id : str
        Id of the last resume; a node that has not applied it resumes once.
    """

    profile: str = DEFAULT_PROFILE
    changes: dict[str, str] = field(default_factory=dict)
    holds: dict[str, HoldRecord] = field(default_factory=dict)
    pending: tuple[Command, ...] = ()
    resumed_id: str = ""

    @property
    def trading(self) -> TradingState:
        """The most severe state of all holds."""
        states = [hold.state for hold in self.holds.values()]
        return max(states, key=SEVERITY.__getitem__, default=TradingState.RUNNING)

    def limits(self) -> Limits:
        """Return the limits in force: the profile with its changes.

        Raises
        ------
        ConfigError
            If the profile is gone or the changes no longer fit it.
        """
        return load_profile(self.profile).changed(self.changes)


class RiskFile:
    """The file ``risk.json`` in a folder.

    Parameters
    ----------
    directory : Path
        Folder of the file; made when first written to.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "risk.json"
        self._seen: tuple[int, int, int] | None = None
        self._kept: tuple[tuple[int, int, int], RiskState] | None = None

    def read(self) -> RiskState:
        """Return the state on disk; a missing file is the default, an unreadable one HALTED."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return RiskState()
        except OSError as exc:
            return _untrusted(f"cannot be read: {exc.strerror}")
        try:
            return _decode(data)
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            return _untrusted(f"is corrupt: {exc}")

    def latest(self) -> RiskState:
        """Return what `read` returns, read again only when the file has changed: one `stat` a call."""
        stamp = self._stamp()
        if self._kept is None or self._kept[0] != stamp:
            self._kept = (stamp, self.read())
        return self._kept[1]

    def poll(self) -> RiskState | None:
        """Return the state if the file has changed since the last `poll`, else None. One `stat` a call."""
        stamp = self._stamp()
        if stamp == self._seen:
            return None
        self._seen = stamp
        return self.latest()

    def _stamp(self) -> tuple[int, int, int]:
        """Return what tells one state of the file from the next."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return (0, 0, 0)
        except OSError:
            return (-1, 0, 0)
        return (found.st_mtime_ns, found.st_size, found.st_ino)

    def write(self, state: RiskState) -> None:
        """Replace the file atomically and durably.

        Raises
        ------
        LedgerWriteError
            If the disk refuses. The old file stands.
        """
        body = _plain(state)
        data = json.dumps(
            {"schema_version": SCHEMA_VERSION, "sha256": _digest(body), **body}, indent=1
        )
        new = self.path.with_suffix(f".{os.getpid()}.new")
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with new.open("w", encoding="utf-8") as file:
                file.write(data + "\n")
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.path)
            folder = os.open(self.directory, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as exc:
            with suppress(OSError):
                new.unlink()
            raise LedgerWriteError(
                "the risk state cannot be written",
                f"{self.path}: {exc.strerror}",
                "free disk space",
            ) from exc

    @contextmanager
    def locked(self) -> Iterator[RiskState]:
        """Hold the file's lock and give the state to change; write it with `write` inside."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "risk.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self.read()

    def hold(self, source: str, state: TradingState, reason: str, ts_ns: int) -> None:
        """Let `source` hold trading (RUNNING lifts it); for the node's own halts."""
        with self.locked() as old:
            holds = {k: v for k, v in old.holds.items() if k != source}
            if state is not TradingState.RUNNING:
                holds[source] = HoldRecord(state, reason, ts_ns)
            if holds != old.holds:
                self.write(replace(old, holds=holds))

    def order(self, state: TradingState, command: Command) -> RiskState:
        """Apply an operator's command on trading: hold it at `state`, or lift every hold (RUNNING).

        Resuming over a corrupt file sets it aside and starts a new one with the default limits.
        """
        reason = command.arguments.get("reason", "") or command.command
        with self.locked() as old:
            if state is not TradingState.RUNNING:
                holds = old.holds | {OPERATOR: HoldRecord(state, reason, command.ts_ns)}
                new = replace(old, holds=holds, pending=_pending(old, command))
            else:
                self._set_aside(old, command)
                new = replace(
                    old, holds={}, pending=_pending(old, command), resumed_id=command.command_id
                )
            self.write(new)
            return new

    def change(self, changes: dict[str, str], command: Command, profile: str = "") -> RiskState:
        """Apply an operator's change of limits, after checking that the result is consistent.

        Raises
        ------
        ConfigError
            For an unknown limit, a value that is not allowed, a contradiction, or a corrupt file.
        """
        with self.locked() as old:
            if CORRUPT in old.holds:
                raise ConfigError(
                    "the risk state is corrupt", self.path, "beta risk resume starts a new one"
                )
            kept = {} if profile else old.changes
            new = replace(old, profile=profile or old.profile, changes=kept | changes)
            new.limits()
            new = replace(new, pending=_pending(old, command))
            self.write(new)
            return new

    def recorded(self, command_ids: set[str]) -> None:
        """Forget commands that have become ledger rows."""
        if not command_ids:
            return
        with self.locked() as old:
            left = tuple(c for c in old.pending if c.command_id not in command_ids)
            if left != old.pending:
                self.write(replace(old, pending=left))

    def _set_aside(self, state: RiskState, command: Command) -> None:
        if CORRUPT in state.holds:
            with suppress(OSError):
                self.path.replace(self.path.with_suffix(f".corrupt-{command.ts_ns}"))


def _pending(state: RiskState, command: Command) -> tuple[Command, ...]:
    return (*state.pending, command)[-MAX_PENDING:]


def _untrusted(why: str) -> RiskState:
    return RiskState(holds={CORRUPT: HoldRecord(TradingState.HALTED, f"the risk state {why}", 0)})


def _plain(state: RiskState) -> dict[str, Any]:
    return {
        "profile": state.profile,
        "changes": state.changes,
        "holds": {k: asdict(v) | {"state": str(v.state)} for k, v in state.holds.items()},
        "pending": [asdict(c) for c in state.pending],
        "resumed_id": state.resumed_id,
    }


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _decode(data: bytes) -> RiskState:
    plain = json.loads(data)
    version, digest = plain.pop("schema_version"), plain.pop("sha256")
    if version != SCHEMA_VERSION:
        raise ValueError(f"schema version {version}, this is {SCHEMA_VERSION}")
    if digest != _digest(plain):
        raise ValueError("the checksum does not match")
    state = RiskState(
        profile=plain["profile"],
        changes=plain["changes"],
        holds={
            k: HoldRecord(TradingState(v["state"]), v["reason"], v["since_ns"])
            for k, v in plain["holds"].items()
        },
        pending=tuple(Command(**c) for c in plain["pending"]),
        resumed_id=plain["resumed_id"],
    )
    try:
        state.limits()
    except BetaError as exc:
        raise ValueError(f"its limits are not valid ({exc})") from exc
    return state
