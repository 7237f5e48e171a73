"""A basket whose legs fail is heard by the arbitrage breaker, which then stops the family for its cool-down."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import ClassVar

from core.engine.strategy import BetaStrategy
from core.ledger.kinds import StateChanged
from core.ledger.reader import LedgerReader
from strategies import basket_runner
from strategies.baskets import Basket, BasketLeg, LegQuote
from tests.unit.core.engine.rig import ASK, Tape, level, market, run, snapshot, write

D = Decimal
GOOD, GONE = "M-YES.PM", "N-YES.PM"
TICK = D("0.40")


class TwoBooks(BetaStrategy):
    """Watches two books and has no attempt under way."""

    family: ClassVar[str] = "arbitrage"

    def on_start(self) -> None:
        self.attempt = None
        self.watch_book(GOOD)
        self.watch_book(GONE)


class Baskets(TwoBooks):
    """Tries the same two legs each time the first book changes; the second leg's ask is gone on arrival."""

    def on_book(self, iid: str) -> None:
        if iid != GOOD:
            return
        if self.attempt is None:
            legs = tuple(BasketLeg(i, TICK, TICK, D(0)) for i in (GOOD, GONE))
            basket = Basket("YES", legs, D(1), D("0.8"), D(0), D(1))
            attempt = basket_runner.start(self, basket)
            self.attempt = None if attempt.done else attempt
            return
        asks = {i: LegQuote(i, (), self.now_ns) for i in (GOOD, GONE)}
        basket_runner.advance(self, self.attempt, asks, D(0), 1)
        if self.attempt.done or self.attempt.stage == "unwinding":
            self.attempt = None

    def on_fill(self, fill) -> None:
        if self.attempt is not None and fill.side == "BUY":
            self.attempt.filled[fill.instrument_id] += fill.quantity
            self.attempt.spent += fill.quantity * fill.price


def catalog(path: Path, missing: bool) -> Path:
    """The good book changes every second; the other one's ask leaves just after each odd second."""
    first, second = (
        snapshot(1, [("0.39", "900")], [("0.40", "900")]),
        snapshot(0.5, [("0.39", "900")], [("0.40", "900")]),
    )
    for n in range(2, 40):
        first += level(n, ASK, "0.41", str(n))
        if missing:
            second += level(n + 0.01, ASK, "0.40", "0" if n % 2 else "900")
    tapes = {GOOD: Tape(books=first, close=(99, "1")), GONE: Tape(books=second, close=(99, "0"))}
    return write(path, [market("M"), market("N")], tapes)


def breaker_moves(folder: Path) -> list[StateChanged]:
    rows = (row.decoded() for row in LedgerReader(folder).rows())
    return [r for r in rows if isinstance(r, StateChanged) and r.machine == "breaker"]


def test_three_baskets_with_a_failed_leg_in_a_row_open_the_breaker(tmp_path: Path) -> None:
    path = catalog(tmp_path / "c", missing=True)
    limits = tmp_path / "arb.toml"
    limits.write_text("[breaker]\nmismatches = 2\n")
    result = run(
        path, Baskets, venue="SLOW", limits=str(limits), ledger=tmp_path / "a", capital=D(1000)
    )
    moves = breaker_moves(tmp_path / "a")
    assert ("N", "CLOSED", "OPEN") in [(m.subject, m.before, m.after) for m in moves]
    (opened,) = [m for m in moves if m.subject == "arbitrage"]
    assert (opened.before, opened.after) == ("CLOSED", "OPEN")
    assert opened.reason == "3 attempts failed in a row, last: legs missing in N"
    assert "BREAKER_OPEN" in {o.code for o in result.orders}


def test_whole_baskets_leave_the_breaker_closed(tmp_path: Path) -> None:
    path = catalog(tmp_path / "c", missing=False)
    run(path, Baskets, venue="SLOW", limits="usd100", ledger=tmp_path / "a", capital=D(1000))
    assert breaker_moves(tmp_path / "a") == []


class Completes(TwoBooks):
    """Lacks all of the second leg of a basket of 30 and completes it, once a second, at 0.60 a share."""

    def on_book(self, iid: str) -> None:
        if iid != GOOD:
            return
        if self.attempt is None:
            legs = tuple(BasketLeg(i, TICK, TICK, D(0)) for i in (GOOD, GONE))
            basket = Basket("YES", legs, D(30), D(24), D(0), D(30))
            self.attempt = basket_runner.BasketAttempt(basket, {GOOD: D(0), GONE: D(0)})
            self.buy(GOOD, D(30), TICK, reason="basket")
        elif not self.attempt.done:
            asks = {i: LegQuote(i, ((D("0.60"), D(900)),), self.now_ns) for i in (GOOD, GONE)}
            basket_runner.advance(self, self.attempt, asks, D("0.2"), 1)

    def on_fill(self, fill) -> None:
        sign = 1 if fill.side == "BUY" else -1
        self.attempt.filled[fill.instrument_id] += sign * fill.quantity
        self.attempt.spent += sign * fill.quantity * fill.price


def two_books(path: Path) -> Path:
    first = snapshot(1, [("0.39", "900")], [("0.40", "900")])
    for n in range(2, 20):
        first += level(n, ASK, "0.41", str(n))
    second = snapshot(0.5, [("0.39", "900")], [("0.60", "900")])
    tapes = {GOOD: Tape(books=first, close=(99, "1")), GONE: Tape(books=second, close=(99, "0"))}
    return write(path, [market("M"), market("N")], tapes)


def bought(result, reason: str) -> list[Decimal]:
    return [f.quantity for f in result.fills if f.reason == reason]


def test_a_leg_above_the_limit_of_an_order_is_completed_in_parts(tmp_path: Path) -> None:
    limits = tmp_path / "l.toml"  # one order may be 15 dollars; thirty shares at 0.60 are 18
    limits.write_text("[exposure]\norder_usd = 15\n")
    result = run(two_books(tmp_path / "c"), Completes, limits=str(limits), capital=D(1000))
    parts = bought(result, "complete basket")
    assert sum(parts) == 30
    assert len(parts) == 2
    assert bought(result, "unwind basket") == []
    assert [o.code for o in result.orders if o.status == "REFUSED"] == []


def test_a_completion_that_the_limits_would_stop_half_way_is_not_begun(tmp_path: Path) -> None:
    limits = tmp_path / "l.toml"  # the second market may take 16 dollars of the 18
    shares = "market = 0.02\n"
    limits.write_text(f"[exposure]\norder_usd = 15\n{shares}[breaker]\n{shares}")
    result = run(two_books(tmp_path / "c"), Completes, limits=str(limits), capital=D(800))
    assert bought(result, "complete basket") == []
    assert sum(bought(result, "unwind basket")) == 30
    assert [o.code for o in result.orders if o.status == "REFUSED"] == []
