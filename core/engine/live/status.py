"""What an operator wants to see of a node each second, as values."""

from __future__ import annotations

import time
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from core.engine.live.journal import LiveJournal
from core.engine.live.port import VenuePort

if TYPE_CHECKING:
    from core.engine.live.node import Node


@dataclass(frozen=True, slots=True)
class Held:
    """One position: shares, average mark, strategy."""

    strategy_id: str
    instrument_id: str
    quantity: Decimal
    mark: Decimal | None


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A moment of a node.

    Attributes
    ----------
    feed_age_s, spot_age_s : float
        Seconds since the last news of any market, and of the spot price behind them; None before the first
        (and where no spot is followed).
    pnl : Decimal
        Equity less what the account was worth when this run began, dollars.
    committed, budget : Decimal
        Dollars at risk in holdings and working buys, and the most the limits allow of them.
    unknown : int
        Orders of unknown fate.
    """

    mode: str
    venue: str
    run_id: str
    uptime_s: float
    markets: int
    settled: int
    feed_age_s: float | None
    spot_age_s: float | None
    spot: bool
    link_up: bool
    cash: Decimal
    equity: Decimal
    pnl: Decimal
    committed: Decimal
    budget: Decimal
    fees: Decimal
    fills: int
    orders: int
    refused: int
    unknown: int
    halted: str
    positions: tuple[Held, ...]
    ledger_seq: int

    @classmethod
    def of(cls, node: Node, port: VenuePort) -> NodeStatus:
        """Return the present moment of `node`."""
        now = time.time_ns()
        journal, gate = node.session.journal, node.gate
        assert isinstance(journal, LiveJournal), "a node's journal"
        news = getattr(node.data, "last_news_ns", {}) or {}
        last = max(news.values(), default=0)
        held = []
        for strategy_id, iid in sorted(gate.book.holdings):
            quantity = gate.position(strategy_id, iid)
            if quantity > 0:
                ref = node.session.references.by_iid.get(iid)
                held.append(
                    Held(strategy_id, iid, quantity, node.session.mark_price(ref) if ref else None)
                )
        return cls(
            mode=node.spec.mode.value,
            venue=port.venue,
            run_id=node.run_id,
            uptime_s=(now - node.started_ns) / 1e9,
            markets=len(node.session.references.by_market) - len(node.spot),
            settled=sum(
                1
                for refs in node.session.references.by_market.values()
                if refs[0].iid in node.session.payouts
            ),
            feed_age_s=(now - last) / 1e9 if last else None,
            spot_age_s=_spot_age_s(node, now),
            spot=bool(node.spot),
            link_up=node.links.get(port.venue, port.__class__.__name__ == "PaperPort"),
            cash=gate.cash(port.venue),
            equity=(equity := gate.equity()),
            pnl=equity - node.began_with,
            committed=gate.exposure(),
            budget=equity * gate.limits.exposure.total,
            fees=journal.fees,
            fills=journal.filled,
            orders=journal.asked,
            refused=sum(journal.refusals.values()),
            unknown=len(node.client.unknowns.ids) if node.client is not None else 0,
            halted=node.trouble(),
            positions=tuple(held),
            ledger_seq=node.ledger.head.seq,
        )


def _spot_age_s(node: Node, now_ns: int) -> float | None:
    """Return the age of the newest spot trade the node has seen."""
    cache = node.session.cache
    if cache is None or not node.spot:
        return None
    refs = [node.session.references[m.market_id] for m in node.spot]
    seen = [t.ts_init for r in refs if (t := cache.trade(r.native)) is not None]
    return (now_ns - max(seen)) / 1e9 if seen else None
