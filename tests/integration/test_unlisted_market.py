"""A market that the venue no longer lists while it is held: the node starts, holds it, and says so."""

import signal

import pytest

from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from tests.integration.polymarket_stand import C1, C2, IYES, YES2, eventually
from tests.integration.test_polymarket_node import NodeProcess, venue

pytestmark = pytest.mark.slow
OTHER = f"{C2}-{YES2}.POLYMARKET"


def rows(tmp_path, *kinds):
    found = LedgerReader(tmp_path / "home" / "ledger").rows(Selection(kinds=kinds))
    return [r.decoded() for r in found]


@pytest.mark.parametrize("mode", ["live", "paper"])
async def test_a_held_market_that_is_no_longer_listed_stops_no_start(tmp_path, repo_root, mode):
    async with venue(tmp_path) as (fake, told):
        if mode == "paper":
            told = {k: v for k, v in told.items() if k != "private_key"}
        node = NodeProcess(repo_root, tmp_path, told, mode=mode)
        await node.start()
        await eventually(lambda: node.held() or node.proc.returncode, 60)
        assert node.held() == {IYES: 10.0}, node.errors.decode()[-3000:]
        await node.end(signal.SIGKILL)
        fake.unlisted.add(C1)
        later = NodeProcess(repo_root, tmp_path, told | {"conditions": [C2]}, mode=mode)
        later.argument = later.argument.replace(f'"iid": "{IYES}"', f'"iid": "{OTHER}"')
        await later.start()
        await eventually(lambda: (later.held() or {}).get(OTHER) or later.proc.returncode, 60)
        assert later.proc.returncode is None, later.errors.decode()[-3000:]
        assert later.held() == {IYES: 10.0, OTHER: 10.0}
        assert await later.end() == 0, later.errors.decode()[-3000:]
        (note,) = [f for f in rows(tmp_path, "fault") if f.where == "markets"]
        assert IYES in note.detail and "10" in note.detail
        assert "no longer lists" in (tmp_path / "home" / "node.log.jsonl").read_text()
        fake.unlisted.clear()  # it comes back, resolved
        fake.exchange.settle(C1, 10_000, fake.clock())
        last = NodeProcess(repo_root, tmp_path, told | {"conditions": [C2]}, mode=mode, run_s=4.0)
        last.argument = last.argument.replace(f'"iid": "{IYES}"', f'"iid": "{OTHER}"')
        await last.start()
        await eventually(lambda: last.proc.returncode is not None, 60)
        assert last.proc.returncode == 0, last.errors.decode()[-3000:]
        paid = [(s.instrument_id, float(s.quantity)) for s in rows(tmp_path, "settlement")]
        assert paid == [(IYES, 10.0)]
