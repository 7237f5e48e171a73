"""F17 against a real Redis: the trading side opens no connection to it, so that its state can change nothing."""

import shutil
import socket
import subprocess
import time

import pytest

from adapters.fake.matrix import cases, run
from adapters.fake.matrix.run import run_one

pytestmark = pytest.mark.services


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Redis:
    """A server of its own, without disk."""

    def __init__(self, folder):
        self.port, self.folder = free_port(), folder

    def start(self):
        words = ["redis-server", "--port", str(self.port), "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(
            [*words, "--bind", "127.0.0.1", "--dir", str(self.folder)], stdout=subprocess.DEVNULL
        )
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if self.ask("PING") == "+PONG":
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("redis-server did not start")

    def ask(self, command):
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as line:
            line.sendall(command.encode() + b"\r\n")
            return line.recv(65_536).decode().strip()

    def connections(self):
        info = self.ask("INFO stats")
        return int(info.split("total_connections_received:")[1].split()[0])

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def redis(tmp_path):
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed (scripts/setup.sh services)")
    server = Redis(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("state", ["up", "flushed", "paused", "stopped"])
def test_the_same_run_whatever_a_shared_cache_does(redis, state, monkeypatch):
    here = {"REDIS_URL": f"redis://127.0.0.1:{redis.port}/0"}
    plain = run_one("F8", 12)
    real = cases.CASES["F8"].plan

    def plan(venue, rng):
        from copy import replace

        return replace(real(venue, rng), environment=here)

    monkeypatch.setitem(run.CASES, "F8", cases.Case("F8", "", cases.BOTH, 1, plan))
    if state == "flushed":
        assert redis.ask("FLUSHALL") == "+OK"
    elif state == "paused":
        assert redis.ask("CLIENT PAUSE 1000 WRITE") == "+OK"
    elif state == "stopped":
        redis.stop()
    before = redis.connections() if state != "stopped" else 0
    told = run_one("F8", 12)
    assert not told.broken
    assert told.digest == plain.digest, "the cache changed what the ledger says"
    if state != "stopped":
        assert redis.connections() - before == 1, "only our own question"
