"""From recordings to a signed bundle to a backtest on real order books, by the project's own commands."""

import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import pytest

torch = pytest.importorskip("torch")

from core.domain.decision import Forecast  # noqa: E402
from core.engine.backtest import BacktestSpec, run_backtest  # noqa: E402
from core.engine.strategy import BetaStrategy  # noqa: E402
from signals.actor import SIGNAL, decode  # noqa: E402
from signals.bundle import SigningKey, TrustStore  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("bundle_backtest")]
REPO = Path(__file__).parents[3]
START, END = 1_778_716_800_000_000_000, 1_778_803_200_000_000_000  # 2026-05-14, one day


def documented() -> list[list[str]]:
    """Return the commands of the page, as a shell would split them."""
    page = (REPO / "docs/forecasting.md").read_text()
    block = (
        page.split("## Serve a model in a backtest", 1)[1]
        .split("```text\n", 1)[1]
        .split("```", 1)[0]
    )
    return [shlex.split(line)[1:] for line in block.strip().splitlines()]


@pytest.fixture(scope="module")
def walked(shared_data, tmp_path_factory):
    """
    Walk the documented way in an empty folder; return it and what each command said.

    The first model of the configuration stands for all seven, to be quick.
    """
    root = tmp_path_factory.mktemp("walk") / "here"
    root.mkdir()
    (root.parent / "shared").symlink_to(shared_data.resolve().parent)
    shipped = (REPO / "signals/configs/kalshi_btc15m.toml").read_text()
    (root / "one.toml").write_text("[[models]]".join(shipped.split("[[models]]")[:2]))
    said = {}
    for command in documented():
        if command[0] == "train":
            assert command[1] == "kalshi_btc15m"
            command[1] = "one.toml"
        done = subprocess.run(
            [sys.executable, "-m", "console.cli", *command],
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "2", "COLUMNS": "120"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        key = command[1] if command[0] != "train" else "train"
        said[key] = done.stdout
    return root, said


def test_the_documented_way_from_recordings_to_orders_walks(walked):
    root, said = walked
    written = json.loads((root / "runs/train/kalshi_btc15m/promotion.jsonl").read_text())
    assert written["reasons"] and all(why in said["train"] for why in written["reasons"])
    assert (root / "runs/train/kalshi_btc15m/champion").exists() == written["promoted"]
    assert "next: beta bundle sign my-bundle" in said["build"]
    assert "next: beta bundle install my-bundle" in said["sign"]
    assert "current" in said["list"]
    assert "Brier" in said["signals.actor:ForecastActor"]
    assert "against market" in said["strategies.bundle_predictor:BundlePredictor"]


@pytest.fixture(scope="module")
def bundle(walked):
    return walked[0] / "bundles/kalshi_btc15m"


@pytest.fixture(scope="module")
def catalog(walked):
    return walked[0] / "catalogs/kalshi_btc15m_l2"


def spec(catalog: Path, bundle: Path, strategy: str, **more) -> BacktestSpec:
    params = {"bundle": str(bundle), **more.pop("params", {})}
    return BacktestSpec(
        strategy=strategy, params=params, catalog=catalog, start_ns=START, end_ns=END, **more
    )


class Listener(BetaStrategy):
    """Hears forecasts on the bus."""

    heard: ClassVar[list[Forecast]] = []

    def on_start(self):
        self.subscribe_signal(SIGNAL)

    def on_signal(self, signal):
        self.heard.append(decode(signal.value))


def test_every_forecast_of_the_actor_is_heard_on_the_bus(catalog, bundle):
    Listener.heard.clear()
    run = spec(catalog, bundle, f"{__name__}:Listener,signals.actor:ForecastActor")
    result = run_backtest(replace(run, params={"ForecastActor": dict(run.params)}))
    assert len(Listener.heard) == len(result.forecasts) > 200
    assert {str(f.probability) for f in Listener.heard} >= {
        str(Decimal(f"{r.probability:.6f}")) for r in result.forecasts[:20]
    }


def test_the_actor_forecasts_both_outcomes_from_books_the_model_never_saw(
    catalog, bundle, tmp_path
):
    result = run_backtest(
        spec(catalog, bundle, "signals.actor:ForecastActor", ledger=tmp_path / "ledger")
    )
    assert len(result.forecasts) > 200
    assert not result.orders
    about = bundle.parents[1] / "runs/train/kalshi_btc15m/challenger/model.json"
    trained = json.loads(about.read_text())["trained_until_ns"]
    assert min(f.ts_ns for f in result.forecasts) >= trained
    by_time = {}
    for f in result.forecasts:
        by_time.setdefault((f.ts_ns, f.market_id), []).append(f.probability)
    assert all(len(p) == 2 and abs(sum(p) - 1) < 1e-9 for p in by_time.values())
    near = [
        abs(f.probability - f.market_price) for f in result.forecasts if f.market_price is not None
    ]
    assert sum(near) / len(near) < 0.1


def test_the_same_run_gives_the_same_decision_hash(walked, catalog, bundle):
    strategy = "strategies.bundle_predictor:BundlePredictor"
    result = run_backtest(spec(catalog, bundle, strategy, params={"min_edge": "0.005"}))
    assert result.forecasts
    assert result.decision_hash in walked[1][strategy]


def test_a_bundle_of_an_unknown_signer_stops_the_run(catalog, bundle, tmp_path):
    from core.domain.errors import BetaError

    other = SigningKey.generate(tmp_path / "other.pem")
    TrustStore(tmp_path / "trust").add(other.public)
    with pytest.raises(BetaError):
        run_backtest(
            spec(
                catalog,
                bundle,
                "signals.actor:ForecastActor",
                params={"trust": str(tmp_path / "trust")},
            )
        )
