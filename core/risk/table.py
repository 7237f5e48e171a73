"""Limits as integers, worked out once when they come into force."""

from __future__ import annotations

from dataclasses import dataclass

from core.domain.clock import NS_PER_SECOND
from core.risk.limits import Limits
from core.risk.units import NANO, attos_down, nanos_of


@dataclass(frozen=True, slots=True)
class Table:
    """What the checks compare with: shares in billionths, money in 1e-18 dollar, times in nanoseconds."""

    order: int
    market: int
    event: int
    venue: int
    total: int
    order_usd: int
    open_orders: int
    unknown_orders: int
    collar: int
    collar_ticks: int
    slippage: int
    book_age_ns: int
    mark_spread: int
    depth_share: int
    blacklist: frozenset[str]

    @classmethod
    def of(cls, limits: Limits) -> Table:
        """Return `limits` as integers."""
        e, p = limits.exposure, limits.price

        def share(value: object) -> int:
            number = nanos_of(value)  # type: ignore[arg-type]
            assert number is not None, value  # at most 9 decimals: checked where limits are built
            return number

        return cls(
            order=share(e.order),
            market=share(e.market),
            event=share(e.event),
            venue=share(e.venue),
            total=share(e.total),
            order_usd=attos_down(e.order_usd),
            open_orders=e.open_orders,
            unknown_orders=e.unknown_orders,
            collar=share(p.collar),
            collar_ticks=p.collar_ticks,
            slippage=share(p.slippage),
            book_age_ns=p.book_age_ms * NS_PER_SECOND // 1_000,
            mark_spread=share(p.mark_spread),
            depth_share=share(limits.sizing.depth_share),
            blacklist=frozenset(limits.blacklist),
        )


class Ceilings:
    """The limits in dollars of 1e-18 that the equity of a moment leaves, and what they were worked out from.

    Attributes
    ----------
    base : int
        Equity that shares are taken of, in billionths of a dollar (times a share in billionths is money):
        what posture, volatility and phase leave of it.
    order, market, event, venue, total : int
        Most that one order may cost; most committed money of each scope.
    factor, phase : int
        What posture and volatility, and what the phase leave of a limit, in billionths.
    """

    def __init__(self, table: Table, equity: int, factor: int, phase: int) -> None:
        base = max(0, equity) // NANO
        if factor != NANO:
            base = base * factor // NANO
        self.base = base = base if phase == NANO else base * phase // NANO
        self.table, self.equity, self.factor, self.phase = table, equity, factor, phase
        self.order = min(base * table.order, table.order_usd)
        self.market = base * table.market
        self.event = base * table.event
        self.venue = base * table.venue
        self.total = base * table.total
