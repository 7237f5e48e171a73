"""A process that writes a ledger until it is killed. One warm parent forks a writer per command.

Reads JSON lines ``{"directory", "acks", "point", "nth", "seed"}`` on standard input. Each acknowledged
row is noted in the file `acks` (one ``write`` a line, which a kill cannot take back) after the ledger
said that it is on disk.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
from pathlib import Path

from core.domain import faultpoints
from core.ledger import DurableLedger, segment
from core.ledger.kinds import RandomDraw, RunMode, RunStarted

MONTH_NS = 31 * 86_400 * 10**9
START_NS = 1_780_000_000 * 10**9


def kill_at(point: str, nth: int) -> None:
    """Kill this process without warning when `point` is passed for the `nth` time."""
    left = nth

    def listener(name: str) -> None:
        nonlocal left
        if name == point:
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    faultpoints.listen(listener)


def draw(seed: int, index: int) -> RandomDraw:
    """Return a row whose content tells which one it is."""
    return RandomDraw(stream="kill", seed=seed, index=index, value=f"{seed}:{index}")


def write_forever(directory: Path, acks: Path, seed: int) -> None:
    """Write durable rows from four threads and others from a fifth; a month goes by every 150 rows."""
    rng = random.Random(seed)
    segment.CHECKPOINT_PAGES = 20
    fd = os.open(acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    ticks = 0

    def clock() -> int:
        nonlocal ticks
        ticks += 1
        # two steps back for every five on: the clock is no order
        return START_NS + seed * MONTH_NS + (ticks // 150) * MONTH_NS - (ticks % 5 < 2) * 10**9

    ledger = DurableLedger(directory, wall_clock=clock)
    os.write(fd, b"ready\n")
    started = RunStarted(
        run_id=f"run-{seed}",
        mode=RunMode.PAPER,
        config_sha256="",
        code_sha="",
        seed=seed,
        strategies=(),
        data=(),
    )
    ledger.begin_run(started, ts_event=START_NS)

    def durable(lane: int) -> None:
        index = lane
        while True:
            seq = ledger.append_durable(draw(seed, index), ts_event=START_NS)
            os.write(fd, f"{seq} {seed}:{index}\n".encode())
            index += 10

    def relaxed() -> None:
        index = 9
        while True:
            ledger.append(draw(seed, index), ts_event=START_NS)
            index += 10
            if rng.random() < 0.1:
                ledger.flush()

    threads = [threading.Thread(target=durable, args=(lane,)) for lane in range(4)]
    threads.append(threading.Thread(target=relaxed))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    """Serve commands until standard input ends."""
    for line in sys.stdin:
        command = json.loads(line)
        pid = os.fork()
        if pid == 0:
            if command["point"]:
                kill_at(command["point"], command["nth"])
            write_forever(Path(command["directory"]), Path(command["acks"]), command["seed"])
            os._exit(0)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else -1, flush=True)


if __name__ == "__main__":
    main()
