"""Every family goes from torch to a signed bundle and says the same there, bits and all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch", reason="torch is in the extra `train`")

from safetensors.torch import save_file  # noqa: E402

from console.cli.bundle import app  # noqa: E402
from core.domain.errors import MissingData  # noqa: E402
from signals.errors import BundleError  # noqa: E402
from signals.export import bundle_from_training  # noqa: E402
from signals.models.build import FAMILIES, build, export  # noqa: E402
from signals.models.spec import ModelSpec  # noqa: E402
from signals.plan import evaluate  # noqa: E402
from signals.runtime import Runtime  # noqa: E402

NOW = 1_763_683_200_000_000_000
CALIBRATOR = {"kind": "platt", "slope": 0.9, "intercept": 0.0}


def spec(family: str, head: str) -> ModelSpec:
    return ModelSpec(
        family=family,  # type: ignore[arg-type]
        lookback=20,
        channels=3,
        horizon=1 if head == "probability" else 4,
        head=head,  # type: ignore[arg-type]
        normalization="standard" if family == "tft" else "last",
        market=1 if head == "probability" else -1,
        hidden=12,
        layers=2,
        seed=3,
    )


def trained(family: str, head: str, folder: Path) -> Path:
    """Leave what training leaves: weights far from their initial values, and a description."""
    model = build(spec(family, head))
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn(p.shape, generator=generator) * 0.1)
    folder.mkdir(parents=True)
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()}, folder / "weights.safetensors"
    )
    about = {
        "name": f"demo/{family}@17",
        "spec": spec(family, head).model_dump(),
        "feature_names": ["price", "market_log_odds", "volume"],
        "trained_until_ns": 17,
    }
    if head == "probability":
        about["calibrator"] = CALIBRATOR
    (folder / "model.json").write_text(json.dumps(about))
    return folder


@pytest.mark.parametrize("head", ["quantile", "probability", "point"])
@pytest.mark.parametrize("family", FAMILIES)
def test_kernel_numpy_and_torch_agree_for_every_family_and_head(family, head, tmp_path) -> None:
    folder = trained(family, head, tmp_path / "run")
    model = build(spec(family, head))
    from safetensors.torch import load_file

    model.load_state_dict(load_file(folder / "weights.safetensors"))
    plan, x = export(model), np.random.default_rng(1).standard_normal((5, 20, 3)).astype(np.float32)
    runtime = Runtime(plan)
    with torch.inference_mode():
        single = model(torch.from_numpy(x)).numpy()
        double = model.double()(torch.from_numpy(x).double()).numpy()
    for window, float32, float64 in zip(x, single, double, strict=True):
        ours = runtime.predict({"x": window})["y"]
        # the exact answer is torch's in float64; numpy in float64 must be the same function
        np.testing.assert_allclose(evaluate(plan, {"x": window})["y"], float64, atol=1e-6)
        np.testing.assert_allclose(ours, float64, atol=3e-6, rtol=3e-6)
        np.testing.assert_allclose(ours, float32, atol=5e-6, rtol=5e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_becomes_a_bundle_through_the_command_line(family, tmp_path) -> None:
    run, store, out = (
        trained(family, "probability", tmp_path / "run"),
        tmp_path / "s",
        tmp_path / "b",
    )
    cli, key = CliRunner(), tmp_path / "bundle.key"

    def beta(*args: object) -> str:
        result = cli.invoke(app, [str(a) for a in args], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    beta("keygen", "--out", key, "--store", store)
    beta("build", run, "--out", out, "--version", "1")
    with pytest.raises(BundleError, match="no signature"):
        beta("verify", out, "--store", store)
    beta("sign", out, "--key", key)
    report = json.loads(beta("verify", out, "--store", store, "--json"))
    assert report["ok"]
    assert report["family"] == family
    assert report["golden_vectors"] == 32
    assert beta("install", out, "--store", store).startswith("demo@1 is current;")
    second = tmp_path / "b2"
    beta("build", run, "--out", second, "--version", "2", "--key", key)
    beta("install", second, "--store", store)
    listed = json.loads(beta("list", "--store", store, "--json"))["bundles"]
    assert [(b["version"], b["state"]) for b in listed] == [("1", "previous"), ("2", "current")]
    assert "@1 is current (was 2)" in beta("rollback", "demo", "--store", store)
    assert "demo@1" in beta("list", "--store", store)


def test_golden_windows_of_the_training_are_used_where_they_are_given(tmp_path) -> None:
    from safetensors.numpy import save_file as save_arrays

    run = trained("linear", "quantile", tmp_path / "run")
    windows = np.random.default_rng(2).standard_normal((40, 20, 3)).astype(np.float32)
    save_arrays({"x": windows}, run / "windows.safetensors")
    bundle_from_training(run, tmp_path / "b", now_ns=NOW)
    from safetensors.numpy import load_file

    golden = load_file(tmp_path / "b/golden.safetensors")
    assert np.array_equal(golden["input.x"], windows[:32])
    save_arrays({"x": windows[:, :5]}, run / "windows.safetensors")
    with pytest.raises(BundleError, match="windows are not"):
        bundle_from_training(run, tmp_path / "c", now_ns=NOW)


def test_a_folder_without_a_model_or_with_other_weights_is_refused(tmp_path) -> None:
    with pytest.raises(MissingData, match="no trained model"):
        bundle_from_training(tmp_path, tmp_path / "b", now_ns=NOW)
    run = trained("lstm", "point", tmp_path / "run")
    other = trained("tcn", "point", tmp_path / "other")
    (run / "weights.safetensors").write_bytes((other / "weights.safetensors").read_bytes())
    with pytest.raises(BundleError, match="weights do not fit"):
        bundle_from_training(run, tmp_path / "b", now_ns=NOW)
    (run / "model.json").write_text("{")
    with pytest.raises(BundleError, match="cannot be read"):
        bundle_from_training(run, tmp_path / "b", now_ns=NOW)


def test_a_folder_above_the_model_names_the_command_for_the_model(tmp_path) -> None:
    trained("linear", "point", tmp_path / "run of today/challenger")
    with pytest.raises(MissingData) as refused:
        bundle_from_training(tmp_path / "run of today", tmp_path / "b", now_ns=NOW)
    assert refused.value.mend == (
        f"beta bundle build '{tmp_path}/run of today/challenger' --out FOLDER"
    )
    trained("linear", "point", tmp_path / "run of today/champion")
    with pytest.raises(MissingData, match="champion"):
        bundle_from_training(tmp_path / "run of today", tmp_path / "b", now_ns=NOW)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_kernel_and_onnxruntime_agree_for_every_family(family, tmp_path) -> None:
    ort = pytest.importorskip("onnxruntime", reason="onnxruntime is in the extra `test`")
    model = build(spec(family, "quantile")).eval()
    x = np.random.default_rng(4).standard_normal((6, 20, 3)).astype(np.float32)
    path = tmp_path / "model.onnx"
    torch.onnx.export(
        model, (torch.from_numpy(x[:1]),), path, dynamo=False, input_names=["x"], output_names=["y"]
    )
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    runtime = Runtime(export(model))
    for window in x:
        theirs = session.run(None, {"x": window[None]})[0][0]
        np.testing.assert_allclose(
            runtime.predict({"x": window})["y"], theirs, atol=5e-6, rtol=5e-6
        )
