"""The retraining job: a challenger, the same windows for both, a decision and its row."""

import json

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

from core.ledger.reader import LedgerReader  # noqa: E402
from signals.errors import TrainingError  # noqa: E402
from signals.training.config import TrainConfig, load_config  # noqa: E402
from signals.training.retrain import retrain  # noqa: E402
from signals.training.samples import MarketSamples  # noqa: E402
from signals.training.sources import SOURCES  # noqa: E402
from signals.training.sources.base import Unfitted  # noqa: E402

N = 4000
SECOND = 1_000_000_000


class Made(Unfitted):
    """Markets whose price errs by a noise that one feature tells (`hint` = 1), or not at all (0)."""

    labels = ("markets", "outcome")

    def __init__(self, hint, rows=N):
        self.hint, self.rows = hint, rows

    def load(self, root, options):
        random = np.random.default_rng(5)
        truth = random.normal(0, 1.2, N)
        noise = self.hint * random.normal(0, 0.9, N)
        outcome = (random.uniform(0, 1, N) < 1 / (1 + np.exp(-truth))).astype(float)
        told = noise if self.hint else random.normal(0, 0.9, N)
        names = [f"m{i:05d}" for i in range(N)]
        times = (np.arange(N) + 1) * 60 * SECOND
        quotes = pl.DataFrame(
            {"ticker": names, "ts_ns": times, "market_log_odds": truth + noise, "told": told}
        )
        markets = pl.DataFrame({"ticker": names, "outcome": outcome})
        return {"quotes": quotes.head(self.rows), "markets": markets.head(self.rows)}

    def build(self, raw, options):
        both = raw["quotes"].join(raw["markets"], on="ticker", how="left", maintain_order="left")
        n = both.height
        x = both.select("market_log_odds", "told").to_numpy().astype(np.float32)[:, None]
        return MarketSamples(
            both["ts_ns"].to_numpy(),
            both["ts_ns"].to_numpy() + SECOND,
            np.arange(n),
            x,
            both["outcome"].to_numpy(),
            1 / (1 + np.exp(-both["market_log_odds"].to_numpy())),
            np.full(n, "1m"),
            np.full(n, "g"),
            ("market_log_odds", "told"),
        )


CONFIG = TrainConfig(
    name="made",
    kind="probability",
    head="probability",
    threads=1,
    data={"source": "made"},
    split={"folds": 2},
    fit={"epochs": 12, "rate": 0.02},
    models=[{"name": "linear", "family": "linear", "normalization": "fixed"}],
)


def state_rows(folder):
    found = LedgerReader(folder / "ledger").rows()
    return [json.loads(r.payload) for r in found if r.name == "state"]


def test_a_challenger_that_knows_more_than_the_price_replaces_it_and_a_twin_does_not(
    tmp_path, monkeypatch
):
    monkeypatch.setitem(SOURCES, "made", Made(hint=1.0))
    first = retrain(CONFIG, tmp_path, tmp_path / "run")
    assert first.promoted and first.champion == "market price"
    assert first.brier_gain_high < 0 and first.sharpe_challenger > first.sharpe_champion
    assert (tmp_path / "run/champion/weights.safetensors").exists()
    again = retrain(CONFIG, tmp_path, tmp_path / "run")
    assert not again.promoted and again.champion == first.challenger
    assert (again.window_start_ns, again.rows) == (first.window_start_ns, first.rows)
    rows = state_rows(tmp_path / "run")
    assert [r["reason"] for r in rows] == ["promoted", "kept"]
    assert rows[0]["after"] == first.challenger and rows[1]["after"] == first.challenger
    assert rows[1]["detail"] == again.sentence and "no evidence" in again.sentence
    assert len((tmp_path / "run/promotion.jsonl").read_text().splitlines()) == 2


def test_a_challenger_that_knows_nothing_leaves_the_price_and_the_row_says_why(
    tmp_path, monkeypatch
):
    monkeypatch.setitem(SOURCES, "made", Made(hint=0.0))
    row = retrain(CONFIG, tmp_path, tmp_path / "run")
    assert not row.promoted and row.reasons
    assert not (tmp_path / "run/champion").exists()
    (written,) = state_rows(tmp_path / "run")
    assert written["reason"] == "kept" and written["after"] == "market price"
    assert written["detail"] == row.sentence


def test_data_older_than_the_champion_judge_nobody(tmp_path, monkeypatch):
    monkeypatch.setitem(SOURCES, "made", Made(hint=1.0))
    retrain(CONFIG, tmp_path, tmp_path / "run")
    monkeypatch.setitem(SOURCES, "made", Made(hint=1.0, rows=N // 2))
    with pytest.raises(TrainingError, match="already seen"):
        retrain(CONFIG, tmp_path, tmp_path / "run")


def test_a_configuration_without_a_market_is_refused_before_any_data_is_read(tmp_path):
    with pytest.raises(TrainingError, match="only probability models"):
        retrain(load_config("m4_hourly_small"), tmp_path / "nothing here", tmp_path / "run")
