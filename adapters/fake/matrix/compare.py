"""The three books after a run: venue truth, engine, ledger. Differences are named, never rounded away."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from adapters.fake.matrix.script import Trader
from adapters.fake.matrix.stand import CAPITAL, MICRO, Stand
from core.domain.fees import Side
from core.engine.live.memory import remember
from core.engine.paper.book import PRICE_UNIT, QUANTITY_UNIT
from core.engine.paper.exchange import FakeOrder
from core.ledger.kinds import (
    AccountDiffers,
    OrderFilled,
    OrderIntended,
    RunEnded,
    RunOutcome,
    VerdictGiven,
)
from core.ledger.kinds.orders import FillVoided
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from core.ledger.verify import verify


@dataclass(slots=True)
class Books:
    """What differs, by invariant."""

    broken: list[tuple[str, str]] = field(default_factory=list)
    digest: str = ""
    voided: int = 0

    def say(self, invariant: str, text: str) -> None:
        """Note a difference."""
        self.broken.append((invariant, text))


@dataclass(slots=True)
class LedgerFacts:
    """What the ledger says happened."""

    intents: dict[str, tuple[int, ...]] = field(default_factory=dict)
    approved: dict[int, str] = field(default_factory=dict)
    fills: list[OrderFilled] = field(default_factory=list)
    voided: set[str] = field(default_factory=set)
    reverted: set[str] = field(default_factory=set)
    recovered: int = 0
    differences: list[str] = field(default_factory=list)
    digest: str = ""
    numbers: set[int] = field(default_factory=set)
    signs: dict[str, list[tuple[int, str]]] = field(default_factory=dict)


def read_ledger(stand: Stand) -> LedgerFacts:
    """Read the ledger of a closed run."""
    facts, seal = LedgerFacts(), hashlib.sha256()
    for row in LedgerReader(stand.root / "ledger").rows(Selection()):
        payload: Any = row.decoded()
        facts.numbers.add(row.seq)
        if isinstance(payload, OrderIntended):
            facts.intents[payload.client_order_id] = tuple(json.loads(row.parents))
        elif isinstance(payload, VerdictGiven) and payload.approved:
            facts.approved[row.seq] = payload.client_order_id
        elif isinstance(payload, OrderFilled):
            facts.fills.append(payload)
        elif isinstance(payload, FillVoided):
            facts.voided.add(payload.trade_id)
            facts.reverted.add(payload.client_order_id)
        elif isinstance(payload, AccountDiffers):
            facts.differences.append(
                f"{payload.subject}: {payload.here} {payload.there} {payload.action}"
            )
        elif isinstance(payload, RunEnded) and payload.outcome is RunOutcome.CRASHED_RECOVERED:
            facts.recovered += 1
        kind = row.kind.partition("@")[0]
        if kind in ("fault", "feed.state"):  # what the watch saw, once a second
            state = getattr(payload, "state", "")
            sign = "limited" if state == "limited" else kind
            facts.signs.setdefault(sign, []).append((row.ts_event, state))
        elif row.kind not in ("ledger.genesis", "genesis"):
            seal.update(f"{row.kind}|{payload!r}".encode())
    facts.digest = seal.hexdigest()
    return facts


def compare(stand: Stand, trader: Trader, gone: frozenset[str] = frozenset()) -> Books:
    """Compare the books of a closed, quiet run; `gone` are trades the venue took back."""
    books, facts = Books(), read_ledger(stand)
    books.digest, books.voided = facts.digest, len(facts.voided)
    for text in stand.engine.violations:
        books.say("I3", text)
    for text in stand.client.failures:
        books.say("I1", text)
    for text in facts.differences:
        books.say("I3", f"the account was said to differ: {text}")
    _orders(stand, trader, facts, books)
    _fills(stand, facts, books, gone)
    _money(stand, facts, books)
    cuts = len(stand.cut.cuts) if stand.cut is not None else 0
    if facts.recovered > cuts or (cuts and not facts.recovered):
        books.say("I9", f"{cuts} kills, {facts.recovered} runs sealed as crashed")
    if not _late(stand):
        for text in stand.exposure.broken[:3]:
            books.say("I5", text)
    for text in stand.visible.missing(facts):
        books.say("I9", text)
    if lost := sorted((stand.acknowledged | stand.appended) - facts.numbers):
        books.say("I6", f"{len(lost)} rows are not in the ledger: {lost[:4]}")
    report = verify(stand.root / "ledger", structure=False)
    if not report.ok:
        books.say("I6", f"ledger: {report.first_bad}")
    return books


def _orders(stand: Stand, trader: Trader, facts: LedgerFacts, books: Books) -> None:
    counts = Counter(stand.cid(o) for o in stand.exchange.orders.values())
    for cid, number in counts.items():
        if number > 1:
            books.say("I2", f"{cid} is at the venue {number} times")
        if cid not in stand.engine.ever and cid not in stand.engine.before:
            books.say("I1", f"venue order {cid} is not in the engine")
        parents = facts.intents.get(cid)
        if parents is None:
            books.say("I4", f"venue order {cid} has no intent in the ledger")
        elif not any(facts.approved.get(p) == cid for p in parents):
            books.say("I4", f"venue order {cid} has no approval in the ledger")
    for order in stand.exchange.orders.values():
        ours = stand.engine.ever.get(stand.cid(order))
        if ours is None or stand.cid(order) in stand.client.unknowns.late:
            continue
        filled = Decimal(order.filled) / QUANTITY_UNIT
        if (order.status == "resting") != ours.is_open:
            books.say(
                "I1",
                f"{stand.cid(order)} is {order.status} at the venue, {ours.status} here",
            )
        voided = stand.cid(order) in facts.reverted
        if ours.filled_qty.as_decimal() != filled and not voided:
            books.say(
                "I3",
                f"{stand.cid(order)} filled {filled} at the venue, {ours.filled_qty} here",
            )
    for order in stand.exchange.working():
        _terms(stand, order, books)
    for cid, ours in stand.engine.ever.items():
        if cid not in counts and not ours.is_closed:
            books.say("I1", f"{cid} is {ours.status} here and unknown to the venue")
    _reservations(stand, trader, books)
    working = {stand.cid(o) for o in stand.exchange.working()}
    late = set(stand.client.unknowns.late)
    for cid in sorted(set(remember(stand.root / "ledger").leftovers) ^ working - late):
        books.say("I1", f"{cid}: ledger and venue differ on whether it still works")


def _terms(stand: Stand, order: FakeOrder, books: Books) -> None:
    """Compare size and price of a working order with the venue's, and see that no change of it is left open."""
    cid, yes = stand.cid(order), Decimal(order.price) / PRICE_UNIT
    ours = stand.engine.ever.get(cid)
    if ours is None:
        return
    price = yes if order.outcome == "YES" else 1 - yes
    size = Decimal(order.quantity) / QUANTITY_UNIT
    if ours.quantity.as_decimal() != size:
        books.say("I3", f"{cid} is for {size} at the venue, for {ours.quantity} here")
    first = next(m for m in stand.markets if m.market_id == order.market).outcomes[0].instrument_id
    if ours.instrument_id.value == first and ours.price.as_decimal() != price:
        books.say("I3", f"{cid} is at {price} at the venue, at {ours.price} here")
    known = stand.gate.book.orders.get(cid)
    if known is not None and known.change is not None:
        books.say("I5", f"the gate still reserves for a change of {cid}")


def _reservations(stand: Stand, trader: Trader, books: Books) -> None:
    known = stand.gate.book.orders
    resting = {stand.cid(o) for o in stand.exchange.working()}
    for cid in known:
        if cid not in resting and cid in trader.intents:
            books.say("I5", f"the gate still reserves for {cid}")
    for cid in resting - set(known):
        books.say("I5", f"the gate reserves nothing for working {cid}")


def _late(stand: Stand) -> bool:
    """Return whether an order proven absent appeared after all: trading is halted, the engine reconciles at the next start."""
    late = bool(stand.client.unknowns.late) and "proven absent" in stand.halted
    return late or "filled after the start" in stand.halted


def _fills(stand: Stand, facts: LedgerFacts, books: Books, gone: frozenset[str]) -> None:
    written = Counter(f.trade_id for f in facts.fills)
    for trade, number in written.items():
        if number > 1:
            books.say("I2", f"trade {trade} is in the ledger {number} times")
    standing = {t for t in written if t not in facts.voided}
    if stand.lives == 1 and not _late(stand) and standing != set(stand.engine.trades):
        books.say("I3", f"fills differ: {sorted(standing ^ set(stand.engine.trades))[:4]}")
    if stand.venue != "POLYMARKET":
        venue = {e.trade_id for e in stand.exchange.executions} - gone
        if venue != standing:
            books.say("I3", f"venue and ledger differ in trades {sorted(venue ^ standing)[:4]}")


def _money(stand: Stand, facts: LedgerFacts, books: Books) -> None:
    cash = CAPITAL
    held: Counter[str] = Counter()
    sizes: dict[str, Decimal] = {}
    for fill in facts.fills:
        if fill.trade_id in facts.voided:
            continue
        sign = 1 if fill.side is Side.BUY else -1
        cash -= sign * fill.quantity * fill.price + fill.fee
        sizes[fill.instrument_id] = sizes.get(fill.instrument_id, Decimal(0)) + sign * fill.quantity
    held.clear()
    truth: dict[str, Decimal] = {}
    for (market_id, name), quantity in stand.exchange.account.positions().items():
        market = next(m for m in stand.markets if m.market_id == market_id)
        iid = market.outcomes[0 if name == "YES" else 1].instrument_id
        truth[iid] = Decimal(quantity) / QUANTITY_UNIT
    for market_id, state in stand.exchange.markets.items():
        if state.yes_payout is None:
            continue
        market = next(m for m in stand.markets if m.market_id == market_id)
        payout = Decimal(state.yes_payout) / PRICE_UNIT
        cash += sizes.pop(stand.instrument(market), Decimal(0)) * payout
        stand.engine.positions.pop(stand.instrument(market), None)
    ledger = {i: q for i, q in sizes.items() if q}
    engine = {i: q for i, q in stand.engine.positions.items() if q}
    gate = {
        i: stand.gate.position(s, i)
        for s, i in stand.gate.book.holdings
        if stand.gate.position(s, i)
    }
    for name, book in (("ledger", ledger), ("engine", engine), ("gate", gate)):
        if name == "engine" and _late(stand):
            continue
        if book != truth:
            books.say("I3", f"positions: venue {_show(truth)}, {name} {_show(book)}")
    venue_cash = Decimal(stand.exchange.account.cash) / MICRO
    code = stand.markets[0].venue
    for name, value in (("ledger", cash), ("gate", stand.gate.cash(code))):
        if value != venue_cash:
            books.say("I3", f"cash: venue {venue_cash}, {name} {value}")
    if stand.engine.cash_shown != venue_cash:
        books.say("I3", f"cash: venue {venue_cash}, engine {stand.engine.cash_shown}")


def _show(book: dict[str, Decimal]) -> dict[str, str]:
    return {i[-24:]: str(q) for i, q in book.items()}
