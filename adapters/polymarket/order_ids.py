"""Which venue order id belongs to which of our client order ids: on disk before the order leaves.

Polymarket knows no client order id. The order's hash is its id there, so it is written down, with what was
signed, before the first byte is sent: after a kill or a lost answer the order can still be found.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import msgspec

from core.domain.fees import Side


@dataclass(frozen=True, slots=True)
class SentOrder:
    """An order of ours that was, or was about to be, sent."""

    order_id: str
    client_order_id: str
    instrument_id: str
    side: Side
    quantity: Decimal
    price: Decimal
    sent_ns: int
    post_only: bool = False
    expire_ns: int = 0
    tif: str = "GTC"


class OrderIds:
    """Sent orders by both ids.

    Parameters
    ----------
    path : Path, optional
        Append-only file; None keeps them in memory only (then an order of an earlier process is a stranger).
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.by_order: dict[str, SentOrder] = {}
        self.by_client: dict[str, SentOrder] = {}
        self._file: Any = None
        if path is not None:
            self._load(path)

    def _load(self, path: Path) -> None:
        """Read what is there; a torn last line (a kill while writing) was never sent."""
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_bytes() if path.exists() else b""
        for line in text.split(b"\n"):
            try:
                self._note(msgspec.json.decode(line, type=SentOrder))
            except (msgspec.DecodeError, msgspec.ValidationError):
                continue
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._file = os.fdopen(descriptor, "ab", buffering=0)
        if text and not text.endswith(b"\n"):
            self._file.write(b"\n")

    def _note(self, order: SentOrder) -> None:
        self.by_order[order.order_id] = order
        self.by_client[order.client_order_id] = order

    def write(self, order: SentOrder) -> None:
        """Put `order` on disk; returns when it is there. Blocks: call it on a worker thread."""
        if self._file is not None:
            self._file.write(msgspec.json.encode(order) + b"\n")
            os.fsync(self._file.fileno())
        self._note(order)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
