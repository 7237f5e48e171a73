"""The guard knows what a decision must not call, however it was imported, and lets the rest pass."""

from __future__ import annotations

import datetime as dt
import os
import random
import secrets
import subprocess
import sys
import time
import types
import uuid
from pathlib import Path

import numpy as np
import pytest

from core.engine.replay.guard import Guard, codes_of, forbidden

MISSING = sys.monitoring.MISSING


@pytest.mark.parametrize(
    "function",
    [
        time.time, time.time_ns, time.monotonic, time.perf_counter_ns, dt.datetime.now,
        dt.datetime.utcnow, dt.date.today, random.random, random.randint, random.shuffle, os.urandom,
        uuid.uuid4, secrets.token_hex, random.SystemRandom, np.random.rand, np.random.default_rng,
        random.Random, os.getenv, os.environ.get, random.seed,
    ],
    ids=lambda f: getattr(f, "__qualname__", repr(f)),
)  # fmt: skip
def test_clocks_randomness_and_environment_are_forbidden(function):
    assert forbidden(function, MISSING)


def test_methods_are_known_by_the_object_they_are_called_on():
    assert forbidden(type(os.environ).get, os.environ) == "reads the environment"
    assert forbidden(random.Random.randint, random._inst) == "draws unseeded randomness"
    assert forbidden(random.Random.randint, random.Random(7)) == ""


@pytest.mark.parametrize(
    ("function", "first"),
    [
        (random.Random(7).random, MISSING),
        (random.Random, 7),
        (np.random.default_rng, 7),
        (np.random.default_rng(7).normal, MISSING),
        (dt.datetime.fromtimestamp, 1),
        (dt.datetime(2026, 1, 1), MISSING),
        (len, []),
        (dict.get, {}),
        ({}.get, "now"),
        (time.strftime, "%Y"),
        ([], MISSING),
        (uuid.uuid5, uuid.NAMESPACE_DNS),
    ],
)
def test_seeded_randomness_and_plain_calls_pass(function, first):
    assert forbidden(function, first) == ""


SOURCE = """
from time import time as seconds
import functools
from dataclasses import dataclass

def helper():
    return seconds()

def guard(f):
    @functools.wraps(f)
    def wrapped(*args):
        return f(*args)
    return wrapped

@dataclass
class Thing:
    n: int = 0
    @property
    def when(self):
        return [seconds() for _ in range(1)]
    @staticmethod
    def fixed():
        return (lambda: seconds())()
    @guard
    def wrapped(self):
        return helper()
    class Inner:
        def deep(self):
            return seconds()
"""


def test_every_function_of_a_module_is_found(monkeypatch: pytest.MonkeyPatch):
    made = types.ModuleType("strategy_file_guarded")
    monkeypatch.setitem(sys.modules, made.__name__, made)
    exec(compile(SOURCE, "guarded.py", "exec"), made.__dict__)
    names = {code.co_name for code in codes_of(made)}
    assert {"helper", "when", "fixed", "<lambda>", "wrapped", "deep"} <= names


def test_calls_are_noted_with_their_line_in_a_process_of_its_own(tmp_path: Path):
    (tmp_path / "guarded.py").write_text(SOURCE)
    code = (
        "import guarded, socket\n"
        "from core.engine.replay.guard import Guard\n"
        "guard = Guard(); guard.watch([guarded]); guard.close_network()\n"
        "t = guarded.Thing(); t.when; t.fixed(); t.wrapped(); guarded.Thing.Inner().deep()\n"
        "import time; time.time()\n"
        "try: socket.create_connection(('127.0.0.1', 9))\n"
        "except OSError as exc: print(exc)\n"
        "print(sorted({f.line for f in guard.findings.values() if 'clock' in f.what}))\n"
        "print([f.what for f in guard.findings.values() if 'network' in f.what])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}", "PATH": ""}, cwd=Path.cwd(),
    )  # fmt: skip
    refused, lines, network = done.stdout.splitlines()
    assert "network is closed" in refused
    assert lines == "[7, 20, 23, 29]"
    assert network.startswith("['reaches for the network'")


def test_findings_are_bounded():
    guard = Guard()
    for line in range(1000):
        guard._note("reads the wall clock", "time.time", "x.py", line)
    assert len(guard.findings) == 100
