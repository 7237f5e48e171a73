"""Training: resumable with equal results, stops early, refuses what cannot be trained."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from signals.errors import TrainingError  # noqa: E402
from signals.models import ModelSpec  # noqa: E402
from signals.training.fit import fit, predict  # noqa: E402
from signals.training.fit_spec import FitSpec  # noqa: E402
from signals.training.job import train_job  # noqa: E402
from signals.training.samples import windows  # noqa: E402

torch.set_num_threads(1)
SPEC = ModelSpec(family="mlp", lookback=8, horizon=2, hidden=8, head="point", dropout=0.2, seed=3)


@pytest.fixture
def samples():
    t = np.arange(400, dtype=np.float32)
    wave = np.sin(t / 5) + 0.05 * np.random.default_rng(0).normal(size=400).astype(np.float32)
    return windows([wave[:, None]], [np.arange(400) * 10], 8, 2)


ROWS = np.arange(250), np.arange(250, 300)


class Interrupted(Exception):
    pass


def test_an_interrupted_run_goes_on_and_ends_with_the_same_weights(samples, tmp_path):
    how = FitSpec(epochs=6, batch=32, rate=0.01, average=0.9)
    whole, report = fit(SPEC, samples, *ROWS, how)

    def stop(epoch, *_):
        if epoch == 3:
            raise Interrupted

    with pytest.raises(Interrupted):
        fit(SPEC, samples, *ROWS, how, folder=tmp_path, progress=stop)
    resumed, second = fit(SPEC, samples, *ROWS, how, folder=tmp_path)
    assert second.resumed_from == 3
    assert second.validation_loss == report.validation_loss
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not list(tmp_path.iterdir())


def test_a_finished_job_is_not_trained_again_unless_its_data_changed(samples, tmp_path):
    how = FitSpec(epochs=2, batch=32)
    seen = []
    note = lambda *a: seen.append(a)  # noqa: E731
    first = train_job("a", tmp_path, SPEC, samples, *ROWS, how, note)
    again = train_job("a", tmp_path, SPEC, samples, *ROWS, how, note)
    assert len(seen) == 2
    test = np.arange(300, 380)
    assert np.array_equal(predict(first.model, samples, test), predict(again.model, samples, test))
    train_job("a", tmp_path, SPEC, samples, ROWS[0][:-5], ROWS[1], how, note)
    assert len(seen) == 4


def test_it_stops_when_validation_no_longer_improves_and_keeps_the_best_epoch(samples):
    how = FitSpec(epochs=60, batch=32, rate=0.05, patience=3, cosine=False)
    model, report = fit(SPEC, samples, *ROWS, how)
    assert len(report.validation_loss) < 60
    best = report.validation_loss[report.best_epoch]
    assert best == min(report.validation_loss)
    _, y = samples.take(ROWS[1])
    error = float(((predict(model, samples, ROWS[1])[:, :, 0] - y) ** 2).mean())
    assert error == pytest.approx(best, rel=1e-5)


def test_the_report_says_what_training_cost(samples):
    _, report = fit(SPEC, samples, *ROWS, FitSpec(epochs=2))
    assert report.samples == 500
    assert report.samples_per_s > 0 and report.peak_mb > 10 and report.parameters > 0


def test_a_loss_that_is_not_finite_is_an_error_and_not_a_model(samples):
    broken = windows([np.full((100, 1), 3e38, dtype=np.float32)], [np.arange(100)], 8, 2)
    with pytest.raises(TrainingError, match="not finite"):
        fit(
            SPEC.model_copy(update={"normalization": "none"}),
            broken,
            np.arange(50),
            np.arange(50, 60),
            FitSpec(),
        )


def test_no_training_rows_and_nan_series_are_refused():
    with pytest.raises(TrainingError, match="NaN"):
        windows([np.array([[1.0], [np.nan]], dtype=np.float32)], [np.arange(2)], 1, 1)
    ok = windows([np.ones((20, 1), dtype=np.float32)], [np.arange(20)], 8, 2)
    with pytest.raises(TrainingError, match="no training rows"):
        fit(SPEC, ok, np.array([], dtype=int), np.array([], dtype=int), FitSpec())
