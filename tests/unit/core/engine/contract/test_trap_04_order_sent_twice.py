"""Trap 4: the engine executes an order object that is already closed once more."""

from __future__ import annotations

from pathlib import Path

from nautilus_trader.model import InstrumentId, OrderSide, Price, Quantity
from nautilus_trader.model import TimeInForce as EngineTif

from core.engine.strategy import BetaStrategy
from tests.unit.core.engine.contract import bare
from tests.unit.core.engine.rig import BID, Tape, level, market, run, snapshot, write

YES = "M-YES.PM"


class SameObject(BetaStrategy):
    """Submits one raw order object at every book."""

    def on_start(self) -> None:
        self.order = None
        self.watch_book(YES)

    def on_book(self, iid: str) -> None:
        if self.order is None:
            self.order = self.order_factory.limit(
                InstrumentId.from_str(iid),
                OrderSide.BUY,
                Quantity.from_str("10.00"),
                Price.from_str("0.4000"),
                EngineTif.IOC,
            )
        self.submit_order(self.order)


def test_the_engine_fills_the_same_object_again() -> None:
    kept: list = []
    s, _ = bare.play(
        [bare.quote(t, 0.39, 0.40) for t in (1, 2, 3)],
        {
            1: lambda s: kept.append(s.limit(bare.BUY, 10, 0.40, bare.IOC)),
            2: lambda s: s.submit_order(kept[0]),
        },
    )
    assert len(s.fills) == 2


def test_the_gate_knows_the_id(tmp_path: Path) -> None:
    rows = snapshot(1, [("0.39", "50")], [("0.40", "90")]) + level(2, BID, "0.38", "5")
    path = write(tmp_path / "c", [market()], {YES: Tape(books=rows, close=(9, "0"))})
    result = run(path, SameObject)
    assert [(o.status, o.code) for o in result.orders] == [
        ("FILLED", ""),
        ("REFUSED", "DUPLICATE_ID"),
    ]
    assert len([f for f in result.fills if f.role == "taker"]) == 1
