#!/usr/bin/env bash
# train_gpu.sh CONFIG [DATA]: train a configuration on CPU and on CUDA and print both throughputs.
# Needs a Python that has torch with CUDA, numpy, polars, pyarrow, pydantic, safetensors, scipy and
# nautilus_trader installed (PYTHON, default .venv/bin/python); it never touches the network.
set -euo pipefail
cd "$(dirname "$0")/.."
config=${1:?usage: scripts/train_gpu.sh CONFIG [DATA]}
data=${2:-../shared/data}
python=${PYTHON:-.venv/bin/python}
out=${OUT:-runs/gpu}
mkdir -p "$out"
"$python" - <<'PY'
import sys, torch
if not torch.cuda.is_available():
    sys.exit("no CUDA device: this command compares CPU with GPU\n  mend: run beta train CONFIG on this machine")
print(torch.cuda.get_device_name(0), "torch", torch.__version__)
PY
for device in cpu cuda; do
  "$python" -m console.cli train "$config" --data "$data" --device "$device" --out "$out/$device" --fresh
done
"$python" - "$out" "$config" <<'PY'
import json, sys
from pathlib import Path
out, name = Path(sys.argv[1]), Path(sys.argv[2]).stem
runs = {d: json.loads((out / d / name / "metrics.json").read_text()) for d in ("cpu", "cuda")}
print(f"{'job':<32}{'cpu samples/s':>16}{'cuda samples/s':>16}{'ratio':>8}")
for job, cpu in runs["cpu"]["training"].items():
    a, b = cpu["samples_per_s"], runs["cuda"]["training"][job]["samples_per_s"]
    print(f"{job:<32}{a:>16,.0f}{b:>16,.0f}{b / a:>8.2f}")
PY
