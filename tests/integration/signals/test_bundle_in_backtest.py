"""From recordings to a signed bundle to a backtest on real order books, by the project's own commands."""

import json
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
from signals.bundle import SigningKey, TrustStore, sign_bundle  # noqa: E402
from signals.export import bundle_from_training  # noqa: E402
from signals.training.config import TrainConfig, load_config  # noqa: E402
from signals.training.retrain import retrain  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("bundle_backtest")]
NOW = 1_780_000_000_000_000_000
START, END = 1_778_716_800_000_000_000, 1_778_803_200_000_000_000  # 2026-05-14, one day


@pytest.fixture(scope="module")
def bundle(shared_data, tmp_path_factory):
    root = tmp_path_factory.mktemp("model")
    config = load_config("kalshi_btc15m").model_dump()
    config["models"] = [m for m in config["models"] if m["name"] == "linear"]
    config["fit"]["epochs"] = 3
    row = retrain(TrainConfig(**{**config, "threads": 1}), shared_data, root)
    assert json.loads((root / "promotion.jsonl").read_text())["promoted"] == row.promoted
    assert (root / "champion").exists() == row.promoted
    bundle_from_training(root / "challenger", root / "bundle", days=365, now_ns=NOW)
    key = SigningKey.generate(root / "key.pem")
    sign_bundle(root / "bundle", key)
    TrustStore(root / "trust").add(key.public)
    return root


@pytest.fixture(scope="module")
def catalog(shared_data, tmp_path_factory):
    from typer.testing import CliRunner

    from console.cli.data import app

    folder = tmp_path_factory.mktemp("catalogs") / "btc15m"
    done = CliRunner().invoke(
        app,
        [
            "ingest",
            "kalshi_btc15m_l2",
            "--from",
            str(shared_data / "kalshi_btc15m_l2"),
            "--to",
            str(folder),
        ],
    )
    assert done.exit_code == 0, done.output
    return folder


def spec(catalog: Path, bundle: Path, strategy: str, **more) -> BacktestSpec:
    params = {
        "bundle": str(bundle / "bundle"),
        "trust": str(bundle / "trust"),
        **more.pop("params", {}),
    }
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
    trained = json.loads((bundle / "challenger/model.json").read_text())["trained_until_ns"]
    assert min(f.ts_ns for f in result.forecasts) >= trained
    by_time = {}
    for f in result.forecasts:
        by_time.setdefault((f.ts_ns, f.market_id), []).append(f.probability)
    assert all(len(p) == 2 and abs(sum(p) - 1) < 1e-9 for p in by_time.values())
    near = [
        abs(f.probability - f.market_price) for f in result.forecasts if f.market_price is not None
    ]
    assert sum(near) / len(near) < 0.1


def test_the_same_run_gives_the_same_decision_hash(catalog, bundle):
    runs = [
        run_backtest(spec(catalog, bundle, "strategies.bundle_predictor:BundlePredictor"))
        for _ in range(2)
    ]
    assert runs[0].decision_hash == runs[1].decision_hash
    assert runs[0].forecasts


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
