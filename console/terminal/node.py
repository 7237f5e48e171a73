"""What a running node shows: a live panel on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from console.terminal.text import inert, printable

if TYPE_CHECKING:
    from core.engine.live.status import NodeStatus

LINE_EVERY_S = 5.0
STALE_S = 30.0


def line(s: NodeStatus, venue: str = "") -> str:
    """Return a status as one line; `venue` is its name on the command line."""
    age = "no data yet" if s.feed_age_s is None else f"feed {s.feed_age_s:.1f} s"
    if s.spot:
        age += "  no spot yet" if s.spot_age_s is None else f"  spot {s.spot_age_s:.1f} s"
    halted = f"  HALTED: {s.halted}" if s.halted else ""
    return (
        f"{s.mode.upper()} {venue or s.venue} {s.uptime_s:5.0f} s  {age}  markets {_markets(s)}  equity ${s.equity:.4f}  P&L {signed(s.pnl)}  cash ${s.cash:.4f}  "
        f"at risk ${s.committed:.2f} of ${s.budget:.2f}  fees ${s.fees:.4f}  fills {s.fills}  orders {s.orders}  refused {s.refused}  unknown {s.unknown}  "
        f"positions {len(s.positions)}  row {s.ledger_seq}{printable(halted)}"
    )


def signed(amount: Decimal) -> str:
    """Return dollars with their sign, as a result is read."""
    return f"{'-' if amount < 0 else '+'}${abs(amount):.4f}"


class Screen:
    """Shows `NodeStatus` on stderr, for as long as somebody reads it."""

    def __init__(self, mode: str, venue: str) -> None:
        self.mode, self.venue = mode, venue
        self._live: Any = None
        self._printed = 0.0

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), refresh_per_second=2)
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, exc, tb)

    def update(self, status: NodeStatus) -> None:
        """Show a new moment."""
        if self._live is not None:
            self._live.update(panel(status, self.venue))
        elif time.monotonic() - self._printed >= LINE_EVERY_S:
            self._printed = time.monotonic()
            with suppress(OSError, ValueError):  # nobody reads any more: that stops no node
                print(line(status, self.venue), file=sys.stderr, flush=True)


def panel(s: NodeStatus, venue: str = "") -> Any:
    """Return a status as a panel: the mode is never to be overlooked."""
    from rich.panel import Panel
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2))
    table.add_row("feed age", _age(s.feed_age_s), "markets", _markets(s))
    if s.spot:
        table.add_row("spot age", _age(s.spot_age_s), "", "")
    colour = "red" if s.pnl < 0 else "green"
    table.add_row("equity", f"${s.equity:.4f}", "P&L this run", f"[{colour}]{signed(s.pnl)}[/]")
    table.add_row(
        "cash", f"${s.cash:.4f}", "at risk", f"${s.committed:.2f} of ${s.budget:.2f} allowed"
    )
    table.add_row("fills", str(s.fills), "fees", f"${s.fees:.4f}")
    refused = f"{s.orders} ({s.refused} refused by the gate)"
    table.add_row("orders", refused, "unknown", f"[yellow]{s.unknown}[/]" if s.unknown else "0")
    for held in s.positions[:10]:
        mark = "no bid" if held.mark is None else f"bid ${held.mark.normalize():f}"
        table.add_row("position", f"{held.quantity} {inert(held.instrument_id)}", "", mark)
    if len(s.positions) > 10:
        table.add_row("", f"and {len(s.positions) - 10} more", "", "")
    if s.halted:
        table.add_row("[red]HALTED[/]", inert(s.halted))
    colour = "red" if s.mode == "live" else "cyan"
    title = f"[bold {colour}]{s.mode.upper()}[/] {venue or s.venue}  {s.run_id}  {s.uptime_s:.0f} s"
    return Panel(table, title=title, border_style=colour)


def _markets(s: NodeStatus) -> str:
    """Return how many markets are followed, and how many are over."""
    if s.settled and s.settled == s.markets:
        return f"{s.markets}, all settled"
    return f"{s.markets}, {s.settled} settled" if s.settled else str(s.markets)


def _age(seconds: float | None) -> str:
    """Return the age of a feed, marked when it is old or has not begun."""
    if seconds is None:
        return "[yellow]no data yet[/]"
    return f"[yellow]{seconds:.1f} s[/]" if seconds > STALE_S else f"{seconds:.1f} s"
