"""What the gate answers: a refusal with its reason, or the checks that an approval passed."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from core.domain.decision import CheckResult, OrderIntent, Verdict
from core.domain.errors import OrderRefused
from core.risk.record import results


class Code(StrEnum):
    """Stable reason codes of refusals. The mend of each is in `MENDS`."""

    DUPLICATE_ID = "DUPLICATE_ID"
    UNKNOWN_VENUE = "UNKNOWN_VENUE"
    UNKNOWN_INSTRUMENT = "UNKNOWN_INSTRUMENT"
    INTENT_MISMATCH = "INTENT_MISMATCH"
    INVALID_QUANTITY = "INVALID_QUANTITY"
    INVALID_PRICE = "INVALID_PRICE"
    MARKET_CLOSED = "MARKET_CLOSED"
    PRICE_OFF_GRID = "PRICE_OFF_GRID"
    SIZE_OFF_STEP = "SIZE_OFF_STEP"
    SIZE_TOO_SMALL = "SIZE_TOO_SMALL"
    NO_REFERENCE = "NO_REFERENCE"
    COVERED_SELL = "COVERED_SELL"
    OPPOSITE_HELD = "OPPOSITE_HELD"
    OPPOSITE_BID = "OPPOSITE_BID"
    FEE_UNKNOWN = "FEE_UNKNOWN"
    CASH = "CASH"
    HALTED = "HALTED"
    REDUCE_ONLY = "REDUCE_ONLY"
    UNKNOWN_STRATEGY = "UNKNOWN_STRATEGY"
    STRATEGY_STOPPED = "STRATEGY_STOPPED"
    CLOCK_BACK = "CLOCK_BACK"
    COOL_DOWN = "COOL_DOWN"
    PHASE = "PHASE"
    BREAKER_OPEN = "BREAKER_OPEN"
    BREAKER_LIMIT = "BREAKER_LIMIT"
    BLACKLISTED = "BLACKLISTED"
    MARKET_BARRED = "MARKET_BARRED"
    STALE_BOOK = "STALE_BOOK"
    COLLAR = "COLLAR"
    LIQUIDITY = "LIQUIDITY"
    RATE = "RATE"
    REPEATED = "REPEATED"
    UNKNOWN_ORDERS = "UNKNOWN_ORDERS"
    OPEN_ORDERS = "OPEN_ORDERS"
    ORDER_LIMIT = "ORDER_LIMIT"
    MARKET_LIMIT = "MARKET_LIMIT"
    EVENT_LIMIT = "EVENT_LIMIT"
    VENUE_LIMIT = "VENUE_LIMIT"
    TOTAL_LIMIT = "TOTAL_LIMIT"
    FAMILY_BUDGET = "FAMILY_BUDGET"
    NOT_WORKING = "NOT_WORKING"


#: What the operator or the strategy can do about each refusal.
MENDS: dict[str, str] = {
    Code.DUPLICATE_ID: "use a new client order id; an id is never sent twice",
    Code.UNKNOWN_VENUE: "add the venue to the run's configuration",
    Code.UNKNOWN_INSTRUMENT: "load the market before trading it",
    Code.INTENT_MISMATCH: "name the instrument's own venue, market and event",
    Code.INVALID_QUANTITY: "use a positive, finite quantity with at most 9 decimals",
    Code.INVALID_PRICE: "use a positive, finite price with at most 9 decimals",
    Code.MARKET_CLOSED: "trade only while the market is open and active",
    Code.PRICE_OFF_GRID: "use a price of the market's tick grid (Market.grid_of)",
    Code.SIZE_OFF_STEP: "round the quantity to the market's size step",
    Code.SIZE_TOO_SMALL: "order at least the market's minimum size",
    Code.NO_REFERENCE: "wait for a quote: there is no price to compare with",
    Code.COVERED_SELL: "sell at most what is held and not already promised to resting orders",
    Code.OPPOSITE_HELD: "sell the held side instead: this venue nets the two outcomes",
    Code.OPPOSITE_BID: "cancel the other strategy's purchase first: this venue nets the two outcomes",
    Code.FEE_UNKNOWN: "give the market a fee schedule that its venue's rules know",
    Code.CASH: "order less, or free cash by cancelling resting orders",
    Code.HALTED: "mend the cause, then beta risk resume",
    Code.REDUCE_ONLY: "only sales pass until the cause ends; beta risk show names it",
    Code.UNKNOWN_STRATEGY: "register the strategy with the gate before it trades",
    Code.STRATEGY_STOPPED: "start the strategy again; a stopped one may only sell",
    Code.CLOCK_BACK: "correct the machine's clock; buying waits until it has caught up",
    Code.COOL_DOWN: "wait until the time shown; the cool-down ends by itself",
    Code.PHASE: "this strategy family starts at a larger fund (beta risk show, phases)",
    Code.BREAKER_OPEN: "wait until the time shown; the cool-down ends by itself",
    Code.BREAKER_LIMIT: "reduce arbitrage positions, or beta risk set breaker.total",
    Code.BLACKLISTED: "beta risk set blacklist, without this name",
    Code.MARKET_BARRED: "compare positions and cash with the venue, then beta risk resume",
    Code.STALE_BOOK: "wait for a fresh book; check the feed",
    Code.COLLAR: "use a price nearer to the market, or beta risk set price.collar",
    Code.LIQUIDITY: "order at most what the book shows at this price",
    Code.RATE: "order less often, or beta risk set rate.orders",
    Code.REPEATED: "do not repeat the same order, or beta risk set rate.repeats",
    Code.UNKNOWN_ORDERS: "resolve the unknown orders at the venue first",
    Code.OPEN_ORDERS: "cancel resting orders, or beta risk set exposure.open_orders",
    Code.ORDER_LIMIT: "order less (Gate.room says how much), or beta risk set exposure.order",
    Code.MARKET_LIMIT: "reduce this market first, or beta risk set exposure.market",
    Code.EVENT_LIMIT: "reduce this event first, or beta risk set exposure.event",
    Code.VENUE_LIMIT: "reduce this venue first, or beta risk set exposure.venue",
    Code.TOTAL_LIMIT: "reduce positions first, or beta risk set exposure.total",
    Code.FAMILY_BUDGET: "this strategy family has used its share of the risk budget",
    Code.NOT_WORKING: "modify only an order that the venue has accepted and that is not changing",
}


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """The gate said no.

    Attributes
    ----------
    intent : OrderIntent
        What was asked.
    code : str
        Stable reason code (`Code`).
    raw : tuple of tuple
        The checks in the order they were made, the failed one last (`core.risk.record`).
    """

    intent: OrderIntent
    code: str
    raw: tuple[tuple[object, ...], ...]
    ts_ns: int

    @property
    def approved(self) -> bool:
        """Always False; so that both answers can be asked the same question."""
        return False

    @property
    def checks(self) -> tuple[CheckResult, ...]:
        """The checks as text, the failed one last."""
        return results(self.raw)

    @property
    def mend(self) -> str:
        """What can be done about it."""
        return MENDS.get(self.code, "")

    @property
    def reason(self) -> str:
        """One line: code, the value seen and the limit."""
        if not self.raw:
            return self.code
        failed = self.checks[-1]
        return f"{self.code}: {failed.value} against {failed.limit}; {self.mend}"

    def verdict(self) -> Verdict:
        """Return the ledger's form of this answer."""
        return Verdict(self.intent.client_order_id, False, self.code, self.checks, self.ts_ns)

    def error(self) -> OrderRefused:
        """Return this refusal as an exception for callers that must stop."""
        seen = self.checks[-1].value if self.raw else None
        return OrderRefused(self.code, f"the gate refused the order ({self.code})", seen, self.mend)


class MarketView(msgspec.Struct, frozen=True, gc=False):
    """What the market looked like at the moment of the intent. Time is an argument here, never read.

    Attributes
    ----------
    now_ns : int
        Time of the decision.
    bid, ask : Decimal, optional
        Best prices of the instrument's own book.
    depth : Decimal, optional
        Shares that can be taken at the intent's limit or better; None = not known.
    book_age_ns : int
        Age of the book; 0 = fresh.
    """

    now_ns: int
    bid: Decimal | None = None
    ask: Decimal | None = None
    depth: Decimal | None = None
    book_age_ns: int = 0
