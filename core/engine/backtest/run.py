"""Run a spec: load, assemble, run under a SIGINT flag, raise what was raised, check the money, return rows."""

from __future__ import annotations

import contextlib
import gc
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from nautilus_trader.model import OrderAccepted, OrderFilled

from core.domain.errors import BetaError, MissingData, StrategyError, UsageError
from core.engine.backtest.assembly import Assembly, assemble
from core.engine.backtest.extract import Finished, extract
from core.engine.backtest.header import Started, open_run
from core.engine.backtest.spec import BacktestSpec, Progress
from core.engine.backtest.strategies import StrategyPlan, plan_strategies
from core.engine.backtest.universe import Universe, load_universe
from core.engine.catalog import find_catalog
from core.engine.catalog.presence import require_whole
from core.engine.guard import Failure
from core.engine.results import RunResult
from core.ledger import BatchLedger


def run_backtest(spec: BacktestSpec, progress: Progress | None = None) -> RunResult:
    """Run `spec` and return its result.

    Parameters
    ----------
    progress : callable, optional
        ``progress(records_done, records_total, simulated_ns)``, a few hundred times over the run.

    Raises
    ------
    BetaError
        `UsageError` for an unknown strategy, market or parameter, `MissingData` when the period holds
        no data, `StrategyError` when a strategy raised (its error is the cause).
    """
    plans = plan_strategies(spec.strategy, spec.params)
    catalog = find_catalog(spec.catalog)
    require_whole(catalog)
    traded = [p.type.venues for p in plans]
    universe = load_universe(catalog, spec, traded, spot_only=_spot_only(plans))
    started = open_run(spec, universe, plans)
    with contextlib.ExitStack() as stack:
        ledger, data_seq = None, 0
        if spec.ledger is not None:
            ledger = stack.enter_context(
                BatchLedger(Path(spec.ledger), start_ns=universe.data_start_ns)
            )
            data_seq = started.write(ledger)
        on_grid = None if progress is None else _progress(progress, universe)
        assembly = assemble(universe, spec, plans, ledger, on_grid, data_seq)
        try:
            seconds, records = _run(assembly)
            finished = _finish(assembly, universe, seconds, records)
            result = extract(started, finished)
            if ledger is not None:
                started.seal(ledger, result, universe.end_ns)
            return result
        finally:
            assembly.runner.dispose()


def _spot_only(plans: list[StrategyPlan]) -> bool:
    """Return whether this is a run of spot strategies.

    Raises
    ------
    UsageError
        If spot and prediction strategies are named together: they have no account in common.
    """
    spot = [p.type.__name__ for p in plans if p.type.trades_spot]
    if spot and len(spot) < len(plans):
        raise UsageError(
            "spot and prediction strategies cannot share a run", ", ".join(spot), "run them apart"
        )
    return bool(spot)


def _progress(progress: Progress, universe: Universe) -> Callable[[int], None]:
    """Return a callback for grid points: records done are told from the share of the period."""
    span = max(universe.end_ns - universe.start_ns, 1)

    def on_grid(ts_ns: int) -> None:
        part = min(max(ts_ns - universe.start_ns, 0), span)
        progress(universe.records * part // span, universe.records, ts_ns)

    return on_grid


def _run(assembly: Assembly) -> tuple[float, int]:
    """Run the engine; return wall seconds and records; raise what a component raised."""
    failure = assembly.session.failure
    began = time.perf_counter()
    with _sigint(failure), _no_collection():
        try:
            records = assembly.runner.run(lambda: failure.stopping)
        except BetaError:
            raise
        except BaseException as exc:
            if failure.error is None:
                raise StrategyError(
                    "the engine stopped the run",
                    f"{type(exc).__name__}: {exc}",
                    "beta data verify says whether the data is to blame",
                ) from exc
    if failure.error is not None:
        raise_failure(failure)
    if assembly.session.clock is None or not records:
        raise MissingData(
            "no row of data in this period",
            "the data begins before it and ends after it, with a gap between",
            "choose another --period: beta data ls NAME shows from when to when",
        )
    return time.perf_counter() - began, records


def raise_failure(failure: Failure) -> None:
    """Raise the first error of a run: a `BetaError` as it is, anything else as a `StrategyError`."""
    error = failure.error
    if error is None:
        return
    if isinstance(error, BetaError | KeyboardInterrupt):
        raise error
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    raise StrategyError(
        f"{failure.where} raised {type(error).__name__}",
        f"{error}{place}",
        "BETA_DEBUG=1 before the command shows the traceback",
    ) from error


@contextlib.contextmanager
def _sigint(failure: Failure) -> Iterator[None]:
    """Turn Ctrl-C into a flag: raised inside a callback it would be swallowed by the engine."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: object) -> None:
        failure.interrupt()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Collect garbage rarely during the run: market data objects never form cycles."""
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1_000)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def _book_late_fills(assembly: Assembly) -> None:
    """Book fills of orders that were on their way when the data ended.

    The engine matches them against the last book, after it has stopped the strategies: it tells nobody.
    """
    session = assembly.session
    if session.own_news is not None:
        session.own_news.flush()
    owners = {strategy._bt_sid: strategy for strategy in assembly.strategies}
    for order_id, record in list(session.journal.orders.items()):
        known = record.fills
        if session.own_news is not None:
            known = session.own_news.reported(order_id, known)
        order = assembly.runner.order(order_id) if record.is_open or known != record.fills else None
        if order is None:
            continue
        owner, events = owners[record.intent.strategy_id], order.events()
        fills = [e for e in events if isinstance(e, OrderFilled)][known:]
        if fills and record.status == "SUBMITTED":
            owner.on_order_accepted(next(e for e in events if isinstance(e, OrderAccepted)))
        for fill in fills:
            owner.on_order_filled(fill)
    raise_failure(session.failure)


def _finish(assembly: Assembly, universe: Universe, seconds: float, records: int) -> Finished:
    """Take the last marks and check that our money is the engine's, to the micro-dollar."""
    session = assembly.session
    _book_late_fills(assembly)
    end_ns = max(session.now_ns(), universe.start_ns)
    session.sample(end_ns, keep=True)
    session.keep_account(end_ns)
    for code, venue in universe.venues.items():
        total = assembly.runner.balance(code, venue.currency)
        if total is not None and assembly.merges is not None:  # lent, and still to come
            total += assembly.merges.ahead(code) - assembly.merges.lent(code)
        if total is not None and session.own_news is not None:
            total += session.own_news.ahead(session, code)
        ours = session.gate.cash(code)
        if total != ours:
            raise StrategyError(
                f"our cash at {code} is not the engine's",
                f"{ours} against {total}",
                "please report this: no figure of this run can be trusted",
            )
    left = [order_id for model in session.fee_models.values() for order_id in model.pending]
    if left:
        raise StrategyError(
            "fills were charged that the engine never reported",
            left[:3],
            "please report this: no figure of this run can be trusted",
        )
    return Finished(universe, session, seconds, records)


__all__ = ["Started", "raise_failure", "run_backtest"]
