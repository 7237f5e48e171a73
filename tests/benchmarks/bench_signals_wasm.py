"""One prediction of every model family: WASM kernel, onnxruntime, torch and numpy, in one run.

All four compute the same trained function from the same float32 weights, one thread each, batch
of one, in interleaved rounds. The WASM figure is what a strategy pays: copy of the window, checks
for NaN, fuel, kernel, copy of the answer. Percentiles are over all calls of all rounds; a ratio
is the median over rounds of the medians' ratio, so that a disturbance hits both sides.
"""

from __future__ import annotations

import gc
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

COMMAND = "make bench ONLY=signals_wasm"
LOOKBACK = 60
FAMILIES: dict[str, dict[str, Any]] = {
    "linear": {"channels": 8, "horizon": 12},
    "mlp": {"channels": 8, "head": "probability", "hidden": 64, "layers": 2},
    "lstm": {"channels": 8, "horizon": 3, "head": "point", "hidden": 64, "layers": 1},
    "tcn": {"channels": 8, "horizon": 3, "head": "point", "hidden": 32, "layers": 6, "kernel": 3},
    "nbeats": {"channels": 1, "horizon": 12, "hidden": 256, "layers": 1},
    "tft": {"channels": 8, "horizon": 12, "hidden": 32, "heads": 4, "normalization": "standard"},
    "deepar": {
        "channels": 4,
        "horizon": 12,
        "hidden": 64,
        "layers": 1,
        "normalization": "standard",
    },
}

type Call = Callable[[], Any]


def contenders(family: str) -> tuple[dict[str, Call], float]:
    """Return the four ways of one prediction, and the largest difference of WASM from torch."""
    import onnxruntime as ort
    import torch

    from signals.models.build import build, export
    from signals.models.spec import ModelSpec
    from signals.plan import evaluate
    from signals.runtime import Runtime

    torch.set_num_threads(1)
    spec = ModelSpec(family=family, lookback=LOOKBACK, **FAMILIES[family])
    model = build(spec).eval()
    with torch.no_grad():  # untrained heads are near zero: make the comparison mean something
        for p in model.parameters():
            p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(1)) * 0.05)
    x = np.random.default_rng(1).standard_normal((1, LOOKBACK, spec.channels)).astype(np.float32)
    tensor = torch.from_numpy(x)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            model, (tensor,), path, dynamo=False, input_names=["x"], output_names=["y"]
        )
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    plan = export(model)
    runtime = Runtime(plan)
    window = {"x": x[0]}

    def eager() -> Any:
        with torch.inference_mode():
            return model(tensor)

    calls: dict[str, Call] = {
        "wasm": lambda: runtime.predict(window),
        "onnxruntime": lambda: session.run(None, {"x": x}),
        "torch": eager,
        "numpy": lambda: evaluate(plan, window, np.float32),
    }
    truth = eager()[0].numpy()
    for name in ("onnxruntime",):
        assert np.allclose(calls[name]()[0][0], truth, atol=1e-4), f"{family}: {name} disagrees"
    return calls, float(np.abs(runtime.predict(window)["y"] - truth).max())


def measure(calls: dict[str, Call], rounds: int, seconds: float) -> dict[str, list[np.ndarray]]:
    """Return microseconds of each call by contender and round; contenders take turns."""
    times: dict[str, list[np.ndarray]] = {name: [] for name in calls}
    counts = {}
    for name, call in calls.items():
        start = time.perf_counter()
        for _ in range(20):
            call()
        counts[name] = max(20, int(seconds / rounds / ((time.perf_counter() - start) / 20)))
    gc.disable()
    try:
        for _ in range(rounds):
            for name, call in calls.items():
                took = np.empty(counts[name])
                for i in range(counts[name]):
                    start_ns = time.perf_counter_ns()
                    call()
                    took[i] = time.perf_counter_ns() - start_ns
                times[name].append(took / 1e3)
    finally:
        gc.enable()
    return times


def family_rows(family: str, quick: bool) -> list[dict[str, Any]]:
    """Return p50, p99 and ratios of one family."""
    calls, error = contenders(family)
    times = measure(calls, 5 if quick else 15, 0.15 if quick else 0.6)
    p50 = {n: float(np.median(np.concatenate(t))) for n, t in times.items()}
    p99 = {n: float(np.percentile(np.concatenate(t), 99)) for n, t in times.items()}

    def ratio(other: str) -> float:
        pairs = zip(times["wasm"], times[other], strict=True)
        return float(np.median([np.median(a) / np.median(b) for a, b in pairs]))

    others = ", ".join(f"{n} {p50[n]:.1f}/{p99[n]:.1f}" for n in calls if n != "wasm")
    name = f"signals.{family}"
    common = {"unit": "us", "better": "lower", "command": COMMAND}
    return [
        {"id": f"{name}_p50_us", "value": p50["wasm"], "bar": 10.0 if family == "mlp" else None,
         "against": f"p50/p99 {others}; differs from torch by {error:.1e}", **common},
        {"id": f"{name}_p99_us", "value": p99["wasm"], "bar": 1000.0, **common},
        {"id": f"{name}_ort_ratio", "value": ratio("onnxruntime"), "bar": 2.5,
         "against": f"torch x{ratio('torch'):.2f}, numpy x{ratio('numpy'):.2f}",
         **common, "unit": "x"},
    ]  # fmt: skip


def bundle_rows(quick: bool) -> list[dict[str, Any]]:
    """Return the time to load a signed TFT bundle: signature, hashes, plan, golden vectors."""
    import torch

    from signals.bundle import SigningKey, TrustStore, load_predictor, sign_bundle, write_bundle
    from signals.bundle.write import Draft
    from signals.kernel import KERNEL, Kernel
    from signals.models.build import build, export
    from signals.models.spec import ModelSpec

    spec = ModelSpec(family="tft", lookback=LOOKBACK, **FAMILIES["tft"])
    model, count = build(spec).eval(), 32
    x = np.random.default_rng(1).standard_normal((count, LOOKBACK, 8)).astype(np.float32)
    with torch.inference_mode():
        y = model(torch.from_numpy(x)).numpy()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        key, trust = SigningKey.generate(place / "k"), TrustStore(place / "trusted")
        trust.add(key.public)
        names = tuple(f"x{i}" for i in range(8))
        draft = Draft("demo", "1", export(model), spec, names, {"x": x}, {"y": y}, 1, 2**62)
        write_bundle(draft, place / "b")
        sign_bundle(place / "b", key)
        times = []
        for _ in range(5 if quick else 15):
            start = time.perf_counter()
            load_predictor(place / "b", trust, 2)
            times.append((time.perf_counter() - start) * 1e3)
        wasm = KERNEL.read_bytes()
        start = time.perf_counter()
        Kernel(wasm)
        compiled = (time.perf_counter() - start) * 1e3
    common = {"unit": "ms", "better": "lower", "command": COMMAND}
    against = f"first {times[0]:.0f} ms, tft with {count} golden vectors"
    rows.append({"id": "signals.bundle_load_ms", "value": float(np.median(times)), "bar": 100.0,
                 "against": against, **common})  # fmt: skip
    rows.append({"id": "signals.kernel_compile_ms", "value": compiled, "bar": None,
                 "against": "once a process", **common})  # fmt: skip
    return rows


def rows(quick: bool = False) -> list[dict[str, Any]]:
    """Return all rows of the area."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    out = [row for family in FAMILIES for row in family_rows(family, quick)]
    return out + bundle_rows(quick)
