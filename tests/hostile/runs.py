"""Trading runs in virtual time against a fake venue that spoils frames and answers; every book is compared after it.

The runs are those of the fault matrix (real clients, sockets, gate, ledger; see `docs/faults.md`): what the venue knows,
what the engine holds and what the ledger says must be equal in the end, and nothing may have been traded on a book
that was not the venue's.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.fake.matrix import run as matrix
from adapters.fake.matrix.cases import Plan
from adapters.fake.matrix.stand import Stand
from adapters.fake.matrix.virtual import run_virtual
from tests.hostile.frames import WAYS, spoiled


@dataclass
class Found:
    """What a run showed.

    Attributes
    ----------
    broken : list
        Invariants that broke, and anything that escaped.
    seen : int
        What the connections counted: bad frames, gaps, repeats, reconnects.
    """

    broken: list[Any]
    did: Counter[str] = field(default_factory=Counter)
    seen: int = 0
    orders: int = 0
    told: list[tuple[str, str, list[str]]] = field(default_factory=list)


class Spoiler:
    """Spoils one frame or answer in so many, by a seed."""

    def __init__(
        self,
        stand: Stand,
        seed: int,
        ways: Sequence[str],
        often: float,
        recorded: Sequence[str] = (),
    ) -> None:
        self.recorded = recorded
        self.stand, self.rng, self.ways, self.often = stand, random.Random(seed), ways, often
        self.did: Counter[str] = Counter()
        self.told: list[tuple[str, str, list[str]]] = []

    def frame(self, text: str) -> list[str | bytes]:
        """Return what is sent instead of a frame."""
        if self.stand.faults.paused or self.rng.random() > self.often:
            return [text]
        if (
            self.recorded and self.rng.random() < 0.3
        ):  # a right frame of another market or account beside ours
            other = self.rng.choice(self.recorded)
            self.did["recorded"] += 1
            return [
                text,
                *(
                    spoiled(other, self.rng.choice(list(self.ways)), self.rng)
                    if self.rng.random() < 0.5
                    else [other]
                ),
            ]
        way = self.rng.choice(list(self.ways))
        self.did[way] += 1
        out = spoiled(text, way, self.rng)
        self.told.append((way, text[:400], [str(f)[:400] for f in out[:2]]))
        return out

    def answer(self, subject: str, body: bytes) -> bytes:
        """Return the body that is sent instead of an answer."""
        if self.stand.faults.paused or self.rng.random() > self.often:
            return body
        way = self.rng.choice(
            [w for w in self.ways if w not in ("repeated", "impossible sequence")] or ["junk"]
        )
        self.did[f"answer {way}"] += 1
        out = spoiled(body.decode(), way, self.rng)
        self.told.append((f"{way} {subject}", body.decode()[:400], [str(f)[:400] for f in out[:2]]))
        first = out[0] if out else b""
        if first in ("null", "[]", "{}", "0", '""'):
            first = "nul"  # a right answer of some calls: nothing works, nothing is held
        return first.encode() if isinstance(first, str) else first


def recorded_frames(fixtures: Path, venue: str) -> list[str]:
    """Return the recorded (and documented) public frames of a venue."""
    if venue == "KALSHI":
        stream = json.loads((fixtures / "kalshi/ws_orderbook_stream.json").read_text())
        made = json.loads((fixtures / "kalshi/synthetic_ws_frames.json").read_text())
        frames = [row["frame"] for row in stream] + made["frames"]
    else:
        found = sorted((fixtures / "polymarket/ws_market").glob("*.json"))
        frames = [json.loads(p.read_text()) for p in found]
    # A right fill or order on our own channel is news of our account, wherever it was recorded.
    return [json.dumps(f) for f in frames if f.get("type") not in ("fill", "user_order")]


def hostile_run(
    venue: str,
    seed: int,
    ways: Sequence[str] = tuple(WAYS),
    often: float = 0.25,
    answers: float = 0.1,
    recorded: Sequence[str] = (),
) -> Found:
    """Play one run and return what differed."""
    spoilers: list[Spoiler] = []
    escaped: list[Any] = []
    stands: list[Stand] = []

    class Hostile(Stand):
        """A stand whose venue begins to spoil once both sides are connected."""

        async def follow(self) -> None:
            """Follow the market, then turn hostile."""
            await super().follow()
            stands.append(self)
            self.loop.set_exception_handler(lambda loop, context: escaped.append(context))
            spoilers.append(Spoiler(self, seed, ways, often, recorded))
            spoilers.append(Spoiler(self, seed + 1, ways, answers))
            self.fake.streams.tamper = spoilers[0].frame
            self.fake.tamper = spoilers[1].answer

    rng = random.Random(f"hostile-{seed}")
    logging.disable(logging.CRITICAL)
    real, matrix.Stand = matrix.Stand, Hostile  # type: ignore[misc]
    try:
        with tempfile.TemporaryDirectory(
            dir="/dev/shm" if Path("/dev/shm").is_dir() else None
        ) as root:
            plan = Plan(feed=True)

            async def play(loop: Any) -> Any:
                return await asyncio.wait_for(
                    matrix._run(loop, Path(root), venue, plan, rng), 40_000
                )

            _, books = run_virtual(play)
    finally:
        matrix.Stand = real  # type: ignore[misc]
        logging.disable(logging.NOTSET)
    found = Found(
        [
            *books.broken,
            *(("ESCAPED", str(c.get("exception") or c.get("message"))) for c in escaped),
        ]
    )
    for spoiler in spoilers:
        found.did.update(spoiler.did)
        found.told += spoiler.told
    for stand in stands:
        found.orders = len(stand.exchange.orders)
        assert stand.feed is not None
        for connection in {**stand.feed.client.connections, **stand.port.connections}.values():  # type: ignore[attr-defined]
            stats = connection.stats
            found.seen += stats.bad_frames + stats.gaps + stats.repeats + max(stats.connects - 1, 0)
    return found
