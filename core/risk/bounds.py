"""What an order is measured against: limits in dollars, the collar's prices, the worst-case fee; each remembered."""

from __future__ import annotations

from bisect import bisect_right
from decimal import Decimal

from core.domain.fees import Side
from core.risk.governor import NS_PER_HOUR, Governor
from core.risk.instruments import FOREVER_NS, Grid, InstrumentRules, Quotes
from core.risk.limits import Limits
from core.risk.phases import FundPhase
from core.risk.portfolio import Portfolio
from core.risk.table import Ceilings, Table
from core.risk.units import NANO, attos_up, nanos_of, nanos_of_text, shares

#: Prices and collar bounds kept per grid.
REMEMBERED_QUOTES = 65_536
#: Worst-case fees kept before they are worked out anew.
REMEMBERED_FEES = 65_536
#: Schedule, whether it buys, price, size and whether it rests: what a worst-case fee depends on, but for time.
FeeKey = tuple[int, bool, int, int, bool]
_BUY = Side.BUY


class Bounds:
    """Numbers that follow from the limits, the book and the venues' rules. Base of the gate."""

    governor: Governor
    phase: FundPhase

    def __init__(self, limits: Limits) -> None:
        self.book = Portfolio()
        #: The hour (begin, end), between which rules its life ends, and the bound.
        self._fee_bounds: dict[FeeKey, tuple[int, int, int, int, int]] = {}
        self._cash_bounds: dict[tuple[int, int, int, int], int] = {}
        self._quotes: dict[Grid, Quotes] = {}
        self.bind(limits)
        self._kept = Ceilings(self.table, -1, 0, 0)

    def bind(self, limits: Limits) -> None:
        """Take over changed limits."""
        self.limits = limits
        self.table = Table.of(limits)
        for quotes in self._quotes.values():
            quotes.bounds.clear()

    def quotes_of(self, grid: Grid) -> Quotes:
        """Return what the instruments of one grid share."""
        return self._quotes.setdefault(grid, Quotes())

    def ceilings(self, rules: InstrumentRules) -> Ceilings:
        """Return the limits in dollars that a purchase of this instrument has now."""
        book, governor, kept = self.book, self.governor, self._kept
        equity, phase = book.equity, self.phase.factor
        if governor.volatile:
            return Ceilings(self.table, equity, governor.factor(*rules.labels), phase)
        if (
            equity != kept.equity
            or governor.left != kept.factor
            or phase != kept.phase
            or self.table is not kept.table
        ):
            self._kept = kept = Ceilings(self.table, equity, governor.left, phase)
        return kept

    def orderable(self, rules: InstrumentRules, price: Decimal) -> int | None:
        """Return a price in billionths, None if it is none of the market's grid; remembered."""
        text = str(price)
        at = nanos_of_text(text)
        if at is None or not rules.grid.contains(at):
            return None
        if len(rules.quotes.prices) < REMEMBERED_QUOTES:
            rules.quotes.prices[text] = at
        return at

    def collar(self, rules: InstrumentRules, touch: Decimal | None) -> tuple[int, int, int] | None:
        """Return the lowest sale and the highest purchase that the collar allows at this quote, and the quote.

        Remembered. Without a quote the last value counts; None when there is none, or it is no price.
        """
        at = nanos_of(touch) if touch is not None else self.book.marks.get(rules.instrument_id)
        if at is None or at <= 0:
            return None
        table = self.table
        reach = max(at * table.collar // NANO, table.collar_ticks * rules.grid.step_at(at))
        found = (at - reach, at + reach, at)
        if touch is not None and len(rules.quotes.bounds) < REMEMBERED_QUOTES:
            rules.quotes.bounds[str(touch)] = found
        return found

    def fee_bound(
        self,
        rules: InstrumentRules,
        price: int,
        quantity: int,
        now_ns: int,
        until_ns: int = 0,
        side: Side = _BUY,
    ) -> int:
        """Return the worst-case fee of an order, in 1e-18 dollar.

        The bound of a purchase at `price` or better is also what a sale is reserved with: beyond its
        proceeds a sale costs most at its limit, because a better price brings more than its fee.

        Remembered per schedule, side, price and size for the hour (fee rules change on the hour, never
        within) and for every end of life that reaches the same rules.

        Parameters
        ----------
        until_ns : int
            End of the order's life: the worst of the rules that begin before it counts.
        side : Side
            SELL for the most that a sale at `price` or better can be charged.

        Raises
        ------
        FeeError
            If no rule is known for the schedule.
        """
        resting = until_ns > now_ns
        key = (rules.fee_terms, side is _BUY, price, quantity, resting)
        found = self._fee_bounds.get(key)
        if found is not None:
            begin, end, least, most, bound = found
            if begin <= now_ns < end and (not resting or least <= until_ns < most):
                return bound
        return self._work_out(key, rules, now_ns, until_ns, side)

    def _work_out(
        self,
        key: FeeKey,
        rules: InstrumentRules,
        now_ns: int,
        until_ns: int,
        side: Side,
    ) -> int:
        """Work a worst-case fee out and remember it. Apart: what the generator refers to makes its function slower."""
        _, _, price, quantity, resting = key
        starts = rules.rule_starts_ns
        first = bisect_right(starts, now_ns)
        last = bisect_right(starts, until_ns) if resting else first
        at, size = shares(price), shares(quantity)
        worst = max(
            rules.venue.fees.worst_case(rules.fees, at, size, t, side)
            for t in (now_ns, *starts[first:last])
        )
        bound = max(0, attos_up(worst))
        if len(self._fee_bounds) >= REMEMBERED_FEES:
            self._fee_bounds.clear()
        hour = now_ns // NS_PER_HOUR * NS_PER_HOUR
        least = starts[last - 1] if last else 0
        most = starts[last] if last < len(starts) else FOREVER_NS + 1
        self._fee_bounds[key] = hour, hour + NS_PER_HOUR, least, most, bound
        return bound

    def cash_bound(self, rules: InstrumentRules, price: int, quantity: int, now_ns: int) -> int:
        """Return the worst-case fee of a BUY that spends ``price * quantity`` dollars, in 1e-18 dollar."""
        cash = rules.cash_fees
        if cash is None:
            return self.fee_bound(rules, price, quantity, now_ns)
        key = (rules.fee_terms, price, quantity, now_ns // NS_PER_HOUR)
        bound = self._cash_bounds.get(key)
        if bound is None:
            worst = cash.worst_case_of_cash(rules.fees, shares(price), shares(quantity), now_ns)
            bound = max(0, attos_up(worst))
            if len(self._cash_bounds) >= REMEMBERED_FEES:
                self._cash_bounds.clear()
            self._cash_bounds[key] = bound
        return bound

    def bound_of(
        self,
        rules: InstrumentRules,
        price: int,
        quantity: int,
        now_ns: int,
        until_ns: int,
        by_cash: bool,
    ) -> int:
        """Return the worst-case fee of a BUY of shares, or `by_cash` of one for dollars."""
        if by_cash:
            return self.cash_bound(rules, price, quantity, now_ns)
        return self.fee_bound(rules, price, quantity, now_ns, until_ns)
