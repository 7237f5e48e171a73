"""Golden vectors: inputs with the kernel's outputs, bit for bit, and the outputs of the trainer.

They prove at every load that plan, weights, kernel and machine together still say what they said
when the bundle was made. NaN cannot occur in them: the kernel refuses it on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from signals.errors import BundleGolden
from signals.plan.graph import Array, Plan
from signals.runtime import Runtime

ABSOLUTE: Final = 1e-5
RELATIVE: Final = 1e-4

type Vectors = dict[str, Array]


def make_golden(plan: Plan, inputs: Mapping[str, Array], reference: Mapping[str, Array]) -> Vectors:
    """Return golden vectors of a plan.

    Parameters
    ----------
    inputs : Mapping[str, array]
        ``[N, rows, cols]`` for every input.
    reference : Mapping[str, array]
        ``[N, rows, cols]`` for every output, from the trained model itself.

    Raises
    ------
    BundleGolden
        The kernel's output differs from the reference by more than 1e-5 + 1e-4 relative.
    """
    answers = _answers(plan, inputs)
    for name, ours in answers.items():
        theirs = np.asarray(reference[name], dtype=np.float32)
        if theirs.shape != ours.shape:
            raise BundleGolden(f"reference of {name} is not {ours.shape}", theirs.shape)
        error = np.abs(ours.astype(np.float64) - theirs)
        if not bool((error <= ABSOLUTE + RELATIVE * np.abs(theirs)).all()):
            mend = "the plan is not the trained model: report it with the training configuration"
            raise BundleGolden(
                f"kernel and trained model differ on {name}", float(error.max()), mend
            )
    return {
        **{f"input.{n}": np.ascontiguousarray(v, dtype=np.float32) for n, v in inputs.items()},
        **{f"kernel.{n}": v for n, v in answers.items()},
        **{f"reference.{n}": np.asarray(reference[n], dtype=np.float32) for n in answers},
    }


def check_golden(plan: Plan, runtime: Runtime, vectors: Mapping[str, Array]) -> int:
    """Run the golden inputs and demand the same bits; return how many there were.

    Raises
    ------
    BundleGolden
        A vector is missing, or a bit differs.
    """
    wanted = {f"input.{n}" for n in plan.inputs}
    wanted |= {f"{part}.{n}" for n in plan.outputs for part in ("kernel", "reference")}
    if set(vectors) != wanted:
        raise BundleGolden(
            "golden vectors are not those of the plan", sorted(set(vectors) ^ wanted)
        )
    inputs = {n: vectors[f"input.{n}"] for n in plan.inputs}
    answers = _answers(plan, inputs, runtime)
    for name, ours in answers.items():
        stored = vectors[f"kernel.{name}"]
        if stored.shape != ours.shape or stored.tobytes() != ours.tobytes():
            differing = int((stored != ours).sum()) if stored.shape == ours.shape else stored.shape
            mend = "this machine or wasmtime computes other bits: run make test on it"
            raise BundleGolden(f"golden output {name} differs in bits", differing, mend)
    return len(next(iter(inputs.values())))


def _answers(plan: Plan, inputs: Mapping[str, Array], runtime: Runtime | None = None) -> Vectors:
    """Return every output for every vector, ``[N, rows, cols]``."""
    counts = {len(v) for v in inputs.values()}
    if set(inputs) != set(plan.inputs) or len(counts) != 1 or counts == {0}:
        raise BundleGolden("golden inputs are not those of the plan", sorted(inputs))
    model = runtime or Runtime(plan)
    rows = [model.predict({n: v[i] for n, v in inputs.items()}) for i in range(counts.pop())]
    return {name: np.stack([row[name] for row in rows]) for name in plan.outputs}
