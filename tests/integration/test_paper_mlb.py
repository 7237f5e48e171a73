"""Recorded Polymarket games at 50x on the fake Polymarket: trades on paper, and the backtest does the same."""

import pytest

from core.engine.parity import check_parity
from tests.integration.test_paper_spot import beta


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "params", "fills"),
    [
        ("polymarket_arb", (), 1),
        ("base_predictor", ("min_edge=0.005", "warmup_quotes=5", "half_life_s=600"), 1),
    ],
)
def test_recorded_games_are_traded_and_replay_without_a_difference(
    repo_root, shared_data, tmp_path, strategy, params, fills
):
    catalog, home = tmp_path / "catalog", tmp_path / "node"
    name = "polymarket_l2_mlb_2025"
    made = beta("data", "ingest", name, "--from", shared_data / name, "--to", catalog, root=repo_root)  # fmt: skip
    assert made.returncode == 0, made.stderr
    told = beta(
        "paper", strategy, "--venue", "fake-polymarket", "--data", catalog, "--speed", "50",
        "--limits", "research", "--capital", "1000", "--home", home, "--for", "35",
        *(word for p in params for word in ("--param", p)), root=repo_root,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    report = check_parity(home)
    assert report.differences == ()
    assert report.orders[0] == report.orders[1]
    assert report.fees[0] == report.fees[1]
    assert (
        report.fills[0] >= fills
    )  # one price can come in more parts on one side; shares are equal
