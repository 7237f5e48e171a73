"""Every family: shapes, seeds, invariances, learning, and equality of torch and plan."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from signals.models import ModelSpec
from signals.plan import evaluate

torch = pytest.importorskip("torch")
from signals.models.build import FAMILIES, build, export  # noqa: E402

ALL = sorted(FAMILIES)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def jitter(model, seed=0):
    """Move every weight, so that zeroed output layers do not hide a mistake."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.2 * torch.randn(p.shape, generator=generator))
    return model.eval()


def compare(spec, seed=0):
    model = jitter(build(spec), seed)
    if spec.normalization == "fixed":
        model.fit_constants(np.linspace(-1, 1, spec.channels), np.linspace(0.5, 2, spec.channels))
    x = np.random.default_rng(seed).normal(0, 1, (spec.lookback, spec.channels)).astype(np.float32)
    with torch.no_grad():
        expected = model.double()(torch.as_tensor(x[None], dtype=torch.float64))[0].numpy()
    plan = export(model.float())
    got = evaluate(plan, {"x": x}, np.float64)["y"]
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("family", ALL)
@pytest.mark.parametrize("head", ["point", "quantile", "probability"])
@pytest.mark.parametrize("normalization", ["none", "last", "relative", "standard", "fixed"])
def test_the_plan_computes_what_torch_computes(family, head, normalization):
    probability = head == "probability"
    compare(
        ModelSpec(
            family=family,
            lookback=13,
            horizon=1 if probability else 5,
            channels=3,
            target=1,
            head=head,
            normalization=normalization,
            hidden=8,
            layers=2,
            market=2 if probability else -1,
            quantiles=(0.1, 0.5, 0.9),
        )
    )


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(ALL),
    st.integers(1, 20),
    st.integers(1, 6),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from([2, 6, 10]),
    st.integers(0, 100),
)
def test_the_plan_agrees_for_any_shape(family, lookback, horizon, channels, layers, hidden, seed):
    compare(
        ModelSpec(
            family=family,
            lookback=lookback,
            horizon=horizon,
            channels=channels,
            target=channels - 1,
            layers=layers,
            hidden=hidden,
            quantiles=(0.2, 0.5),
        ),
        seed,
    )


@pytest.mark.parametrize("family", ALL)
def test_an_untrained_probability_model_answers_with_the_market_price(family):
    spec = ModelSpec(family=family, lookback=4, channels=2, head="probability", market=1, hidden=8)
    x = torch.randn(64, 4, 2)
    residual = build(spec).eval()(x)[:, 0, 0] - x[:, -1, 1]
    assert residual.abs().max() < 0.1


@pytest.mark.parametrize("family", ALL)
def test_equal_specs_give_equal_weights_and_another_seed_does_not(family):
    spec = ModelSpec(family=family, lookback=6, hidden=8)
    a, b = build(spec), build(spec)
    c = build(spec.model_copy(update={"seed": 1}))
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert any(not torch.equal(p, q) for p, q in zip(a.parameters(), c.parameters(), strict=True))


@pytest.mark.parametrize("family", ALL)
def test_quantiles_never_cross(family):
    spec = ModelSpec(family=family, lookback=6, horizon=3, hidden=8)
    out = jitter(build(spec))(torch.randn(100, 6, 1))
    assert (out.diff(dim=-1) >= 0).all()


@pytest.mark.parametrize("family", ALL)
@pytest.mark.parametrize("normalization", ["last", "standard"])
def test_a_shift_of_the_series_shifts_the_forecast(family, normalization):
    spec = ModelSpec(
        family=family, lookback=8, horizon=2, hidden=8, normalization=normalization, head="point"
    )
    model = jitter(build(spec)).double()
    x = torch.randn(5, 8, 1, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(model(x + 100.0), model(x) + 100.0, atol=1e-6)


@pytest.mark.parametrize("family", ALL)
def test_every_family_learns_a_sine_better_than_the_last_value(family):
    spec = ModelSpec(
        family=family,
        lookback=16,
        horizon=4,
        hidden=16,
        layers=3 if family == "tcn" else 1,
        head="point",
    )
    t = torch.arange(0, 110, dtype=torch.float32)
    wave = torch.sin(2 * torch.pi * t / 12)
    windows = wave.unfold(0, 20, 1)
    x, y = windows[:, :16, None], windows[:, 16:]
    model = build(spec)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(160 if family == "tft" else 70):  # gates open slowly
        optimiser.zero_grad()
        model.loss(x, y).backward()
        optimiser.step()
    with torch.no_grad():
        error = ((model.eval()(x)[:, :, 0] - y) ** 2).mean()
    naive = ((x[:, -1:, 0] - y) ** 2).mean()
    assert error < 0.2 * naive


def test_deepar_paths_spread_with_the_horizon_and_repeat_with_the_seed():
    model = jitter(build(ModelSpec(family="deepar", lookback=6, horizon=12, hidden=8)))
    x = torch.randn(2, 6, 1)
    paths = model.sample(x, 400, seed=3)
    assert paths.shape == (2, 400, 12)
    assert torch.equal(paths, model.sample(x, 400, seed=3))
    spread = paths.quantile(0.9, dim=1) - paths.quantile(0.1, dim=1)
    assert (spread[:, -1] > spread[:, 0]).all()


@pytest.mark.parametrize(
    "bad",
    [
        {"target": 1},
        {"market": 3},
        {"quantiles": (0.5, 0.1)},
        {"quantiles": (0.0, 0.5)},
        {"head": "probability", "horizon": 2},
        {"hidden": 7},
        {"colour": 1},
    ],
)
def test_a_specification_that_means_nothing_is_refused(bad):
    with pytest.raises(ValidationError):
        ModelSpec(**{"family": "tft", "lookback": 4, **bad})
