"""What a running node shows: a live panel on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from console.terminal.text import printable

if TYPE_CHECKING:
    from core.engine.live.status import NodeStatus

LINE_EVERY_S = 5.0
STALE_S = 30.0


def line(s: NodeStatus) -> str:
    """Return a status as one line."""
    age = "no data yet" if s.feed_age_s is None else f"feed {s.feed_age_s:.1f} s"
    halted = f"  HALTED: {s.halted}" if s.halted else ""
    return (
        f"{s.mode.upper()} {s.venue} {s.uptime_s:5.0f} s  {age}  equity ${s.equity:.4f}  cash ${s.cash:.4f}  "
        f"fees ${s.fees:.4f}  fills {s.fills}  orders {s.orders}  refused {s.refused}  unknown {s.unknown}  "
        f"positions {len(s.positions)}  row {s.ledger_seq}{printable(halted)}"
    )


class Screen:
    """Shows `NodeStatus` on stderr."""

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
            self._live.update(panel(status))
        elif time.monotonic() - self._printed >= LINE_EVERY_S:
            self._printed = time.monotonic()
            print(line(status), file=sys.stderr, flush=True)


def panel(s: NodeStatus) -> Any:
    """Return a status as a panel: the mode is never to be overlooked."""
    from rich.panel import Panel
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2))
    age = "no data yet" if s.feed_age_s is None else f"{s.feed_age_s:.1f} s"
    stale = s.feed_age_s is None or s.feed_age_s > STALE_S
    table.add_row("feed age", f"[yellow]{age}[/]" if stale else age, "markets", str(s.markets))
    table.add_row("equity", f"${s.equity:.4f}", "cash", f"${s.cash:.4f}")
    table.add_row("fills", str(s.fills), "fees", f"${s.fees:.4f}")
    table.add_row("orders", f"{s.orders} ({s.refused} refused)", "unknown", str(s.unknown))
    for held in s.positions[:10]:
        mark = "-" if held.mark is None else f"${held.mark}"
        table.add_row(printable(held.instrument_id), str(held.quantity), "mark", mark)
    if s.halted:
        table.add_row("[red]HALTED[/]", printable(s.halted).replace("[", "("))
    colour = "red" if s.mode == "live" else "cyan"
    title = f"[bold {colour}]{s.mode.upper()}[/] {s.venue}  {s.run_id}  {s.uptime_s:.0f} s"
    return Panel(table, title=title, border_style=colour)
