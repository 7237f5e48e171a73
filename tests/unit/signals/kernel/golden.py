"""The bits that every build of the kernel must give; ``python -m tests.unit.signals.kernel.golden`` rewrites them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from signals.kernel import Kernel
from signals.runtime import Runtime
from tests.unit.signals.kernel.cases import CASES, Numbers, plan_of

FILE = Path(__file__).with_name("golden.json")
SHAPES = ((9, 11, 10), (4, 8, 8), (33, 5, 17), (1, 1, 1))


def bits(kernel: Kernel | None = None) -> dict[str, str]:
    """Return, for every operation, the sha256 of its output bits over all shapes."""
    found = {}
    for name in CASES:
        digest = hashlib.sha256()
        for rows, cols, units in SHAPES:
            runtime = Runtime(plan_of(name, rows, cols, units), kernel)
            answer = runtime.predict({"x": Numbers(rows)(rows, cols)})["y"]
            digest.update(answer.tobytes())
        found[name] = digest.hexdigest()
    return found


def recorded() -> dict[str, str]:
    """Return the committed bits."""
    return json.loads(FILE.read_text())


if __name__ == "__main__":
    FILE.write_text(json.dumps(bits(), indent=1) + "\n")
