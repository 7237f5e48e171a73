"""The report as one self-contained HTML file: opens offline, embeds its script, escapes every text.

The charts library is copied from the installed plotly wheel without importing it. The page's content
policy allows only the three scripts whose hashes it names, so a hostile market title that got past the
escaping would still not run.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import re
from functools import cache
from pathlib import Path

import msgspec

from core.domain.errors import ConfigError
from core.engine.report import markup
from core.engine.report.chain import Chains
from core.engine.report.figures import figure_data
from core.engine.report.summary import Summary

ASSETS = Path(__file__).parent / "assets"


def page(summary: Summary, chains: Chains) -> bytes:
    """Return the HTML page of `summary`, UTF-8, with the rows behind its fills.

    Raises
    ------
    ConfigError
        If the charts library is not installed.
    """
    data = msgspec.json.encode(figure_data(summary, chains)).replace(b"<", b"\\u003c")
    charts, charts_hash = _charts()
    script, story = _asset("report.js"), _asset("chain.js")
    policy = (
        f"default-src 'none'; script-src {charts_hash} {_digest(story)} {_digest(script)}; "
        "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    slots = {
        b"{{policy}}": policy.encode(),
        b"{{title}}": markup.title(summary).encode(),
        b"{{style}}": _asset("report.css"),
        b"{{body}}": markup.body(summary, chains).encode(),
        b"{{data}}": data,
        b"{{charts}}": charts,
        b"{{chain}}": story,
        b"{{script}}": script,
    }
    return b"".join(slots.get(part, part) for part in _skeleton())


@cache
def _skeleton() -> tuple[bytes, ...]:
    """The page cut at its slots, so that text put into one slot is never searched for another."""
    return tuple(re.split(rb"(\{\{\w+\}\})", _asset("report.html")))


@cache
def _asset(name: str) -> bytes:
    return (ASSETS / name).read_bytes()


def _digest(script: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"


@cache
def _charts() -> tuple[bytes, str]:
    """Return the charts library and its content-policy hash; the wheel's code is not imported."""
    spec = importlib.util.find_spec("plotly")
    for root in (spec.submodule_search_locations or []) if spec else []:
        path = Path(root) / "package_data" / "plotly.min.js"
        if path.is_file():
            script = path.read_bytes()
            if b"</script" in script:
                raise ConfigError(
                    "the charts library cannot be embedded", path, "scripts/setup.sh run"
                )
            return script, _digest(script)
    raise ConfigError("the charts library is not installed", "plotly", "scripts/setup.sh run")
