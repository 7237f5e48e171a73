"""A whole live node beside a fake venue in one process: what an engine trap test drives and looks at.

One engine node a process is all the engine allows, so scenarios run in a process of their own:
``python -m tests.live.rig tests.live.scenarios:name KALSHI HOME`` prints what the scenario returns, as JSON.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from aiohttp.test_utils import TestServer

from core.engine.backtest.strategies import plan_strategies
from core.engine.live.node import Node, NodeSpec
from core.engine.live.venue import open_venue
from core.engine.strategy import BetaStrategy
from core.ledger.kinds import RunMode
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from tests.live.venues import Venue, make

ROOT = Path(__file__).resolve().parents[2]
CAPITAL = 10_000


class Hands(BetaStrategy):
    """Does nothing by itself: scenarios act through it and read what it heard."""

    heard: ClassVar[list[tuple[str, str]]] = []
    on_quote_hook: ClassVar[Callable[[Any], None] | None] = None

    def on_start(self) -> None:
        """Watch everything."""
        type(self).heard = []
        for iid in self.universe:
            self.watch_book(iid)
            self.watch_quotes(iid)

    def on_quote(self, quote: Any) -> None:
        """Hand a quote to whoever measures it."""
        hook = type(self).on_quote_hook
        if hook is not None:
            hook(quote)

    def on_refused(self, intent: Any, refusal: Any) -> None:
        """Remember a refusal."""
        self.heard.append(("refused", refusal.code))

    def on_fill(self, fill: Any) -> None:
        """Remember a fill."""
        self.heard.append(("fill", f"{fill.side} {fill.quantity} @ {fill.price} fee {fill.fee}"))

    def on_order_done(self, client_order_id: str, status: str) -> None:
        """Remember the end of an order."""
        self.heard.append(("done", f"{client_order_id} {status}"))

    def on_adopted(self, held: Any) -> None:
        """Remember what an earlier run has left."""
        for iid, one in held.items():
            self.heard.append(("adopted", f"{iid} {one.quantity} for {one.cost} {one.since_ns}"))

    def on_settlement(self, iid: str, payout: Any) -> None:
        """Remember a payout."""
        self.heard.append(("settled", f"{iid} {payout}"))


@dataclass
class Rig:
    """A running node and its venue."""

    node: Node
    venue: Venue
    hands: Hands
    home: Path
    server: TestServer

    @property
    def client(self) -> Any:
        """The execution client."""
        return self.node.client

    @property
    def cache(self) -> Any:
        """The engine's cache."""
        assert self.node.client is not None
        return self.node.client.cache

    def order(self, cid: str) -> Any:
        """Return the engine's order."""
        from nautilus_trader.model import ClientOrderId

        return self.cache.order(ClientOrderId(cid))

    def status(self, cid: str) -> str:
        """Return the engine's word for the state of an order."""
        order = self.order(cid)
        return str(order.status.name) if order is not None else "ABSENT"

    def posts(self) -> list[str]:
        """Return the writes the venue has received, oldest first."""
        return [path for _, path in self.venue.fake.requests if not path.startswith("GET")]

    def rows(self, *kinds: str) -> list[Any]:
        """Return the ledger's rows of these kinds."""
        reader = LedgerReader(self.home / "ledger")
        return [r.decoded() for r in reader.rows(Selection(kinds=kinds))]


async def eventually(check: Callable[[], Any], seconds: float = 15.0) -> bool:
    """Wait until `check` holds; return whether it did."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


@asynccontextmanager
async def rig(
    code: str,
    home: Path,
    *,
    faults: Sequence[Any] = (),
    markets: int = 4,
    venue: Venue | None = None,
    changes: dict[str, Any] | None = None,
    mode: RunMode = RunMode.LIVE,
    limits: str = "usd10000",
    record: bool = False,
) -> AsyncIterator[Rig]:
    """Start venue and node, wait until books are there, and end both in order."""
    venue = venue or make(code, markets, faults)
    server = TestServer(venue.fake.app())
    await server.start_server()
    told = venue.settings(f"{server.host}:{server.port}", home / "state") | (changes or {})
    try:
        async with node_on(code, told, home, venue.instruments[0], mode, limits, record) as (
            node,
            hands,
        ):
            await eventually(lambda: all(hands.best_ask(i) for i in venue.instruments))
            yield Rig(node, venue, hands, home, server)
    finally:
        await server.close()


@asynccontextmanager
async def node_on(
    code: str,
    settings: dict[str, Any],
    home: Path,
    first: str,
    mode: RunMode = RunMode.LIVE,
    limits: str = "usd10000",
    record: bool = False,
) -> AsyncIterator[tuple[Node, Hands]]:
    """Start a node, wait for the book of the instrument `first`, and end it in order."""
    spec = NodeSpec(
        mode=mode,
        venue=code,
        plans=tuple(plan_strategies("tests.live.rig:Hands", {})),
        home=home,
        capital=Decimal(CAPITAL),
        limits=limits,
        record=record,
    )
    node = Node(spec, open_venue(code, settings))
    task = asyncio.ensure_future(node.run())

    def ready() -> bool:
        if task.done():
            task.result()
        found = getattr(node, "session", None)
        return bool(found and found.strategies and found.strategies[0].best_ask(first))

    try:
        if not await eventually(ready, 30):
            raise RuntimeError("the node did not come up")
        hands = node.session.strategies[0]
        assert isinstance(hands, Hands)
        await eventually(lambda: node.links.get(code), 10)
        yield node, hands
    finally:
        node.stop()
        await asyncio.wait({task}, timeout=30)
    if task.done() and not task.cancelled():
        task.result()


def play(scenario: str, code: str, home: Path, timeout: float = 120.0) -> dict[str, Any]:
    """Run a scenario in a process of its own and return what it returned."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.live.rig", scenario, code, str(home)],
        cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
    for line in reversed(done.stdout.splitlines()):
        if line.startswith("{"):
            found: dict[str, Any] = json.loads(line)
            return found | {"exit": done.returncode, "stderr": done.stderr[-4000:]}
    return {"exit": done.returncode, "stderr": done.stderr[-4000:], "stdout": done.stdout[-2000:]}


def main() -> None:
    """Run the scenario named on the command line."""
    name, code, home = sys.argv[1:4]
    module, _, function = name.partition(":")
    scenario = getattr(importlib.import_module(module), function)
    print(json.dumps(asyncio.run(scenario(code, Path(home)))), flush=True)


if __name__ == "__main__":
    # As a module of its own name: the node loads the strategy from `tests.live.rig`.
    from tests.live import rig as own

    own.main()
