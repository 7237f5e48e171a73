"""Trap 14: what reaches the venue after the last row is matched once the strategies are stopped, and nobody is told."""

from __future__ import annotations

from pathlib import Path

from core.engine.strategy import BetaStrategy
from tests.unit.core.engine.contract import bare
from tests.unit.core.engine.rig import ASK, D, Tape, level, market, run, snapshot, write

YES = "M-YES.PM"
ROWS = 4


class AtTheEnd(BetaStrategy):
    """Buys at the last book, and tries to go on when the fill is told."""

    def on_start(self) -> None:
        self.n = 0
        self.watch_book(YES)

    def on_book(self, iid: str) -> None:
        self.n += 1
        if self.n == ROWS:
            self.buy(iid, D(100), D("0.40"), reason="last")

    def on_fill(self, fill) -> None:
        self.buy(fill.instrument_id, D(1), D("0.40"), reason="more")


def test_the_engine_fills_after_the_stop_and_tells_no_strategy() -> None:
    script = {2: lambda s: s.limit(bare.BUY, 10, 0.40)}
    s, cash = bare.play([bare.quote(t, 0.39, 0.40) for t in (1, 2)], script, latency_ns=100_000_000)
    assert s.fills == []
    assert cash == D("996")


def test_an_order_of_the_last_moment_is_booked_with_its_fill(tmp_path: Path) -> None:
    rows = snapshot(1, [("0.39", "100")], [("0.40", "500")])
    for n in range(2, ROWS + 1):
        rows += level(n, ASK, "0.41", str(n))
    path = write(tmp_path / "c", [market()], {YES: Tape(books=rows)})
    result = run(path, AtTheEnd, latency_ms=200.0)
    (fill,) = result.fills
    assert (fill.reason, fill.quantity, fill.price) == ("last", D(100), D("0.40"))
    more = [o for o in result.orders if o.reason == "more"]
    assert {o.code for o in more} == {"STRATEGY_STOPPED"}
    assert result.final_cash <= 60
