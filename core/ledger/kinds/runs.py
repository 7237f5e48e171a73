"""Rows about the file and the run."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from core.domain.money import ZERO
from core.ledger.registry import Payload, kind, upcaster


class RunMode(StrEnum):
    """What a run was: books of different modes never mix."""

    BACKTEST = "backtest"
    PAPER = "paper"
    LIVE = "live"
    REPLAY = "replay"


class RunOutcome(StrEnum):
    """How a run was sealed."""

    ENDED = "ended"
    CRASHED_RECOVERED = "crashed_recovered"
    QUARANTINED = "quarantined"


@kind("ledger.genesis")
class Genesis(Payload, frozen=True, kw_only=True):
    """First row of a file: links the last head of the file before it.

    ``previous_*`` are empty in the first file. ``first_bad_seq`` is set when the file before it was
    quarantined: rows from there on are not proof of anything.
    """

    schema: int
    previous_file: str = ""
    previous_seq: int = 0
    previous_hash: str = ""
    quarantined_sha256: str = ""
    first_bad_seq: int = 0


@kind("ledger.digest")
class FileDigest(Payload, frozen=True, kw_only=True):
    """sha256 of a closed file, byte for byte."""

    file: str
    sha256: str
    bytes: int
    head_seq: int
    head_hash: str


@kind("ledger.fault")
class LedgerFault(Payload, frozen=True, kw_only=True):
    """The ledger could not be written for a while; written once it can be again."""

    error: str
    since_ns: int
    rows_waiting: int
    attempts: int


class StrategyVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy of a run and the sha256 of its code and skill."""

    strategy_id: str
    path: str
    sha256: str
    skill_sha256: str = ""


#: How rows are recorded now. 1: balances, merges and moves of the risk layer named no cause, draws were no rows.
RECORDING = 2


@kind("run.started", version=2)
class RunStarted(Payload, frozen=True, kw_only=True):
    """A run begins: everything that decides what it will do.

    ``recording`` says by which rules its rows were written, so that a run from before a change of them is compared
    by its own (`core.engine.replay`).
    """

    run_id: str
    mode: RunMode
    config_sha256: str
    code_sha: str
    seed: int
    strategies: tuple[StrategyVersion, ...]
    data: tuple[str, ...]
    config: str = ""
    capital: Decimal = ZERO
    currency: str = "USD"
    packages: dict[str, str] = msgspec.field(default_factory=dict)
    replay_of: str = ""
    recording: int = RECORDING


@upcaster("run.started", 1)
def _before_causes(plain: dict[str, Any]) -> dict[str, Any]:
    """Return a first version's fields as those of the second."""
    return plain | {"recording": 1}


@kind("run.stopping")
class RunStopping(Payload, frozen=True, kw_only=True):
    """The strategies of a node were stopped: they saw no market data after ``seen_ns``, and no order left any more.

    ``seen_ns`` is the receive time of the last news they saw (0: none). What worked was withdrawn next, unless
    ``keeps_orders``.
    """

    run_id: str
    seen_ns: int
    reason: str = ""
    keeps_orders: bool = False


@kind("run.ended")
class RunEnded(Payload, frozen=True, kw_only=True):
    """A run is sealed."""

    run_id: str
    outcome: RunOutcome
    reason: str = ""
    rows: int = 0
    decision_hash: str = ""
