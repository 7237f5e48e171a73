"""The first rows of a node's run: what decides it, and the feed that everything it sees comes from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.domain.market import Market
from core.engine.live.run_config import is_synthetic, run_config
from core.ledger import Ledger
from core.ledger.kinds import DataManifest, RunStarted, StrategyVersion
from core.risk.limits import Limits

if TYPE_CHECKING:
    from core.engine.live.node import NodeSpec
    from core.engine.live.venue import LiveVenue


def begin_run(
    ledger: Ledger,
    run_id: str,
    spec: NodeSpec,
    venue: LiveVenue,
    limits: Limits,
    markets: Sequence[Market],
    now_ns: int,
) -> int:
    """Write ``run.started`` and the feed's ``data.manifest``; return the row of the latter.

    The feed has no content yet: its ``sha256`` is empty, and `source` names the recording that will hold it.
    """
    config, digest = run_config(spec, venue, limits, markets)
    versions = tuple(
        StrategyVersion(strategy_id=f"{p.type.__name__}-{i + 1:03d}", path=p.path, sha256=p.version)
        for i, p in enumerate(spec.plans)
    )
    started = RunStarted(
        run_id=run_id,
        mode=spec.mode,
        config=config,
        config_sha256=digest,
        code_sha=hashlib.sha256("".join(p.version for p in spec.plans).encode()).hexdigest(),
        seed=spec.seed,
        strategies=versions,
        data=(),
        capital=spec.capital,
        currency=venue.currency,
    )
    first = ledger.begin_run(started, ts_event=now_ns)
    kept = f"recordings/{run_id}" if spec.record else "not recorded"
    feed = DataManifest(
        snapshot_id=run_id,
        source=f"{venue.code} as it comes: {kept}",
        sha256="",
        rows=0,
        start_ns=now_ns,
        end_ns=0,
        instruments=tuple(sorted(o.instrument_id for m in markets for o in m.outcomes)),
        synthetic=is_synthetic(venue),
    )
    return ledger.append(feed, ts_event=now_ns, parents=(first,))
