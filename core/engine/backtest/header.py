"""What decides a run, written down before it starts: hashes, versions, and the ledger's first and last row."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from typing import Any

from core.engine.backtest.limits import limits_of
from core.engine.backtest.spec import BacktestSpec
from core.engine.backtest.strategies import StrategyPlan
from core.engine.backtest.universe import Universe
from core.engine.results import RunHeader, RunResult
from core.engine.strategy_files import deciding
from core.ledger import Ledger, kinds

PACKAGES = ("beta-trader", "nautilus_trader", "numpy", "pyarrow")


@dataclass(frozen=True)
class Started:
    """A run that is about to begin."""

    spec: BacktestSpec
    universe: Universe
    plans: tuple[StrategyPlan, ...]
    run_id: str
    version: str
    config: str
    config_hash: str

    def header(self, records: int, seconds: float, rules: tuple[str, ...]) -> RunHeader:
        """Return the header of the finished run."""
        universe, spec = self.universe, self.spec
        meta = universe.catalog.meta
        latency = max((v.default_latency_ms for v in universe.venues.values()), default=0.0)
        return RunHeader(
            run_id=self.run_id,
            strategy=",".join(p.path for p in self.plans),
            strategy_version=self.version,
            params={p.type.__name__: p.config.model_dump(mode="json") for p in self.plans}
            if len(self.plans) > 1
            else self.plans[0].config.model_dump(mode="json"),
            config_hash=self.config_hash,
            catalog=meta.name,
            catalog_sha=meta.content_sha,
            synthetic=meta.synthetic,
            start_ns=universe.start_ns,
            end_ns=universe.end_ns,
            read_from_ns=min(universe.data_start_ns, universe.start_ns),
            capital=spec.capital,
            currency="/".join(sorted({v.currency for v in universe.venues.values()})),
            latency_ms=latency if spec.latency_ms is None else spec.latency_ms,
            queue_position=spec.queue_position,
            merge_pairs=spec.merge_pairs,
            records=records,
            engine_seconds=seconds,
            fee_rules=rules,
            versions=versions(),
            seed=spec.seed,
            venues=tuple(universe.venues),
            limits=limits_of(spec).name,
        )

    def write(self, ledger: Ledger) -> int:
        """Write the rows that open a run: what decides it, and the data it will see; return the latter's."""
        universe, meta = self.universe, self.universe.catalog.meta
        ledger.begin_run(
            kinds.RunStarted(
                run_id=self.run_id,
                mode=kinds.RunMode.BACKTEST,
                config_sha256=self.config_hash,
                code_sha=self.version,
                seed=self.spec.seed,
                strategies=tuple(
                    kinds.StrategyVersion(
                        # the engine numbers strategies in the order they are added
                        strategy_id=f"{p.type.__name__}-{index:03d}",
                        path=p.path,
                        sha256=p.version,
                    )
                    for index, p in enumerate(self.plans)
                ),
                data=(meta.content_sha,),
                config=self.config,
                capital=self.spec.capital,
                currency=next((v.currency for v in universe.venues.values()), "USD"),
                packages=dict(versions()),
            ),
            ts_event=universe.start_ns,
        )
        return ledger.append(
            kinds.DataManifest(
                snapshot_id=meta.content_sha[:16],
                source=f"{meta.name}: {meta.source}",
                sha256=meta.content_sha,
                rows=universe.records,
                start_ns=universe.start_ns,
                end_ns=universe.end_ns,
                instruments=tuple(universe.references.by_iid),
                synthetic=meta.synthetic,
            ),
            ts_event=universe.start_ns,
        )

    def seal(self, ledger: Ledger, result: RunResult, end_ns: int) -> None:
        """Write the row that ends a run."""
        ledger.flush()
        outcome = kinds.RunOutcome.ENDED
        ledger.end_run(
            kinds.RunEnded(
                run_id=self.run_id,
                outcome=outcome,
                reason="interrupted" if result.header.interrupted else "",
                rows=ledger.head.seq,
                decision_hash=result.decision_hash,
            ),
            ts_event=end_ns,
        )


@cache
def _installed(name: str) -> str:
    """Return the version of a package; asked once a process, it is read from a file."""
    return version(name)


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide a run."""
    return {name: _installed(name) for name in PACKAGES}


def open_run(spec: BacktestSpec, universe: Universe, plans: list[StrategyPlan]) -> Started:
    """Return the identity of a run: id, strategy version and configuration hash."""
    code = hashlib.sha256("".join(p.version for p in plans).encode()).hexdigest()
    own = plans[0].version if len(plans) == 1 else code
    config = {
        "strategies": [p.recorded() for p in plans],
        "catalog": universe.catalog.meta.content_sha,
        "start_ns": universe.start_ns,
        "end_ns": universe.end_ns,
        "instruments": sorted(universe.references.by_iid),
        "capital": str(spec.capital),
        "venues": {
            code: [v.currency, v.nets_outcomes, v.merge_pairs, v.default_latency_ms]
            for code, v in sorted(universe.venues.items())
        },
        "latency_ms": spec.latency_ms,
        "queue_position": spec.queue_position,
        "limits": limits_of(spec).flat(),
        "seed": spec.seed,
        "engine": _installed("nautilus_trader"),
        "platform": _installed("beta-trader"),
    }
    if not spec.merge_pairs:
        config["merge_pairs"] = False
    if spec.look_ns:
        config["look_ns"] = spec.look_ns
    if spec.venue_paths:
        config["venue_paths"] = dict(spec.venue_paths)
    text = json.dumps(config, sort_keys=True, default=_plain)
    decides = json.dumps(deciding(config), sort_keys=True, default=_plain)
    digest = hashlib.sha256(decides.encode()).hexdigest()
    # The wall clock is only in the name of the run, never in a decision.
    run_id = f"bt-{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{digest[:8]}"
    return Started(spec, universe, tuple(plans), run_id, own, text, digest)


def _plain(value: Any) -> str:
    return str(value.normalize()) if isinstance(value, Decimal) else str(value)
