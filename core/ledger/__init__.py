"""Append-only, hash-chained record of every event that matters; everything else is folded from it."""

from core.ledger.batch import BatchLedger
from core.ledger.durable import DurableLedger, WriterState
from core.ledger.protocol import Ledger, NullLedger
from core.ledger.registry import Payload
from core.ledger.rows import Head, Row
from core.ledger.segment import StoreOptions

__all__ = [
    "BatchLedger",
    "DurableLedger",
    "Head",
    "Ledger",
    "NullLedger",
    "Payload",
    "Row",
    "StoreOptions",
    "WriterState",
]
