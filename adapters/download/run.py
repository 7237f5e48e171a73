"""Run a download: plan what is missing, fetch it with a few workers, stop cleanly, say what failed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from adapters.download.client import NotFound, Unreachable
from adapters.download.journal import Progress
from adapters.download.ranges import missing
from adapters.download.store import RawStore
from adapters.download.unit import Page, Source, Unit
from core.domain.errors import VenueError

#: Empty pages in a row after which a cursor is taken for broken.
EMPTY_PAGES = 20
#: Units in a row that got no answer before the run gives up.
DEAD_UNITS = 3


@dataclass(slots=True)
class Outcome:
    """What a run did.

    Attributes
    ----------
    units, pages, rows : int
        Finished units, pages and rows of this run.
    skipped : int
        Units that were complete already.
    failed : dict of str to str
        Unit and why.
    """

    units: int = 0
    skipped: int = 0
    pages: int = 0
    rows: int = 0
    seconds: float = 0.0
    resumed: bool = False
    failed: dict[str, str] = field(default_factory=dict)


#: ``watch(phase, units_done, units_total, rows)``.
Watch = Callable[[int, int, int, int], None]


class Download:
    """One download into one folder.

    Parameters
    ----------
    source : Source
        The venue.
    store : RawStore
        Where rows and state go.
    workers : int
        Units fetched at the same time; the rate limit holds for all of them together.
    watch : callable
        Told after every page.
    """

    def __init__(
        self,
        source: Source,
        store: RawStore,
        *,
        workers: int = 4,
        watch: Watch | None = None,
    ) -> None:
        self.source = source
        self.store = store
        self.workers = workers
        self.outcome = Outcome()
        self._watch = watch or (lambda phase, done, total, rows: None)
        self._dead = 0
        self._done = 0
        self._total = 0
        self._phase = 0

    async def run(self) -> Outcome:
        """Download everything the source wants and does not have.

        Raises
        ------
        VenueError
            If the venue stopped answering. Everything received so far is kept.
        """
        started = time.monotonic()
        self.outcome.resumed = self.store.journal.begin()
        try:
            for phase in range(self.source.phases):
                self._phase = phase
                await self._run_phase(list(self._plan(phase)))
                if self.outcome.failed:
                    break
            else:
                self.store.flush()
                self.store.journal.end()
        finally:
            self.store.flush()
            self.outcome.seconds = round(time.monotonic() - started, 3)
        return self.outcome

    def _plan(self, phase: int) -> Iterator[Unit]:
        for unit in self.source.plan(phase, self.store):
            if unit.listing:
                yield unit
                continue
            begun = [
                Unit(p.table, p.key, p.start_s, p.end_s, p.tier)
                for p in self.store.unfinished(unit.table, unit.key)
                if p.tier == unit.tier and unit.start_s <= p.start_s and p.end_s <= unit.end_s
            ]
            covered = self.store.covered(unit.table, unit.key)
            gaps = missing(
                (unit.start_s, unit.end_s), [*covered, *((u.start_s, u.end_s) for u in begun)]
            )
            yield from begun
            for low, high in gaps:
                yield Unit(unit.table, unit.key, low, high, unit.tier)
            if not gaps and not begun:
                self.outcome.skipped += 1

    async def _run_phase(self, units: list[Unit]) -> None:
        queue: asyncio.Queue[Unit] = asyncio.Queue()
        for unit in units:
            queue.put_nowait(unit)
        self._done, self._total = 0, len(units)
        self._watch(self._phase, 0, self._total, self.outcome.rows)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.workers, len(units))):
                    group.create_task(self._work(queue))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _work(self, queue: asyncio.Queue[Unit]) -> None:
        while not queue.empty():
            unit = queue.get_nowait()
            try:
                await self._fetch(unit)
                self._dead = 0
            except Unreachable as exc:
                self.outcome.failed[unit.name] = str(exc)
                self._dead += 1
                if self._dead >= DEAD_UNITS:
                    raise
            except VenueError as exc:
                self.outcome.failed[unit.name] = str(exc)
            self._done += 1
            self._watch(self._phase, self._done, self._total, self.outcome.rows)

    async def _fetch(self, unit: Unit) -> None:
        at = self.store.start(unit)
        if at.done:
            self.outcome.skipped += 1
            return
        if at.cursor is None:
            await self._pages(unit, at)
            return
        try:
            await self._pages(unit, at)
        except NotFound:
            raise
        except VenueError as exc:
            if isinstance(exc, Unreachable):
                raise
            await self._pages(unit, self.store.restart(unit))  # the cursor has expired

    async def _pages(self, unit: Unit, at: Progress) -> None:
        seen: set[str] = set() if at.cursor is None else {at.cursor}
        empty = 0
        while True:
            page = await self.source.page(unit, at.cursor)
            empty = 0 if page.rows or page.window else empty + 1
            self._check(unit, page, seen, empty)
            self.store.add(unit, at, page.rows, page.cursor)
            self.outcome.pages += 1
            self.outcome.rows += len(page.rows)
            self._watch(self._phase, self._done, self._total, self.outcome.rows)
            if page.cursor is None:
                self.outcome.units += 1
                return
            seen.add(page.cursor)

    def _check(self, unit: Unit, page: Page, seen: set[str], empty: int) -> None:
        if page.cursor is not None and page.cursor in seen:
            raise VenueError(
                "the venue's cursor goes in circles", f"{unit.name} at {page.cursor}", "report it"
            )
        if page.cursor is not None and empty >= EMPTY_PAGES:
            raise VenueError(
                "the venue sends empty pages without an end",
                unit.name,
                "name a shorter period (--start, --end); if it stays, report it",
            )
