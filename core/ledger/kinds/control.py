"""Rows about control: halts, commands, limits, feeds, faults."""

from __future__ import annotations

from core.ledger.registry import Payload, kind

#: Scope of a halt that a node puts on itself: it ends with the process.
PROCESS_SCOPE = "process"


@kind("halt")
class Halted(Payload, frozen=True, kw_only=True):
    """Trading stopped or only reduces: `level` is HALTED or REDUCING, `scope` what it covers."""

    level: str
    source: str
    reason: str
    scope: str = "all"


@kind("resume")
class Resumed(Payload, frozen=True, kw_only=True):
    """Trading is allowed again by an operator or a cool-down that ended."""

    source: str
    reason: str
    scope: str = "all"


@kind("operator.command")
class OperatorCommand(Payload, frozen=True, kw_only=True):
    """Somebody told the platform to do something."""

    command: str
    arguments: dict[str, str]
    actor: str
    channel: str
    result: str = ""


@kind("limits.changed")
class LimitsChanged(Payload, frozen=True, kw_only=True):
    """Limits in force from here on; changed by an operator, never by a model."""

    actor: str
    profile: str
    before: dict[str, str]
    after: dict[str, str]


@kind("feed.state")
class FeedState(Payload, frozen=True, kw_only=True):
    """A feed became stale, lost messages, or is sound again."""

    feed: str
    state: str
    detail: str = ""


@kind("fault")
class Fault(Payload, frozen=True, kw_only=True):
    """Bad input or an error that was survived: where, what, and what was done about it."""

    where: str
    error: str
    action: str
    detail: str = ""


@kind("state")
class StateChanged(Payload, frozen=True, kw_only=True):
    """A machine of states moved (quest, session, breaker, phase): from, to and why."""

    machine: str
    subject: str
    before: str
    after: str
    reason: str = ""
    detail: str = ""
