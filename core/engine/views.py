"""Second layer of a strategy: what it can read. Exact numbers, at this very moment."""

from __future__ import annotations

from decimal import Decimal

from nautilus_trader.model import OrderSide

from core.domain.clock import NS_PER_DAY
from core.domain.fees import FeeCharge, FeeFill, Role, Side
from core.domain.money import ONE, ZERO
from core.engine.bound import BoundStrategy
from core.engine.references import PriceSource
from core.engine.session import Level, Session
from core.engine.units import exact
from core.risk.barred import Barred
from core.risk.checks import Reach
from core.risk.sizing import Size, SizeRequest, size

Top = tuple[Level | None, Level | None]

#: Age of a book that was never seen.
NEVER_NS = 100 * 365 * NS_PER_DAY


class ViewingStrategy(BoundStrategy):
    """Reading side of `BetaStrategy`."""

    def bind(self, session: Session) -> None:
        """Give the strategy its run; `top`, asked at every change of a book, has what it needs at hand."""
        super().bind(session)
        get, by_id, ask = session.references.by_iid.get, session.references, session.top

        def top(iid: str) -> Top:
            ref = get(iid) or by_id[iid]
            return ref.levels if ref.current else ask(ref)

        if type(self).top is ViewingStrategy.top:  # an author's own stays
            setattr(self, "top", top)  # noqa: B010

    def position(self, iid: str) -> Decimal:
        """Shares that this strategy holds (merged pairs are no longer held)."""
        return self.session.gate.position(self._bt_sid, iid)

    def positions(self) -> dict[str, Decimal]:
        """Everything this strategy holds, by instrument, sorted."""
        held = sorted(iid for sid, iid in self.session.gate.book.holdings if sid == self._bt_sid)
        return {iid: q for iid in held if (q := self.position(iid)) > 0}

    def cash(self, venue: str | None = None) -> Decimal:
        """Free dollars of the account: total minus what working orders reserve.

        Parameters
        ----------
        venue : str, optional
            Venue code; None = all venues of the run together.
        """
        gate = self.session.gate
        if venue is not None:
            return gate.free_cash(venue)
        return sum((gate.free_cash(code) for code in self.session.fee_books), ZERO)

    def room(self, iid: str, over: Reach = "order") -> Decimal:
        """Dollars, fees included, that one more purchase of `iid` may cost under the limits in force.

        Parameters
        ----------
        over : {"order", "market", "event"}
            What several orders in its market, or in markets of its event, may cost together.
        """
        return self.session.gate.room(self._bt_sid, iid, over)

    def worst_cost(
        self, iid: str, price: Decimal, quantity: Decimal, *, resting: bool = False
    ) -> Decimal:
        """Dollars that a buy at `price` or better can cost at most, as the gate counts them against `room`.

        `resting`: the order may stay in the book until fee rules change.
        """
        return self.session.gate.worst_cost(iid, price, quantity, self.now_ns, resting=resting)

    def sized(
        self,
        iid: str,
        price: Decimal,
        *,
        probability: Decimal | None = None,
        stop: Decimal | None = None,
        atr: Decimal | None = None,
        depth: Decimal | None = None,
    ) -> Size:
        """Largest purchase at `price` under the risk layer's sizing, and the bound that decided it.

        Fractional Kelly, loss per trade to the stop, volatility, shown depth and the caps of the limits in force;
        posture, phase and volatility of the market cut it (`core.risk.sizing`).

        Parameters
        ----------
        probability : Decimal, optional
            Chance that the outcome pays; None where there is none (spot).
        stop, atr : Decimal, optional
            Price of the stop, and average true range in price units: the loss a share is taken for is the distance to
            the stop, at least `sizing.atr_multiple` ranges, at most the whole cost.
        depth : Decimal, optional
            Shares offered at `price` or better.
        """
        gate, market = self.session.gate, self._bt_refs[iid].market
        request = SizeRequest(
            equity=self.equity(),
            price=price,
            fee=max(ZERO, self.worst_cost(iid, price, ONE) - price),
            size_step=market.size_step,
            min_size=market.min_size,
            probability=probability,
            stop=stop,
            atr=atr,
            depth=depth,
            room=min(self.room(iid), self.cash(market.venue)),
            factor=gate.factor(iid),
        )
        return size(request, gate.limits)

    def barred(self, iid: str) -> Barred | None:
        """Why no purchase of `iid` can pass the gate now: its code, what was seen, and until when; None if one can.

        A halt, a cool-down, the breaker, the phase of the fund, a market that is not open. An order sent
        nevertheless is refused; a strategy that asks first writes no row for nothing.
        """
        return self.session.gate.why_barred(self._bt_sid, iid, self.now_ns)

    def equity(self) -> Decimal:
        """Dollars: cash of all venues plus all positions as the risk layer values them.

        The middle of a tight book; a wide or one-sided book only bounds the last value. (Result rows and
        the equity curve value at the bid.)
        """
        self.session.mark_all()
        return self.session.gate.equity()

    def best_bid(self, iid: str) -> Level | None:
        """Best bid, or None when the side is empty or nothing was seen yet."""
        return self.top(iid)[0]

    def best_ask(self, iid: str) -> Level | None:
        """Best ask, or None when the side is empty or nothing was seen yet."""
        return self.top(iid)[1]

    def top(self, iid: str) -> Top:
        """Best bid and ask in one call."""
        ref = self._bt_refs.by_iid.get(iid) or self._bt_refs[iid]
        return ref.levels if ref.current else self.session.top(ref)

    def mid(self, iid: str) -> Decimal | None:
        """Middle of bid and ask, or None without both sides."""
        bid, ask = self.top(iid)
        return None if bid is None or ask is None else (bid.price + ask.price) / 2

    def depth(self, iid: str, side: Side, levels: int = 10) -> list[Level]:
        """Best `levels` levels one can trade against: asks for BUY, bids for SELL, best first; none once paid out."""
        ref = self._bt_refs[iid]
        if iid in self.session.payouts:
            return []
        if ref.source is not PriceSource.BOOK:
            bid, ask = self.session.top(ref)
            level = ask if side is Side.BUY else bid
            return [level] if level is not None else []
        book = self._bt_cache.order_book(ref.native)
        if book is None:
            return []
        if side is Side.BUY:
            found = book.get_all_crossed_levels(OrderSide.BUY, ref.top_price, ref.size_precision)
        else:
            found = book.get_all_crossed_levels(OrderSide.SELL, ref.low_price, ref.size_precision)
        return [Level(exact(p), exact(q)) for p, q in found[:levels]]

    def book_age_ns(self, iid: str) -> int:
        """Nanoseconds since the book of `iid` last changed; a large number when never seen."""
        ref = self._bt_refs[iid]
        if ref.tracked and ref.news is not None:
            seen = int(ref.news.ts_event)
        elif ref.source is PriceSource.BOOK:
            book = self._bt_cache.order_book(ref.native)
            seen = -1 if book is None or not book.update_count else int(book.ts_last)
        elif ref.source is PriceSource.QUOTES:
            quote = self._bt_cache.quote(ref.native)
            seen = -1 if quote is None else int(quote.ts_event)
        else:
            trade = self._bt_cache.trade(ref.native)
            seen = -1 if trade is None else int(trade.ts_event)
        return NEVER_NS if seen < 0 else max(0, self.now_ns - seen)

    def fee(self, iid: str, side: Side, role: Role, price: Decimal, quantity: Decimal) -> FeeCharge:
        """Exact charge of such a fill now, as the first fill of its order."""
        ref = self._bt_refs[iid]
        fill = FeeFill("", side, role, price, quantity, self.now_ns)
        return self.session.fee_books[ref.venue].estimate(ref.market.fees, fill)
