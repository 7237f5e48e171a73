"""`beta` where Kalshi's two environments are loopback servers: ``python -m tests.integration.kalshi_environments PLACES ARGS``.

PLACES is JSON of environment name to address; everything else is the real command.
"""

from __future__ import annotations

import json
import sys
from urllib.parse import urlsplit

from adapters.kalshi import environments


def places(told: dict[str, str]) -> None:
    """Put the environments at these addresses."""
    for name, url in told.items():
        parts = urlsplit(url)
        environments.ENVIRONMENTS[name] = environments.Environment(
            f"{url}/trade-api/v2",
            f"ws://{parts.netloc}/trade-api/ws/v2",
            frozenset({parts.hostname or ""}),
        )


if __name__ == "__main__":
    places(json.loads(sys.argv.pop(1)))
    from console.cli.app import main

    main()
