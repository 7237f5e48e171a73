"""Write a generated binary market: both books, trades, trading end and settlement."""

from __future__ import annotations

from decimal import Decimal

from adapters.sample.ladders import Ladder, other_side, other_trades
from core.domain.clock import NS_PER_SECOND
from core.domain.market import Market
from core.engine.catalog import CatalogWriter


def publish(
    writer: CatalogWriter, market: Market, ladder: Ladder, first_pays: bool, settle_after_s: int
) -> None:
    """Write `market` with the book of its first outcome and the mirrored book of the second.

    The books end at the close; the settlement follows `settle_after_s` later.
    """
    yes, no = (o.instrument_id for o in market.outcomes)
    book, trades = ladder.deltas(market.close_ns), ladder.trades(f"{market.market_id}-")
    writer.deltas(yes, book)
    writer.deltas(no, other_side(book))
    if trades is not None:
        writer.trades(yes, trades)
        writer.trades(no, other_trades(trades))
    payouts = (Decimal(int(first_pays)), Decimal(int(not first_pays)))
    settled_ns = market.close_ns + settle_after_s * NS_PER_SECOND
    writer.markets([market.resolved_as(payouts)])
    for iid, payout in zip((yes, no), payouts, strict=True):
        writer.statuses(iid, [(market.close_ns, "CLOSE", "close time")])
        writer.closes(iid, settled_ns, payout)
