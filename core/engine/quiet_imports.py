"""Keep the engine from importing what it does not need.

Building an engine or a live node imports pandas only to print its version: half a second of every cold start and 40 MB.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

UNNEEDED = ("pandas", "plotly", "scipy", "matplotlib")


@contextmanager
def without_unneeded() -> Iterator[None]:
    """Let imports of `UNNEEDED` packages that are not loaded yet fail quickly inside the block."""
    hidden = [name for name in UNNEEDED if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            if sys.modules.get(name) is None:
                sys.modules.pop(name, None)
