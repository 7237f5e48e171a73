"""Bad input through the actor, in runs of the engine: no forecast, a typed error, a ledger row."""

from __future__ import annotations

import hashlib
import json
import shutil
from decimal import Decimal

import numpy as np
import pytest

from core.domain.clock import NS_PER_SECOND, ns_from_iso
from core.domain.fees import FeeSchedule
from core.domain.grid import TickGrid
from core.domain.market import Market, Outcome
from core.engine.backtest import BacktestSpec, run_backtest
from core.engine.catalog import CatalogWriter, QuoteColumns
from core.ledger.reader import LedgerReader
from signals import bundle as bundles
from signals import errors
from signals.bundle import BundleStore, Draft, SigningKey, TrustStore, sign_bundle, write_bundle
from signals.features import FeatureSet, FeatureSpec
from signals.models.spec import ModelSpec
from signals.plan import PlanBuilder, evaluate

START = ns_from_iso("2026-07-01T12:00:00Z")
SECOND = NS_PER_SECOND
YES, NO = "KXONE-26-YES.KALSHI", "KXONE-26-NO.KALSHI"
LOOKBACK = 4
FEATURES = FeatureSet(
    features=(
        FeatureSpec(name="market_log_odds", kind="market_log_odds"),
        FeatureSpec(name="spread", kind="spread"),
        FeatureSpec(name="book_imbalance", kind="book_imbalance"),
    ),
    interval_ns=10 * SECOND,
)
BOTH = ["signals.actor:ForecastActor", "strategies.bundle_predictor:BundlePredictor"]


def catalog(path, seconds, bids, asks, sizes=100_000):
    """Write one market with a quote at each of `seconds`."""
    market = Market(
        venue="KALSHI",
        market_id="KXONE-26",
        question="Will it?",
        outcomes=(Outcome(YES, "Yes", "yes"), Outcome(NO, "No", "no")),
        grid=TickGrid.uniform(Decimal("0.01")),
        fees=FeeSchedule("KALSHI", kind="quadratic"),
        event_id="KXONE-26",
        open_ns=START,
        close_ns=START + 3600 * SECOND,
    )
    times = START + np.asarray(seconds, dtype=np.int64) * SECOND
    size = np.full(times.size, sizes, dtype=np.int64)
    bid, ask = np.asarray(bids, dtype=np.int64), np.asarray(asks, dtype=np.int64)

    def columns(bid, ask):
        return QuoteColumns(ts_event=times, bid=bid, ask=ask, bid_size=size, ask_size=size)

    with CatalogWriter(path, name=path.name, source="a test") as out:
        out.markets([market])
        out.quotes(YES, columns(bid, ask))
        out.quotes(NO, columns(10_000 - ask, 10_000 - bid))
    return path


@pytest.fixture(scope="module")
def steady(tmp_path_factory):
    seconds = np.arange(1, 600, 10)
    moving = 4_000 + np.arange(seconds.size) % 7 * 100
    return catalog(tmp_path_factory.mktemp("data") / "steady", seconds, moving, moving + 200)


@pytest.fixture
def served(tmp_path):
    """Return a function that makes a signed bundle; `gain` is the weight of the last row."""
    key = SigningKey.generate(tmp_path / "key.pem")
    TrustStore(tmp_path / "trust").add(key.public)

    def make(gain=1.0, expires_s=7 * 86_400, version="1", folder="bundle"):
        b = PlanBuilder()
        x = b.input("x", LOOKBACK, len(FEATURES.names))
        grown = b.dense(b.last(x), np.full((len(FEATURES.names), 8), gain, dtype=np.float32))
        out = b.dense(grown, np.full((8, 1), gain / 8, dtype=np.float32))
        b.output("y", out)
        plan = b.build()
        golden = np.zeros((2, LOOKBACK, len(FEATURES.names)), dtype=np.float32)
        reference = np.stack([evaluate(plan, {"x": g})["y"] for g in golden])
        draft = Draft(
            name="demo",
            version=version,
            plan=plan,
            model=ModelSpec(
                family="mlp",
                lookback=LOOKBACK,
                channels=len(FEATURES.names),
                head="probability",
                hidden=8,
            ),
            features=FEATURES,
            feature_names=FEATURES.names,
            golden_inputs={"x": golden},
            reference={"y": reference},
            created_ns=START - SECOND,
            expires_ns=START + expires_s * SECOND,
        )
        write_bundle(draft, tmp_path / folder)
        sign_bundle(tmp_path / folder, key)
        return tmp_path

    make.key = key
    return make


def run(data, root, strategy=BOTH[0], **params):
    """Run a strategy; return its result (None if the run was stopped), the error and fault rows."""
    result, error = None, None
    params = params or {"bundle": str(root / "bundle"), "trust": str(root / "trust")}
    try:
        result = run_backtest(
            BacktestSpec(strategy=strategy, params=params, catalog=data, ledger=root / "ledger")
        )
    except Exception as raised:
        error = raised
    rows = list(LedgerReader(root / "ledger").rows())
    faults = [json.loads(r.payload) for r in rows if r.name == "fault"]
    assert all(f["action"] == "no forecast" for f in faults)
    shutil.rmtree(root / "ledger")
    return result, error, faults


def seen(faults):
    return {f["error"] for f in faults}


@pytest.mark.parametrize("strategy", BOTH)
def test_a_good_bundle_forecasts_once_the_window_is_full(steady, served, strategy):
    result, error, faults = run(steady, served(), strategy)
    assert error is None
    assert result.forecasts or strategy == BOTH[1]
    assert seen(faults) == {"ShortHistory"}  # the first rows of the run


def truncate(folder, key):
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-8])


def tamper(folder, key):
    path = folder / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def unsigned(folder, key):
    (folder / "manifest.sig").unlink()


def resigned(folder, key, change):
    path = folder / "manifest.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    sign_bundle(folder, key)


def other_order(folder, key):
    resigned(folder, key, lambda d: d["feature_names"].reverse())


def truncated_but_signed(folder, key):
    truncate(folder, key)
    digest = hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    resigned(folder, key, lambda d: d["files"].update({"weights.safetensors": digest}))


@pytest.mark.parametrize("strategy", BOTH)
@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (truncate, errors.BundleAltered),
        (tamper, errors.BundleAltered),
        (unsigned, errors.BundleUnsigned),
        (other_order, errors.FeatureMismatch),
        (truncated_but_signed, errors.BundleAltered),
    ],
    ids=lambda v: v.__name__,
)
def test_a_bundle_that_must_not_be_served_stops_the_run_and_leaves_a_row(
    steady, served, strategy, spoil, expected
):
    root = served()
    spoil(root / "bundle", served.key)
    result, error, faults = run(steady, root, strategy)
    assert result is None
    assert expected in {type(e) for e in chain(error)}
    assert seen(faults) == {expected.__name__}


def chain(error):
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("strategy", BOTH)
def test_a_bundle_that_expires_while_in_use_gives_nothing_more(steady, served, strategy):
    result, error, faults = run(steady, served(expires_s=300), strategy)
    assert error is None
    assert "BundleExpired" in seen(faults)
    assert all(f.ts_ns < START + 300 * SECOND for f in result.forecasts)


def test_a_gap_in_the_quotes_gives_nothing_until_a_whole_new_window_was_seen(tmp_path, served):
    seconds = np.array([*range(1, 200, 10), *range(400, 600, 10)])
    data = catalog(
        tmp_path / "gap",
        seconds,
        np.full(seconds.size, 4_000),
        np.full(seconds.size, 4_200),
    )
    result, error, faults = run(data, served())
    assert error is None
    assert {"StaleHistory", "ShortHistory"} <= seen(faults)
    made = sorted({(f.ts_ns - START) // SECOND for f in result.forecasts})
    assert made
    assert not [s for s in made if 200 < s < 400 + 10 * (LOOKBACK - 1)]
    assert max(made) > 430


def test_too_short_a_history_gives_rows_and_nothing_else(tmp_path, served):
    data = catalog(tmp_path / "short", [1, 11, 21, 31], [4_000] * 4, [4_200] * 4)
    result, error, faults = run(data, served())
    assert error is None
    assert not result.forecasts
    assert seen(faults) == {"ShortHistory"}


def test_a_one_sided_book_breaks_the_history(tmp_path, served):
    seconds = np.arange(1, 400, 10)
    bids, asks = np.full(seconds.size, 4_000), np.full(seconds.size, 4_200)
    asks[20] = 10_000  # nobody sells
    result, error, faults = run(catalog(tmp_path / "side", seconds, bids, asks), served())
    assert error is None
    assert "ForecastInputError" in seen(faults)
    assert result.forecasts


def test_a_feature_that_is_not_a_number_breaks_the_history(tmp_path, served):
    seconds = np.arange(1, 400, 10)
    bids, asks = np.full(seconds.size, 4_000), np.full(seconds.size, 4_200)
    nobody = np.where(np.arange(seconds.size) == 20, 0, 100_000)  # imbalance 0 / 0 at 201 s
    result, error, faults = run(catalog(tmp_path / "nan", seconds, bids, asks, nobody), served())
    assert error is None
    assert {"NotFinite", "ShortHistory"} <= seen(faults)
    made = sorted({(f.ts_ns - START) // SECOND for f in result.forecasts})
    assert not [s for s in made if 201 < s < 210 + 10 * (LOOKBACK - 1)]
    assert max(made) > 250


@pytest.mark.parametrize("strategy", BOTH)
def test_an_installed_name_serves_its_current_version_and_a_rollback_the_one_before(
    steady, served, strategy
):
    root = served()
    served(gain=0.5, version="2", folder="second")
    store = BundleStore(root / "store")
    store.trust.add(served.key.public)
    hashes = {}
    for version, folder in (("1", "bundle"), ("2", "second")):
        store.install(root / folder, START)
        result, error, _ = run(steady, root, strategy, bundle=str(root / "store/demo"))
        assert error is None
        hashes[version] = result.decision_hash
    assert hashes["1"] != hashes["2"]
    assert store.rollback("demo", START) == ("2", "1")
    result, _, _ = run(steady, root, strategy, bundle=str(root / "store/demo"))
    assert result.decision_hash == hashes["1"]


@pytest.mark.parametrize("strategy", BOTH)
def test_a_bundle_that_is_not_installed_is_not_served_without_keys_to_trust(
    steady, served, strategy
):
    root = served()
    result, error, faults = run(steady, root, strategy, bundle=str(root / "bundle"))
    assert result is None
    assert "needs the keys that are trusted" in str(error)
    assert seen(faults) == {"ConfigError"}


@pytest.mark.parametrize("strategy", BOTH)
def test_overflow_inside_the_model_gives_no_forecast(steady, served, strategy):
    result, error, faults = run(steady, served(gain=3e38), strategy)
    assert error is None
    assert not result.forecasts
    assert "NonFiniteOutput" in seen(faults)


@pytest.fixture
def meddled(monkeypatch):
    """Let a test change every runtime right after its bundle was loaded and found good."""

    def use(change):
        load = bundles.load_predictor

        def loaded(*args):
            predictor = load(*args)
            change(predictor.runtime)
            return predictor

        monkeypatch.setattr(bundles, "load_predictor", loaded)

    return use


def too_little_fuel(runtime):
    runtime.fuel = runtime.cost // 2


def nan_in_the_window(runtime):
    whole = runtime.predict

    def predict(inputs):
        return whole({"x": np.where(inputs["x"] > 0, np.nan, inputs["x"])})

    runtime.predict = predict


def unknown_instruction(runtime):
    at = runtime._program.base
    memory = runtime._memory.get_buffer_ptr(runtime._store, 64, at)
    np.frombuffer(memory, dtype=np.uint32)[0] = 99


@pytest.mark.parametrize("strategy", BOTH)
@pytest.mark.parametrize(
    ("change", "expected"),
    [(too_little_fuel, "FuelExhausted"), (nan_in_the_window, "NonFiniteInput")],
    ids=lambda v: getattr(v, "__name__", v),
)
def test_a_call_that_fails_every_time_never_gives_a_forecast(
    steady, served, meddled, strategy, change, expected
):
    meddled(change)
    result, error, faults = run(steady, served(), strategy)
    assert error is None
    assert not result.forecasts
    assert not result.orders
    assert expected in seen(faults)


@pytest.mark.parametrize("strategy", BOTH)
def test_a_trap_gives_no_forecast_and_the_next_grid_time_is_answered_afresh(
    steady, served, meddled, strategy
):
    root = served()
    good, _, _ = run(steady, root, strategy)
    meddled(unknown_instruction)
    result, error, faults = run(steady, root, strategy)
    assert error is None
    assert "KernelTrap" in seen(faults)
    if strategy == BOTH[0]:
        assert len(result.forecasts) == len(good.forecasts) - 2  # both outcomes of one moment
