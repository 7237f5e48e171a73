"""The embedded sample: same bytes everywhere, fair between dislocations, labelled synthetic."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from adapters.sample.beliefs import beliefs, draw_outcome
from adapters.sample.build import build_sample
from adapters.sample.draws import Draws, normal_probability
from adapters.sample.elections import CONTESTS
from adapters.sample.ladders import Ladder, cents
from core.domain.clock import NS_PER_DAY
from core.engine.catalog import Catalog, Kind, find_catalog
from core.engine.catalog.tops import tops_of
from core.engine.catalog.verify import verify_catalog


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The sample as a user gets it: made when first named."""
    root = tmp_path_factory.mktemp("catalogs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BETA_CATALOGS", str(root))
        first = find_catalog("sample")
        assert first.root == root / "sample"
        assert find_catalog("sample").meta == first.meta
    return first


#: Changes only when the generator, the writer or a pinned library changes what is written.
CONTENT_SHA = "bd6ae453b51dec1870f19f3aeaf1098ed95030fffe817c0af129e097d2fc225d"


def test_the_content_is_the_same_on_every_machine(sample: Catalog) -> None:
    assert sample.meta.content_sha == CONTENT_SHA


def test_it_is_sound_and_everything_resolves(sample: Catalog) -> None:
    result = verify_catalog(sample)
    assert result.findings == []
    questions = [m for m in sample.markets().values() if len(m.outcomes) == 2]
    assert all(m.resolved for m in questions)
    start, end = sample.span_ns()
    assert 89 <= (end - start) / NS_PER_DAY <= 90


def test_everything_says_that_it_is_synthetic(sample: Catalog) -> None:
    assert sample.meta.synthetic
    assert any("SYNTHETIC" in note for note in sample.meta.notes)
    for market in sample.markets().values():
        if len(market.outcomes) == 2:
            assert market.synthetic
            assert market.question.startswith("[synthetic]")
    assert all(e.synthetic for e in sample.events().values())


def test_it_has_what_the_strategies_need(sample: Catalog) -> None:
    events = [e for e in sample.events().values() if e.neg_risk_id]
    assert len(events) == len(CONTESTS)
    assert all(e.yes_basket_allowed and e.no_basket_allowed for e in events)
    windows = [m for m in sample.markets().values() if m.venue == "KALSHI"]
    assert len(windows) == 60
    assert all(m.strike and m.underlying == "BTCUSDT.BINANCE" for m in windows)
    assert Kind.TRADES in sample.kinds("BTCUSDT.BINANCE")
    assert sample.bar_types("ETHUSDT.BINANCE") == (
        "ETHUSDT.BINANCE-1-DAY-LAST-EXTERNAL",
        "ETHUSDT.BINANCE-1-HOUR-LAST-EXTERNAL",
    )
    assert sample.kinds("SAMPLE-Q1-YES.POLYMARKET") >= {Kind.DELTAS, Kind.TRADES, Kind.CLOSES}
    # A strategy must see every leg at the same moment, twice an hour at least.
    assert sum(p.rows for p in sample.meta.periods) < 400_000


def baskets(sample: Catalog, key: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return times, sums of YES bids and of YES asks of an event at its ticks, in cents."""
    ids = sorted(
        m.outcomes[0].instrument_id
        for m in sample.markets().values()
        if m.event_id == f"SAMPLE-EVENT-{key}"
    )
    tops = [tops_of(sample.deltas(iid)) for iid in ids]
    ts = np.unique(np.concatenate([t.ts[:-1] for t in tops]))
    at = [np.searchsorted(t.ts, ts, side="right") - 1 for t in tops]
    seen = np.all([a >= 0 for a in at], axis=0)
    bids = sum(t.bid[a] for t, a in zip(tops, at, strict=True))
    asks = sum(t.ask[a] for t, a in zip(tops, at, strict=True))
    return ts[seen], bids[seen] // 100, asks[seen] // 100


@pytest.mark.parametrize("contest", CONTESTS, ids=lambda c: c.key)
def test_dislocations_are_few_short_and_everything_else_is_efficient(
    sample: Catalog, contest: object
) -> None:
    ts, bids, asks = baskets(sample, contest.key)
    off = (bids > 100) | (asks < 100)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], off.astype(int), [0]])))
    lengths = [
        (ts[min(b, len(ts) - 1)] - ts[a]) / 1e9
        for a, b in zip(edges[::2], edges[1::2], strict=True)
    ]
    assert len(lengths) == contest.dislocations
    assert max(lengths) <= 165
    assert sum(lengths) < 0.001 * (ts[-1] - ts[0]) / 1e9
    assert bids.max() <= 108
    assert asks.min() >= 92


def test_a_belief_is_a_fair_price() -> None:
    """The mean posterior of the drawn outcomes equals how often they happen, at every age."""
    hits, said = np.zeros(5), np.zeros(5)
    for seed in range(400):
        draws = Draws(1, seed)
        prior = (300, 700)
        winner = draw_outcome(draws.child(1), prior)
        path = beliefs(draws.child(2), prior, winner, [True] * 100, 150)
        for k, age in enumerate((0, 24, 49, 74, 99)):
            said[k] += path[age][0]
            hits[k] += winner == 0
    # 400 draws: standard error of a share near 0.3 is 0.023.
    assert np.abs(said - hits).max() / 400 < 0.07


def test_draws_do_not_depend_on_their_neighbours() -> None:
    a, b = Draws(7), Draws(7)
    a.one(0, 10)
    assert a.child(3).integers(0, 1000, 5).tolist() == b.child(3).integers(0, 1000, 5).tolist()
    values = Draws(9).normals(100_000)
    assert abs(values.mean()) < 0.01
    assert abs(values.std() - 1.0) < 0.01


def test_the_probability_table_is_symmetric_and_rising() -> None:
    grid = [normal_probability(z / 100) for z in range(-500, 501)]
    assert all(a <= b for a, b in pairwise(grid))
    assert normal_probability(0.0) == 0.5
    assert abs(normal_probability(1.96) - 0.975) < 2e-4
    assert abs(normal_probability(-0.5) - 0.30854) < 1e-4


def test_quotes_stay_inside_the_grid() -> None:
    for p in (0.0, 0.001, 0.5, 0.999, 1.0):
        for spread in (1, 2, 3, 4):
            bid, ask = cents(p, spread)
            assert 1 <= bid < ask <= 99
            assert ask - bid == spread


def test_a_trade_takes_only_what_is_shown() -> None:
    ladder = Ladder(Draws(3), depth=(10, 20))
    ladder.quote(1, 40, 42)
    shown = ladder._shown[1, 42]
    ladder.trade(2, True, 1_000)
    trades = ladder.trades("t")
    assert trades is not None
    assert trades.size.tolist() == [shown]
    assert tops_of(ladder.deltas(9)).ask.tolist()[:2] == [4200, 4300]
    ladder.trade(3, False, 5, keep=1_000)
    assert len(ladder.trades("t") or ()) == 1


@pytest.mark.slow
def test_another_seed_is_another_world(tmp_path: Path, sample: Catalog) -> None:
    build_sample(tmp_path / "other", seed=2)
    other = Catalog.open(tmp_path / "other")
    assert other.meta.content_sha != sample.meta.content_sha
    assert verify_catalog(other).findings == []
    assert other.markets()["SAMPLE-Q1"].outcomes[0].payout in (Decimal(0), Decimal(1))
