"""Where an order's time goes, stage by stage: stamps of one clock from the strategy's call to the venue's server.

Nothing of the node is changed but that its own functions tell when they are reached; the differences between one
stamp and the next add up to the whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp.http_writer import StreamWriter

from core.engine.live.client import VenueClient

#: In the order in which an order passes them.
STAGES = (
    "gate",  # the strategy's call to the gate's verdict
    "row",  # verdict rows queued, order built, intent encoded and handed to the writer
    "engine",  # signature begun, handed to the engine
    "queue",  # engine's risk checks, its queue, the client's command handler entered
    "awake",  # approval used up, and the loop knows that the intent is on disk: the order may leave
    "signed",  # what was still to wait for the signature
    "written",  # request built and handed to the socket
    "wire",  # bytes at the server's handler
)
#: Beside them, counted from "row": the writer begins the transaction that holds the intent, and has done it.
WRITER = ("writer", "commit")


class Stages:
    """Stamps of the order on its way; one order at a time.

    Attributes
    ----------
    rows : list of dict
        Of each order sent, stage to nanoseconds of the monotonic clock.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, int]] = []
        self.now: dict[str, int] = {}
        self._seq = 0

    def begin(self, at: int) -> None:
        """Begin an order."""
        self.now = {"call": at}
        self.rows.append(self.now)

    def stamp(self, name: str) -> None:
        """Note that the order has come so far; the first time counts."""
        self.now.setdefault(name, time.monotonic_ns())

    def after(self, owner: Any, attribute: str, name: str) -> None:
        """Stamp whenever a function returns."""
        inner: Callable[..., Any] = getattr(owner, attribute)

        def outer(*args: Any, **kwargs: Any) -> Any:
            found = inner(*args, **kwargs)
            self.stamp(name)
            return found

        setattr(owner, attribute, outer)

    def watch(self, node: Any) -> None:
        """Have the functions of a node tell when an order passes."""
        ledger, client = node.ledger, node.client
        self.after(node.gate, "review", "gate")
        enqueue, admit = ledger._enqueue, VenueClient._admit

        def queued(payload: Any, ts: int, parents: Sequence[int], ack: Any) -> int:
            seq: int = enqueue(payload, ts, parents, ack)
            if ack is not None:
                self._seq = seq
                self.stamp("row")
            return seq

        def entered(own: Any, order: Any) -> Any:
            self.stamp("queue")
            return admit(own, order)

        insert = ledger._segment.insert

        def commit(rows: Any) -> None:
            ours = self._seq and rows[0][0] <= self._seq <= rows[-1][0]
            if ours:
                self.stamp("writer")
            insert(rows)
            if ours:
                self.stamp("commit")
                self._seq = 0

        def reached(name: str) -> None:
            if name == "intent-on-disk":
                self.stamp("awake")

        ledger._enqueue, ledger._segment.insert = queued, commit
        VenueClient._admit = entered  # type: ignore[method-assign]
        client.context.reached = reached
        client.port.before_order(lambda: self.stamp("signed"))
        stages, write, lines = self, StreamWriter._write, StreamWriter._writelines

        def wrote(own: Any, chunk: Any) -> None:
            write(own, chunk)
            stages.stamp("written")

        def wrote_lines(own: Any, chunks: Any) -> None:
            lines(own, chunks)
            stages.stamp("written")

        setattr(StreamWriter, "_write", wrote)  # noqa: B010
        setattr(StreamWriter, "_writelines", wrote_lines)  # noqa: B010

    def table(self, arrived: Sequence[int]) -> dict[str, list[int]]:
        """Return the nanoseconds that each stage took, order by order."""
        out: dict[str, list[int]] = {name: [] for name in STAGES}
        for row, at in zip(self.rows, arrived, strict=True):
            before = row["call"]
            for name in STAGES:
                here = at if name == "wire" else row.get(name, before)
                out[name].append(here - before)
                before = here
        return out | {n: [r[n] - r["row"] for r in self.rows if n in r] for n in WRITER}
