"""`beta train`: shipped configs are valid, a run leaves what it promises, a table row repeats."""

import json

import pytest

torch = pytest.importorskip("torch")

from core.domain.errors import ConfigError, MissingData  # noqa: E402
from signals.errors import TrainingError  # noqa: E402
from signals.training.config import TrainConfig, load_config, shipped_configs  # noqa: E402
from signals.training.run import run  # noqa: E402
from signals.training.sources import source_named  # noqa: E402
from signals.training.table import TABLES, write_table  # noqa: E402


def test_every_table_has_a_shipped_configuration_and_every_configuration_a_table():
    assert {c.name for c in shipped_configs()} == set(TABLES)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = 'x'", "kind"),
        (
            "name = 'x'\nkind = 'forecast'\ncolour = 1\n[data]\nsource='ett'\n[[models]]\nname='a'\nfamily='linear'",
            "colour",
        ),
        (
            "name = 'x'\nkind = 'forecast'\n[data]\nsource='ett'\n[[models]]\nname='a'\nfamily='gpt'",
            "family",
        ),
        ("name = ", "TOML"),
    ],
)
def test_a_broken_configuration_names_the_place(tmp_path, text, words):
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_config(str(path))


def test_an_unknown_configuration_points_to_the_list():
    with pytest.raises(ConfigError, match="--list"):
        load_config("nonesuch")


def small(name, **changes):
    config = load_config(name)
    return TrainConfig(**{**config.model_dump(), "threads": 1, **changes})


@pytest.mark.slow
def test_a_probability_run_scores_the_market_beside_the_models(shared_data, tmp_path):
    config = small("kalshi_btc15m")
    models = [m for m in config.model_dump()["models"] if m["name"] in ("linear", "mlp")]
    config = small("kalshi_btc15m", models=models, fit={"epochs": 2})
    summary = run(config, shared_data, tmp_path / "run")
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["schema_version"] == 1
    assert [g["name"] for g in metrics["guards"]] == [
        "future_permutation",
        "labels_in_features",
        "separate_parts",
        "shuffled_labels",
    ]
    market = next(
        r for r in metrics["rows"] if r["forecaster"] == "market" and r["horizon"] == "all"
    )
    assert 0.05 < market["brier"] < 0.2
    for fold in metrics["folds"]:
        assert {"market", "linear", "linear calibrated", "ensemble"} <= set(fold["brier"])
    for row in metrics["rows"]:
        if row["verdict"] == "better":
            assert row["brier_gain"]["high"] < 0 and row["log_loss_gain"]["high"] < 0
    page = (tmp_path / "run/report.html").read_text()
    assert "<script" not in page and "http" not in page and "<svg" in page
    again = run(config, shared_data, tmp_path / "run")
    assert again.metrics["rows"] == summary.metrics["rows"]


def test_held_out_hours_are_training_hours_and_the_test_is_never_read(shared_data, tmp_path):
    config = load_config("m4_hourly_small").on_held_out()
    assert config.command == "beta train m4_hourly_small --held-out"
    assert config.sha256 != load_config("m4_hourly_small").sha256
    place = tmp_path / "forecast_benchmarks"
    place.mkdir()
    name = "M4-Hourly-train.csv.gz"  # and no test file
    (place / name).symlink_to((shared_data / "forecast_benchmarks" / name).resolve())
    source = source_named(config.data.source)
    raw = source.load(tmp_path, config.data.options)
    series = source.series(raw)
    assert len(series) == 414
    assert {len(v) for v in raw["test"]["value"].to_list()} == {48}
    assert min(len(s) for s in series) == 700 - 48


def test_only_m4_has_held_out_hours():
    with pytest.raises(ConfigError, match="held-out"):
        load_config("etth1_ot_24").on_held_out()


def test_an_unknown_source_is_refused_with_the_known_ones(tmp_path):
    config = small("etth1_multivariate_96", data={"source": "nonesuch"})
    with pytest.raises(TrainingError, match="one of ett, m4_hourly"):
        run(config, tmp_path, tmp_path / "run")


@pytest.mark.slow
def test_nlinear_reproduces_its_published_row_on_etth1_from_scratch(shared_data, tmp_path):
    config = small("etth1_multivariate_96")
    summary = run(config, shared_data, tmp_path)
    row = next(r for r in summary.metrics["rows"] if r["forecaster"] == "nlinear")
    assert row["mse"] <= 0.378
    naive, seasonal = summary.metrics["rows"][:2]
    assert naive["mse"] > 1.2
    assert row["mse"] < seasonal["mse"] < naive["mse"]


def test_tables_without_their_page_say_where_to_stand(tmp_path):
    with pytest.raises(MissingData, match="root of the repository"):
        write_table(tmp_path, tmp_path / "docs/forecasting-tables.md")


def test_tables_land_between_their_marks_and_name_missing_runs(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- table: m4_hourly -->\nold\n<!-- end -->\nafter\n")
    folder = tmp_path / "runs/m4_hourly"
    folder.mkdir(parents=True)
    row = {
        "forecaster": "x",
        "parameters": 1,
        "smape": 10.0,
        "mase": 1.0,
        "owa": 0.5,
        "msis": 7.0,
        "coverage": 0.95,
        "train_s": 3.0,
        "samples_per_s": 9.0,
    }
    (folder / "metrics.json").write_text(
        json.dumps(
            {
                "rows": [row],
                "guards": [],
                "command": "beta train m4_hourly",
                "training": {"x": {"seconds": 3.0}},
                "peak_mb": 2.0,
                "environment": {"threads": 2, "torch": "2"},
            }
        )
    )
    said = write_table(tmp_path / "runs", page)
    text = page.read_text()
    assert "| x | 1 | 10.000 |" in text and "old" not in text and "ES-RNN" in text
    assert text.startswith("before\n") and text.endswith("after\n")
    assert "no run yet of" in said and "kalshi_btc15m" in said
