"""A signed bundle made by the project's own functions, and the store that trusts its key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from signals.bundle import BundleStore, Calibration, Draft, SigningKey, sign_bundle, write_bundle
from signals.models.spec import ModelSpec
from signals.plan import PlanBuilder, evaluate
from signals.probability.calibration import Platt
from tests.unit.signals.kernel.cases import Numbers

NOW = 1_763_683_200_000_000_000
DAY = 86_400_000_000_000
SPEC = ModelSpec(family="lstm", lookback=6, channels=3, head="probability", hidden=5, heads=1)


def draft(version: str = "1", name: str = "demo", **changes: object) -> Draft:
    w = Numbers(sum(version.encode()))
    b = PlanBuilder()
    x = b.input("x", 6, 3)
    seq, _ = b.lstm(x, w.small(3, 20), w.small(5, 20), w(20))
    b.output("y", b.dense(b.last(seq), w.small(5, 1), w(1)))
    plan = b.build()
    inputs = w(8, 6, 3)
    fields: dict = {
        "name": name,
        "version": version,
        "plan": plan,
        "model": SPEC,
        "feature_names": ("log_return", "spread", "imbalance"),
        "golden_inputs": {"x": inputs},
        "reference": {"y": np.stack([evaluate(plan, {"x": x})["y"] for x in inputs])},
        "created_ns": NOW,
        "expires_ns": NOW + 90 * DAY,
        "calibration": Calibration(calibrator=Platt(slope=0.5, intercept=0.1), log_odds_band=0.7),
    }
    return Draft(**(fields | changes))


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return SigningKey.generate(tmp_path / "bundle.key")


@pytest.fixture
def store(tmp_path: Path, key: SigningKey) -> BundleStore:
    made = BundleStore(tmp_path / "store")
    made.trust.add(key.public)
    return made


@pytest.fixture
def make(tmp_path: Path, key: SigningKey) -> Callable[..., Path]:
    def bundle(version: str = "1", **changes: object) -> Path:
        out = tmp_path / f"bundle-{version}-{changes.get('name', 'demo')}"
        write_bundle(draft(version, **changes), out)
        sign_bundle(out, key)
        return out

    return bundle
