"""A key of one Kalshi environment in the other, through `beta live`: refused with the way out, nothing is sent."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from core.domain.errors import ExitCode
from tests.live.venues import Venue, make

HOSTS = {"demo": "127.0.0.2", "production": "127.0.0.3"}  # not this machine's usual name: a venue


async def live(venue: Venue, places: dict[str, str], home: Path, *args: str) -> tuple[int, str]:
    """Run `beta live` with the keys of `venue`; return exit code and what it said."""
    keys = {
        "KALSHI_KEY_ID": venue.secrets["key_id"],
        "KALSHI_PRIVATE_KEY": venue.secrets["private_key"],
    }
    node = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.kalshi_environments", json.dumps(places), "live", "strategies.kalshi_event:KalshiEvent",
        "--venue", "kalshi", "--live", "--home", str(home), "--for", "1", *args,
        env=os.environ | keys | {"PYTHONPATH": str(Path.cwd()), "BETA_LIVE": "1", "COLUMNS": "400"},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(node.communicate(), 120)
    return node.returncode or 0, said.decode()


@pytest.mark.parametrize(
    ("made_for", "asked", "mend"),
    [
        ("demo", "production", "--environment demo"),
        ("production", "demo", "--environment production"),
    ],
)
async def test_a_key_of_the_other_environment_is_refused_with_exit_6_and_the_way_out(
    tmp_path: Path, made_for: str, asked: str, mend: str
) -> None:
    venues = {name: make("KALSHI", 1) for name in HOSTS}
    servers = {n: TestServer(v.fake.app(), host=HOSTS[n]) for n, v in venues.items()}
    for server in servers.values():
        await server.start_server()
    places = {n: f"http://{s.host}:{s.port}" for n, s in servers.items()}
    try:
        options = ("--market", venues[asked].ids[0], "--environment", asked)
        code, said = await live(venues[made_for], places, tmp_path / "home", *options)
        right = await live(venues[asked], places, tmp_path / "right", *options)
    finally:
        for server in servers.values():
            await server.close()
    assert code == ExitCode.GATE_REFUSED, said
    seen, _, mends = said.partition("error: ")[2].partition("mend:")
    assert f"key: refused by the {asked} environment" in seen
    assert mend in next(x for x in mends.splitlines() if x.strip().startswith("key:"))
    assert not [p for v in venues.values() for _, p in v.fake.requests if not p.startswith(("GET", "HEAD"))]  # fmt: skip
    assert venues[made_for].fake.requests == [], "the other environment is not asked"
    for secret in venues[made_for].secrets.values():
        assert secret not in said
    assert f"ok    key: accepted by the {asked} environment" in right[1], "the right key is taken"
