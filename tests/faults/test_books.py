"""Each of the books is really compared: a difference planted in venue, engine, gate or ledger is named by its invariant."""

import asyncio
from copy import replace
from decimal import Decimal

import pytest

from adapters.fake.matrix import compare as comparing
from adapters.fake.matrix.lives import PowerLine
from adapters.fake.matrix.run import run_one
from adapters.fake.matrix.script import Trader, quiesce
from adapters.fake.matrix.stand import MICRO, InlineLedger, Stand
from adapters.fake.matrix.virtual import run_virtual
from core.domain.decision import TimeInForce
from core.domain.fees import Side
from core.engine.live.memory import LedgerMemory, Leftover

D = Decimal
CENT = D("0.01")
VENUES = ("KALSHI", "POLYMARKET")
VENUE, ENGINE, GATE, LEDGER = "venue", "engine", "gate", "ledger"


def after_trading(tmp_path, venue, plant=lambda stand, facts: None, monkeypatch=None):
    """Fill one order, let another rest, close; then plant a difference and compare."""

    async def work(loop):
        stand = Stand(loop, tmp_path, venue, (), {})
        await stand.open()
        trader = Trader(stand)
        await trader.send(stand.markets[0], Side.BUY, D(5), D("0.43"))
        await trader.send(stand.markets[1], Side.BUY, D(5), D("0.38"), TimeInForce.GTC)
        assert await quiesce(stand)
        stand.client.refresh_cash()
        await asyncio.sleep(1.0)
        await stand.close()
        return stand, trader

    stand, trader = run_virtual(work)
    facts = comparing.read_ledger(stand)
    plant(stand, facts)
    if monkeypatch is not None:
        monkeypatch.setattr(comparing, "read_ledger", lambda stand: facts)
    return {invariant for invariant, _ in comparing.compare(stand, trader).broken}


@pytest.mark.parametrize("venue", VENUES)
def test_without_a_plant_nothing_differs(tmp_path, venue):
    assert after_trading(tmp_path, venue) == set()


def _first(orders, status):
    return next(o for o in orders.values() if o.status == status)


def lose_at(book):
    def plant(stand, facts):
        resting = _first(stand.exchange.orders, "resting")
        cid = stand.cid(resting)
        if book == VENUE:
            del stand.exchange.orders[resting.order_id]
        elif book == ENGINE:
            del stand.engine.orders[cid]
        elif book == GATE:
            stand.gate.on_done(cid)
        else:
            del facts.intents[cid]

    return plant


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize(
    ("book", "invariant"), [(VENUE, "I1"), (ENGINE, "I1"), (GATE, "I5"), (LEDGER, "I4")]
)
def test_a_lost_order_is_found_in_any_book(tmp_path, venue, book, invariant, monkeypatch):
    assert invariant in after_trading(tmp_path, venue, lose_at(book), monkeypatch)


@pytest.mark.parametrize("venue", VENUES)
def test_an_order_that_the_ledger_calls_ended_and_the_venue_works_is_lost(
    tmp_path, venue, monkeypatch
):
    monkeypatch.setattr(comparing, "remember", lambda path: LedgerMemory())
    assert "I1" in after_trading(tmp_path, venue)


@pytest.mark.parametrize("venue", VENUES)
def test_an_order_that_the_ledger_calls_working_and_the_venue_ended_is_lost(
    tmp_path, venue, monkeypatch
):
    ghost = Leftover("I", "M", 1, D(1))
    real = comparing.remember

    def remember(path):
        memory = real(path)
        memory.leftovers["F-9999"] = ghost
        return memory

    monkeypatch.setattr(comparing, "remember", remember)
    assert "I1" in after_trading(tmp_path, venue)


def double_at(book):
    def plant(stand, facts):
        if book == VENUE:
            order = _first(stand.exchange.orders, "executed")
            twin = replace(order, order_id=order.order_id + "-again")
            twin.client_order_id = stand.cid(order)
            stand.exchange.orders[twin.order_id] = twin
        elif book == ENGINE:
            stand.engine.violations.append("the engine booked trade T twice")
        else:
            facts.fills.append(facts.fills[0])

    return plant


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize(("book", "invariant"), [(VENUE, "I2"), (ENGINE, "I3"), (LEDGER, "I2")])
def test_a_double_is_found_in_any_book(tmp_path, venue, book, invariant, monkeypatch):
    assert invariant in after_trading(tmp_path, venue, double_at(book), monkeypatch)


def move_at(book):
    """Make a position wrong by a hundredth of a contract."""

    def plant(stand, facts):
        iid = stand.instrument(stand.markets[0])
        if book == VENUE:
            account, market = stand.exchange.account, stand.markets[0].market_id
            held = getattr(account, "signed", None)
            if held is None:
                account.held[market, "YES"] += 1
            else:
                held[market] += 1
        elif book == ENGINE:
            stand.engine.positions[iid] += CENT
        elif book == GATE:
            stand.gate.on_position("Matrix-001", iid, CENT, D("0.4"))
        else:
            facts.fills[0] = replace(facts.fills[0], quantity=facts.fills[0].quantity + CENT)

    return plant


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("book", [VENUE, ENGINE, GATE, LEDGER])
def test_a_position_wrong_by_the_smallest_lot_is_found_in_any_book(
    tmp_path, venue, book, monkeypatch
):
    assert "I3" in after_trading(tmp_path, venue, move_at(book), monkeypatch)


def take_cent_at(book, amount=CENT):
    def plant(stand, facts):
        if book == VENUE:
            stand.exchange.account.cash -= int(amount * MICRO)
        elif book == ENGINE:
            stand.engine.cash_shown -= amount
        elif book == GATE:
            code = stand.markets[0].venue
            stand.gate.on_cash(code, stand.gate.cash(code) - amount)
        else:
            facts.fills[0] = replace(facts.fills[0], fee=facts.fills[0].fee + amount)

    return plant


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("book", [VENUE, ENGINE, GATE, LEDGER])
@pytest.mark.parametrize("amount", [CENT, D("0.000001")])
def test_cash_wrong_by_a_cent_or_a_micro_dollar_is_found_in_any_book(
    tmp_path, venue, book, amount, monkeypatch
):
    assert "I3" in after_trading(tmp_path, venue, take_cent_at(book, amount), monkeypatch)


def test_a_row_that_was_acknowledged_and_is_not_in_the_ledger_is_found(tmp_path, monkeypatch):
    def plant(stand, facts):
        facts.numbers.discard(max(stand.acknowledged))

    assert "I6" in after_trading(tmp_path, "KALSHI", plant, monkeypatch)


def test_a_row_that_nobody_waited_for_is_missed_when_it_is_lost(monkeypatch):
    real, lost = PowerLine.put, []

    def put(self, item):
        if item is not None and item[1] is None and not lost:
            lost.append(item)
            return
        real(self, item)

    monkeypatch.setattr(PowerLine, "put", put)
    broken = run_one("F2", 1).broken
    assert lost and broken, "a lost row went unnoticed"


def test_an_acknowledgement_before_the_disk_is_missed_after_a_kill(monkeypatch):
    """The ledger says done, and the power goes: what it said is not on the disk."""
    real = InlineLedger.append

    def hasty(self, payload, *, ts_event, parents=(), durable=False):
        seq = real(self, payload, ts_event=ts_event, parents=parents)
        if durable and self.stand is not None:
            self.stand.acknowledged.add(seq)
        return seq

    monkeypatch.setattr(InlineLedger, "append", hasty)
    broken = [b for seed in range(1, 25) for b in run_one("F15", seed).broken]
    assert {"I4", "I6"} & {invariant for invariant, _ in broken}


def test_a_gate_without_limits_is_found_by_what_the_venue_holds_at_risk(monkeypatch):
    from core.risk import checks

    monkeypatch.setattr(checks, "_first_broken", lambda gate, d, cost, whole, kept: "")
    broken = [text for s in range(1, 30) for i, text in run_one("F26", s).broken if i == "I5"]
    assert any("at risk, the limit was" in text for text in broken)


def test_a_gate_that_forgets_unknown_orders_is_found_by_what_works_at_the_venue(monkeypatch):
    from core.risk.gate import Gate

    def forget(self, cid, ts_ns=0):
        order = self.book.orders.get(cid)
        if order is not None:
            self.book.close(order)

    monkeypatch.setattr(Gate, "on_unknown", forget)
    broken = [text for s in range(1, 40) for i, text in run_one("F8", s).broken if i == "I5"]
    assert any("the gate reserves nothing" in text for text in broken)


def test_a_fault_that_no_row_tells_within_five_seconds_is_named(monkeypatch):
    from core.engine.live.feed_watch import FeedWatch

    monkeypatch.setattr(FeedWatch, "look", lambda self, connections, now_ns: {})
    for fault in ("F1", "F5", "F6"):
        told = [text for s in range(1, 8) for i, text in run_one(fault, s).broken if i == "I9"]
        assert any("row within 5 s" in text for text in told), fault


def test_a_fault_that_is_told_late_is_named(monkeypatch):
    from adapters.fake.matrix import visible

    monkeypatch.setattr(visible, "LOOK_S", 7.0)
    told = [text for s in range(1, 12) for i, text in run_one("F5", s).broken if i == "I9"]
    assert any("row within 5 s" in text for text in told)


def test_what_keeps_every_change_of_a_burst_is_found(monkeypatch):
    from adapters.fake.matrix.feed import MarketFeed

    real, kept = MarketFeed._take, []

    def keep(self, data):
        kept.append(bytearray(b"x" * 20_000))
        real(self, data)

    monkeypatch.setattr(MarketFeed, "_take", keep)
    broken = run_one("F26", 3).broken
    assert any(invariant == "F26" and "MB more" in text for invariant, text in broken)
