"""Append-only, hash-chained record of every event that matters; everything else is folded from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.ledger.batch import BatchLedger
from core.ledger.protocol import Ledger
from core.ledger.registry import Payload
from core.ledger.rows import Head, Row
from core.ledger.segment import StoreOptions

if TYPE_CHECKING:
    from core.ledger.durable import DurableLedger, WriterState

__all__ = [
    "BatchLedger",
    "DurableLedger",
    "Head",
    "Ledger",
    "Payload",
    "Row",
    "StoreOptions",
    "WriterState",
]


def __getattr__(name: str) -> Any:
    """Import the ledger of paper and live on first use: a backtest needs no event loop."""
    if name not in {"DurableLedger", "WriterState"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from core.ledger import durable

    return getattr(durable, name)
