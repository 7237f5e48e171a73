"""Progress of a long run on stderr: a bar on a terminal, else a plain line every few seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from core.domain.clock import iso_from_ns

if TYPE_CHECKING:
    from core.engine.backtest import Progress

BAR_EVERY_S = 0.1
LINE_EVERY_S = 5.0


@contextmanager
def run_progress(enabled: bool = True, stream: TextIO | None = None) -> Iterator[Progress | None]:
    """Yield a ``progress(done, total, simulated_ns)`` callback, or None when switched off."""
    out = stream or sys.stderr
    if not enabled:
        yield None
    elif out.isatty():
        with _bar(out) as update:
            yield update
    else:
        yield _Lines(out).update


class _Lines:
    """A line every `LINE_EVERY_S`; a run that is over sooner prints none."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.began = self.last = time.monotonic()

    def update(self, done: int, total: int, simulated_ns: int) -> None:
        """Print when it is time."""
        now = time.monotonic()
        if now - self.last < LINE_EVERY_S:
            return
        self.last = now
        of = f" of {total:,} ({done / total:.0%})" if total else ""
        at = f", at {iso_from_ns(simulated_ns)}" if simulated_ns else ""
        rate = done / (now - self.began)
        print(f"{done:,}{of} records, {rate:,.0f} records/s{at}", file=self.out, flush=True)


@contextmanager
def _bar(out: TextIO) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]} records/s"),
        TextColumn("{task.fields[at]}", style="dim"),
    )
    # The engine holds the interpreter lock, so a refresh thread would starve: refresh by hand.
    with Progress(
        *columns, console=Console(file=out), auto_refresh=False, transient=True
    ) as progress:
        task = progress.add_task("run", total=None, rate="", at="")
        began = last = time.monotonic()

        def update(done: int, total: int, simulated_ns: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last < BAR_EVERY_S:
                return
            last = now
            progress.update(
                task,
                total=total or None,
                completed=done,
                rate=f"{done / max(now - began, 1e-9):,.0f}",
                at=iso_from_ns(simulated_ns)[:16].replace("T", " ") if simulated_ns else "",
            )
            progress.refresh()

        yield update
