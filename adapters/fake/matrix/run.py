"""Run the matrix: one seed after the other, on as many processes as asked, each failure with its command."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

from adapters.fake.faults import FaultKind
from adapters.fake.matrix.cases import CASES, CREATE, Plan
from adapters.fake.matrix.compare import Books, compare
from adapters.fake.matrix.judge import leaks
from adapters.fake.matrix.lives import PowerCut
from adapters.fake.matrix.script import Trader, linger, play, quiesce
from adapters.fake.matrix.stand import KEY, SECRET_BYTES, STOPPING, WALLET_BYTES, Stand
from adapters.fake.matrix.virtual import VirtualLoop, run_virtual
from core.domain import faultpoints
from core.domain.errors import LedgerLocked, UsageError
from core.ledger import DurableLedger

#: What a burst of at most 5,000 levels may leave behind; collection of garbage is off while a run goes on.
MOST_GROWTH = 24_000_000


@dataclass(frozen=True, slots=True)
class RunReport:
    """One run and what differed after it."""

    fault: str
    venue: str
    seed: int
    broken: tuple[tuple[str, str], ...]
    digest: str
    orders: int
    executions: int
    fired: int
    seconds: float
    cpu_s: float = 0.0
    commit: str = ""

    @property
    def command(self) -> str:
        """The command that repeats this run."""
        return f"beta faults run --fault {self.fault} --seed {self.seed}"


@dataclass(slots=True)
class MatrixReport:
    """All runs, counted."""

    runs: int = 0
    orders: int = 0
    executions: int = 0
    fired: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    by_invariant: dict[str, int] = field(default_factory=dict)
    commits: dict[str, int] = field(default_factory=dict)
    by_fault: dict[str, dict[str, int]] = field(default_factory=dict)
    failures: list[dict[str, Any]] = field(default_factory=list)

    def add(self, run: RunReport) -> None:
        """Count a run."""
        self.runs += 1
        self.orders += run.orders
        self.executions += run.executions
        self.fired += run.fired
        self.cpu_s += run.cpu_s
        self.commits[run.commit] = self.commits.get(run.commit, 0) + 1
        empty = {"runs": 0, "failed": 0, "fired": 0, "first_seed": run.seed, "last_seed": run.seed}
        row = self.by_fault.setdefault(run.fault, empty)
        row["first_seed"] = min(row["first_seed"], run.seed)
        row["last_seed"] = max(row["last_seed"], run.seed)
        row["runs"] += 1
        row["fired"] += run.fired
        row["failed"] += bool(run.broken)
        for invariant, _ in run.broken:
            self.by_invariant[invariant] = self.by_invariant.get(invariant, 0) + 1
        if run.broken and len(self.failures) < 50:
            self.failures.append(asdict(run) | {"command": run.command})

    @property
    def failed(self) -> int:
        """Runs in which any invariant broke."""
        return sum(row["failed"] for row in self.by_fault.values())


def run_one(fault: str, seed: int) -> RunReport:
    """Run one seed of one fault and compare the books."""
    case = CASES.get(fault)
    if case is None:
        raise UsageError("no such fault", fault, f"one of {', '.join(CASES)}")
    rng = random.Random(f"{fault}-{seed}")
    venue = case.venues[seed % len(case.venues)]
    plan = case.plan(venue, rng)
    shm = Path("/dev/shm")
    root = Path(tempfile.mkdtemp(prefix="beta-faults-", dir=shm if shm.is_dir() else None))
    logging.disable(logging.CRITICAL)  # the venue is made to fail; its tracebacks are not news
    started, cpu = time.perf_counter(), time.process_time()
    before = {name: os.environ.get(name) for name in plan.environment}
    os.environ.update(plan.environment)
    # objects of the engine may only be freed on the thread that made them, never on the ledger's
    if not gc.get_freeze_count():
        gc.freeze()
    gc.disable()
    try:
        stand, books = run_virtual(lambda loop: _run(loop, root, venue, plan, rng))
    except Exception as exc:
        return RunReport(
            fault, venue, seed, (("RUN", f"{type(exc).__name__}: {exc}"),), "", 0, 0, 0, 0.0
        )
    finally:
        faultpoints.listen(None)
        gc.enable()
        gc.collect()
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
        logging.disable(logging.NOTSET)
        shutil.rmtree(root, ignore_errors=True)
    return RunReport(
        fault,
        venue,
        seed,
        tuple(books.broken),
        books.digest,
        len(stand.exchange.orders),
        len(stand.exchange.executions),
        _hits(stand, plan, books),
        time.perf_counter() - started,
        time.process_time() - cpu,
    )


def _hits(stand: Stand, plan: Plan, books: Books) -> int:
    """Return how often something was really done to a run."""
    hits = len(stand.faults.fired) + stand.dropped + len(plan.hushes) + len(plan.skew)
    hits += len(stand.cut.cuts) if stand.cut is not None else 0
    hits += sum(1 for number in plan.refuse if number < stand.ledger.durable)
    hits += sum(
        1
        for at in (plan.settle_at, plan.halt_at, plan.stop_at, plan.second_at, plan.burst_at)
        if at
    )
    return hits + books.voided + len(plan.environment)


async def _run(
    loop: VirtualLoop, root: Path, venue: str, plan: Plan, rng: random.Random
) -> tuple[Stand, Books]:
    stand = Stand(loop, root, venue, plan.faults, plan.options)
    stand.faults.paused = True
    if plan.kills:
        stand.cut = PowerCut(stand, plan.kills, plan.kept)
    await stand.open()
    if plan.feed:
        await stand.follow()
        await asyncio.sleep(1.0)
    stand.ledger.refuse = plan.refuse
    stand.faults.paused = False
    if stand.cut is not None:
        stand.cut.install()
    if plan.audit:
        stand.watch_account()
    trader, extra = Trader(stand), Books()
    watch = asyncio.create_task(stand.visible.run())
    trader.forgets, trader.crosses = plan.forgets, plan.crosses
    side = asyncio.create_task(_happen(stand, plan, rng.randrange(1 << 30), extra))
    await play(stand, trader, rng, plan.steps, plan.changes)
    await side
    await linger(stand, rng, plan.linger)
    if not await quiesce(stand):
        extra.say("I1", f"not at rest; unknown: {stand.client.unknowns.ids}")
    stand.faults.paused, stand.clock.skew_ns = True, 0
    if stand.cut is not None:
        stand.cut.spare()
    if rng.random() < 0.5:
        left = await stand.port.cancel_everything()
        if left:
            extra.say("I1", f"cannot cancel {left}")
        await quiesce(stand)
    stand.client.refresh_cash()
    await asyncio.sleep(1.0)
    await _judge_feed(stand, extra)
    watch.cancel()
    _judge(stand, plan)
    await stand.close()
    secrets = (SECRET_BYTES, WALLET_BYTES, KEY.private_bytes_raw())
    for name in leaks(stand.root, (stand.judge.said, stand.client.failures), secrets):
        stand.judge.wrong("I7", f"a secret is in {name}")
    books = compare(stand, trader)
    books.broken += extra.broken + stand.judge.notes
    return stand, books


async def _happen(stand: Stand, plan: Plan, seed: int, extra: Books) -> None:
    """Let happen what the plan says, each at its time."""
    events: list[tuple[float, Callable[[], Any]]] = [
        (at, partial(_drop, stand)) for at in plan.drops
    ]
    events += [(at, partial(stand.fake.streams.hush, length)) for at, length in plan.hushes]
    events += [(at, partial(_skew, stand, offset)) for at, offset in plan.skew]
    if plan.settle_at:
        events.append((plan.settle_at, lambda: _settle(stand, plan.payout)))
    if plan.halt_at:
        events.append((plan.halt_at, lambda: stand.halt("operator")))
    if plan.stop_at:
        events.append((plan.stop_at, stand.stop))
    if plan.burst_at:
        events.append((plan.burst_at, lambda: _burst(stand, plan.burst)))
    if plan.second_at:
        events.append((plan.second_at, lambda: _second(stand)))
    began = stand.loop.time()
    for at, act in sorted(events, key=lambda e: e[0]):
        await asyncio.sleep(max(0.0, began + at - stand.loop.time()))
        done = act()
        if asyncio.iscoroutine(done):
            await done


async def _judge_feed(stand: Stand, extra: Books) -> None:
    """Compare the books that the feed shows with the venue's, when all links have been mended."""
    if stand.feed is None:
        return
    for _ in range(30):
        if not stand.feed.differences():
            break
        await asyncio.sleep(5.0)
    for text in (*stand.feed.differences(), *stand.feed.wrong):
        extra.say("BOOK", text)


async def _drop(stand: Stand) -> None:
    """Close all sockets; one that was up has to be missed."""
    if not stand.dead and stand.fake.streams.connections:
        stand.dropped += 1
        stand.visible.dropped_ns.append(stand.loop.time_ns())
    await stand.fake.streams.drop_all()


def _burst(stand: Stand, levels: int) -> None:
    """Change many levels at once, away from our orders, with trades that fill them in between."""
    stand.rss_before = resident()
    for n in range(levels):
        market = stand.markets[n % 2]
        if stand.exchange.markets[market.market_id].status != "active":
            continue
        side: Literal["bid", "ask"] = "bid" if n % 4 < 2 else "ask"
        price = 3_000 - 100 * (n % 9) if side == "bid" else 5_000 + 100 * (n % 9)
        stand.level(market.market_id, side, price, 100 + n % 700)
        if n % 50 == 0:
            stand.trade(market.market_id, 3_800, 10, "ask")


def resident() -> int:
    """Return the resident memory of this process in bytes; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _skew(stand: Stand, seconds: float) -> None:
    stand.clock.skew_ns = int(seconds * 1_000_000_000)


def _settle(stand: Stand, payout: int) -> None:
    """Resolve the first market; the feed tells gate and execution what the data client would."""
    from decimal import Decimal

    market = stand.markets[0]
    stand.settle(market.market_id, payout)
    yes = Decimal(payout) / 10_000
    for outcome, paid in zip(market.outcomes, (yes, 1 - yes), strict=True):
        stand.gate.on_settlement(outcome.instrument_id, paid, stand.clock.timestamp_ns())
        stand.context.resolved.add(outcome.instrument_id)
    stand.client.refresh_cash()


def _second(stand: Stand) -> None:
    """Start another writer on the same ledger: it must be refused, and the first must not notice."""
    try:
        second = DurableLedger(stand.root / "ledger")
    except LedgerLocked:
        stand.judge.say("second.refused")
        return
    second.close()
    stand.judge.wrong("F25", "a second writer was let in")


def _judge(stand: Stand, plan: Plan) -> None:
    """Judge halts, and whether what was done to the run can be seen in it (I9)."""
    judge, fired = stand.judge, {kind for kind, _ in stand.faults.fired}
    sent = CREATE[stand.venue]  # when a request left, not when a slow network let it arrive
    judge.orders_after_halt(at for at, what in stand.fake.requests if what.startswith(sent))
    if stand.halted and not stand.dead and stand.exchange.working() and not plan.kills:
        judge.wrong("I8", f"{len(stand.exchange.working())} orders work although trading is halted")
    if (
        stand.halted
        and stand.halted != STOPPING
        and not any(e.startswith("halt") for e, _ in judge.said)
    ):
        judge.wrong("I9", "a halt that no log line tells")
    if stand.rss_before and (grown := resident() - stand.rss_before) > MOST_GROWTH:
        judge.wrong("F26", f"{grown / 1e6:.0f} MB more after a burst of {plan.burst} levels")
    if stand.dropped and False not in judge.links:
        judge.wrong("I9", "closed sockets that nobody was told of")
    sockets = [getattr(stand.port, "_socket")]  # noqa: B009 - no part of the contract
    if stand.feed is not None:
        client = stand.feed.client
        sockets += [client.socket] if hasattr(client, "socket") else client.sockets.sockets
    if FaultKind.WS_GARBAGE in fired and not any(s.stats.bad_frames for s in sockets):
        judge.wrong("I9", "unreadable frames that no counter shows")


def plan_runs(faults: Sequence[str], runs: int, seed: int) -> list[tuple[str, int]]:
    """Return (fault, seed) of every run: each fault by its share of the matrix, at least one.

    They take turns, so that a pass that is stopped halfway has seen them all.
    """
    total = sum(CASES[f].share for f in faults)
    out: list[tuple[float, str, int]] = []
    for fault in faults:
        count = max(1, round(runs * CASES[fault].share / total))
        out += [(n / count, fault, seed + n) for n in range(count)]
    return [(fault, number) for _, fault, number in sorted(out)]


def read_journal(path: Path) -> dict[tuple[str, int], RunReport]:
    """Return finished runs by fault and seed; a torn last line is run again."""
    runs: dict[tuple[str, int], RunReport] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
            row["broken"] = tuple((i, t) for i, t in row["broken"])
            run = RunReport(**row)
        except (ValueError, TypeError, KeyError):
            continue
        runs[run.fault, run.seed] = run
    path.parent.mkdir(parents=True, exist_ok=True)
    return runs


def _chunk(work: Sequence[tuple[str, int]]) -> list[RunReport]:
    return [run_one(fault, seed) for fault, seed in work]


def run_matrix(
    work: Iterable[tuple[str, int]],
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
    journal: Path | None = None,
    commit: str = "",
) -> MatrixReport:
    """Run everything in `work` and count.

    Parameters
    ----------
    progress : callable, optional
        Is told (runs done, runs failed).
    journal : Path, optional
        File of finished runs: what is in it counts and is not run again; what finishes is added.
    commit : str
        What runs, for the journal and the report.
    """
    todo, report, started = list(work), MatrixReport(), time.perf_counter()
    if journal is not None:
        done_before = read_journal(journal)
        for key in todo:
            if key in done_before:
                report.add(done_before[key])
        todo = [key for key in todo if key not in done_before]

    def finished(done: RunReport) -> None:
        run = replace(done, commit=commit)
        report.add(run)
        if journal is not None:
            with journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(run)) + "\n")

    if processes <= 1:
        for fault, seed in todo:
            finished(run_one(fault, seed))
            if progress is not None:
                progress(report.runs, report.failed)
    else:
        size = max(1, min(20, len(todo) // (processes * 4)))
        chunks = [todo[i : i + size] for i in range(0, len(todo), size)]
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            for done in as_completed([pool.submit(_chunk, c) for c in chunks]):
                for run in done.result():
                    finished(run)
                if progress is not None:
                    progress(report.runs, report.failed)
    report.seconds += time.perf_counter() - started
    return report
