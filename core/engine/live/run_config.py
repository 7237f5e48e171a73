"""What decides a paper or live run, as one JSON text in its first ledger row: parity and replay start from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from decimal import Decimal
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from core.domain.market import Market
from core.engine.strategy_files import deciding
from core.risk.limits import Limits

if TYPE_CHECKING:
    from core.engine.live.node import NodeSpec
    from core.engine.live.venue import LiveVenue

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def run_config(
    spec: NodeSpec, venue: LiveVenue, limits: Limits, markets: Sequence[Market]
) -> tuple[str, str]:
    """Return the configuration of a run as JSON, and its sha256. No venue setting, so no secret, is in it."""
    config = {
        "mode": spec.mode.value,
        "venue": venue.code,
        "currency": venue.currency,
        "strategies": [p.recorded() for p in spec.plans],
        "instruments": sorted(o.instrument_id for m in markets for o in m.outcomes),
        "capital": str(spec.capital),
        "latency_ms": spec.latency_s * 1000,
        "look_ns": spec.look_ns,
        "limits": limits.model_dump(mode="json"),
        "seed": spec.seed,
        "record": spec.record,
        "synthetic": is_synthetic(venue),
        "engine": version("nautilus_trader"),
        "platform": version("beta-trader"),
    }
    text = json.dumps(config, sort_keys=True, default=_plain)
    decides = json.dumps(deciding(config), sort_keys=True, default=_plain)
    return text, hashlib.sha256(decides.encode()).hexdigest()


def limits_from(raw: dict[str, Any]) -> Limits:
    """Return the limits that `run_config` wrote."""
    return Limits.model_validate(raw)


def is_synthetic(venue: LiveVenue) -> bool:
    """Return whether the venue is one of ours on this machine: what it shows is no real market."""
    settings = getattr(venue, "settings", None)
    urls = vars(settings).values() if settings is not None else ()
    return any(isinstance(u, str) and any(h in u for h in LOOPBACK) for u in urls)


def _plain(value: Any) -> str:
    return str(value.normalize()) if isinstance(value, Decimal) else str(value)
