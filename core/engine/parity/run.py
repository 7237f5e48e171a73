"""Run a recorded session again in the backtest engine and compare."""

from __future__ import annotations

import statistics
from collections.abc import Collection
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.domain.errors import UsageError
from core.domain.money import ZERO
from core.engine.arrivals import Arrival, Arrivals, Known
from core.engine.backtest import BacktestSpec, Progress, run_backtest
from core.engine.backtest.strategies import plan_strategies
from core.engine.catalog import Catalog
from core.engine.live.recording import About, about_of, open_recording
from core.engine.live.run_config import limits_from
from core.engine.parity.compare import (
    Circumstances,
    Difference,
    ParityReport,
    Reason,
    differences,
    pair_orders,
)
from core.engine.parity.orders import (
    RunOrders,
    find_run,
    has_heard,
    recorded,
    replayed,
    started_of,
)
from core.engine.parity.tape import Tape
from core.engine.strategy_files import files_of, load_file
from core.engine.venues import load_venue
from core.ledger.kinds import RunMode

#: Decisions of one order may be this far apart and still be the same order.
WINDOW_MS = 2_000.0
NS_PER_MS = 1_000_000


def check_parity(
    home: Path,
    run_id: str = "",
    *,
    latency_ms: float | None = None,
    window_ms: float = WINDOW_MS,
    progress: Progress | None = None,
) -> ParityReport:
    """Replay a paper or live run on its own recording and list every differing order, fill and fee.

    Parameters
    ----------
    home : Path
        Folder of the node: ``ledger/``, ``recordings/``.
    run_id : str
        Empty = the newest paper or live run.
    latency_ms : float, optional
        Order latency of the replay; None = each order arrives when it did in the run.

    Raises
    ------
    BetaError
        `MissingData` if the run, its configuration or its recording is not there, and whatever
        `run_backtest` raises.
    """
    run_id = find_run(home / "ledger", run_id)
    started, config = started_of(home / "ledger", run_id)
    about, catalog = about_of(home, run_id), open_recording(home, run_id)
    for name, file in files_of(config).items():
        load_file(name, Path(file))
    tape, own_clock = Tape(catalog), started.mode is RunMode.PAPER
    stamped = getattr(load_venue(about.venue), "stamps_orders", False)
    told = has_heard(home / "ledger", run_id)
    received = tape.followed if own_clock else None
    if stamped and not own_clock:
        received = tape.happened if told else tape.received
    ours = recorded(home / "ledger", run_id, own_clock, received, tape.moved)
    delays = [(o.arrival_ns - o.ts_ns) / NS_PER_MS for o in ours.orders if o.arrival_ns]
    median = statistics.median(delays) if delays else float(config["latency_ms"])
    chosen = median if latency_ms is None else latency_ms
    start, end = catalog.span_ns()
    arrivals = None if latency_ms is not None else arrivals_of(ours, median, window_ms, end)
    if arrivals is not None:
        arrivals.foretold = told and not own_clock
    spec = _spec_of(config, about, catalog, ours, max(chosen, 0.0), arrivals)
    result = run_backtest(spec, progress)
    theirs = replayed(result, arrivals, ours.ending)
    pairs = pair_orders(ours.orders, theirs.orders, round(window_ms * NS_PER_MS))
    lost = [n for n in catalog.meta.notes if "could not be written" in n]
    known = Circumstances(
        positions=about.positions,
        data_start_ns=start,
        data_end_ns=end,
        lost_rows=bool(lost),
        moved=tape.moved,
    )
    found = differences(pairs, ours, known)
    found += _settlements(ours, theirs, bool(found), about.positions)
    shifts = [abs(a.ts_ns - b.ts_ns) / NS_PER_MS for a, b in pairs if a and b]
    return ParityReport(
        run_id=run_id,
        mode=started.mode.value,
        venue=about.venue,
        synthetic=about.synthetic,
        latency_ms=chosen,
        latencies_ms=(median, max(delays, default=median)),
        decision_shift_ms=max(shifts, default=0.0),
        orders=(len(ours.orders), len(theirs.orders)),
        fills=(_fills(ours), _fills(theirs)),
        fees=(_fees(ours), _fees(theirs)),
        refusals=(ours.refusals, theirs.refusals),
        settlements=(len(ours.settled), len(theirs.settled)),
        differences=tuple(found),
        notes=(*lost, *_notes(config, ours, about.positions)),
    )


def _spec_of(
    config: dict[str, Any],
    about: About,
    catalog: Catalog,
    ours: RunOrders,
    latency_ms: float,
    arrivals: Arrivals | None,
) -> BacktestSpec:
    """Return the backtest that does again what a node's run did."""
    return BacktestSpec(
        strategy=",".join(s["path"] for s in config["strategies"]),
        params=_params(config),
        catalog=catalog.root,
        capital=Decimal(about.cash),
        latency_ms=latency_ms,
        limits=limits_from(config["limits"]),
        seed=config["seed"],
        merge_pairs=ours.merged,
        merges=None if arrivals is None else tuple(ours.merges),
        arrivals=arrivals,
        ending=ours.ending,
        look_ns=config.get("look_ns", 0),
    )


def arrivals_of(ours: RunOrders, median_ms: float, window_ms: float, end_ns: int) -> Arrivals:
    """Return when the orders of a run, and the cancels of what rested, reached the venue.

    The replay goes no further than the last news, at `end_ns`: what arrived later meets the book of then, and what
    was heard later is heard then.
    """

    def within(known: Known) -> Known:
        booked, heard = (
            p._replace(at_ns=min(p.at_ns, end_ns)) for p in (known.booked, known.heard)
        )
        return replace(known, booked=booked, heard=heard)

    return Arrivals(
        [
            Arrival(
                o.strategy,
                o.instrument_id,
                o.side,
                o.ts_ns,
                min(o.arrival_ns, end_ns),
                o.canceled_ns,
                o.unsent,
                tuple(map(within, o.known)),
                None if o.end is None else within(o.end),
                o.status,
                o.quantity,
                o.price,
            )
            for o in ours.orders
        ],
        usual_ns=round(median_ms * NS_PER_MS),
        window_ns=round(window_ms * NS_PER_MS),
    )


def _params(config: dict[str, Any]) -> dict[str, Any]:
    """Return parameters as `BacktestSpec` takes them."""
    strategies = config["strategies"]
    if len(strategies) == 1:
        return dict(strategies[0]["params"])
    names = [s["path"].rpartition(":")[2] for s in strategies]
    if len(set(names)) != len(names):
        raise UsageError(
            "parity cannot tell two strategies of one class apart", ", ".join(names),
            "give one of them a class of its own",
        )  # fmt: skip
    return {name: s["params"] for name, s in zip(names, strategies, strict=True)}


def _notes(config: dict[str, Any], ours: RunOrders, positions: dict[str, str]) -> list[str]:
    """Return what a reader must know of the comparison."""
    out = []
    for spec in config["strategies"]:
        try:
            (plan,) = plan_strategies(spec["path"], spec["params"])
        except UsageError as exc:
            out.append(f"{spec['path']}: {exc.what}")
            continue
        if plan.version != spec["version"]:
            out.append(f"the code of {spec['path']} has changed since the run")
    if positions:
        out.append(f"the account held {len(positions)} position(s) before the run: not replayed")
    if ours.foreign:
        out.append(f"{ours.foreign} execution(s) belong to no order of this run")
    if not ours.ended_ns:
        out.append("the run was killed: what it did not flush (a few seconds) is not recorded")
    return out


def _fills(orders: RunOrders) -> int:
    return sum(len(o.fills) for o in orders.orders)


def _fees(orders: RunOrders) -> Any:
    return sum((o.fee for o in orders.orders), ZERO)


def _settlements(
    ours: RunOrders, theirs: RunOrders, after: bool, opening: Collection[str]
) -> list[Difference]:
    """Return settlements that differ; shares from before or other orders (`after`) explain a quantity, never a payout."""
    out = []
    for iid in sorted({*ours.settled, *theirs.settled}):
        a, b = ours.settled.get(iid), theirs.settled.get(iid)
        if a == b:
            continue
        other_payout = a is not None and b is not None and a[0] != b[0]
        reason = Reason.UNEXPLAINED
        if not other_payout and iid in opening:
            reason = Reason.OPENING_POSITION
        elif not other_payout and after:
            reason = Reason.CONSEQUENCE
        words = ["" if s is None else f"{s[1]} paid {s[0]} each" for s in (a, b)]
        out.append(Difference("settlement", reason, "", iid, 0, *words))
    return out
