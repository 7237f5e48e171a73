"""Trap 1: the engine calls subscribers of one topic in an order that is random per process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.engine.backtest import assembly
from core.engine.strategy import BetaStrategy
from tests.unit.core.engine.rig import ASK, BID, D, Tape, level, market, run, snapshot, write

YES, NO = "M-YES.PM", "M-NO.PM"
CALLS: list[str] = []


class Grab(BetaStrategy):
    """Takes the ask at every book; whoever is called first gets it."""

    def on_start(self) -> None:
        self.watch_book(YES)
        self.watch_quotes(YES)
        self.watch_trades(YES)

    def on_book(self, iid: str) -> None:
        CALLS.append(f"{type(self).__name__} book")
        ask = self.best_ask(iid)
        if ask is not None:
            self.buy(iid, D(7), ask.price, reason="grab")

    def on_quote(self, quote) -> None:
        CALLS.append(f"{type(self).__name__} quote")
        if self.position(YES) > 20:
            self.exit(YES, "enough")

    def on_trade(self, trade) -> None:
        CALLS.append(f"{type(self).__name__} trade")


class A(Grab):
    pass


class B(Grab):
    pass


class C(Grab):
    pass


def catalog(path: Path) -> Path:
    yes = snapshot(1, [("0.39", "50")], [("0.40", "30"), ("0.41", "40")])
    for n in range(2, 40):
        yes += level(n, BID, f"0.3{n % 9}", str(n)) + level(n + 0.5, ASK, f"0.4{n % 5}", str(3 * n))
    trades = [(n + 0.25, "0.40", "5", 1) for n in range(2, 40)]
    no = snapshot(1, [("0.59", "50")], [("0.61", "30")])
    return write(
        path,
        [market()],
        {YES: Tape(books=yes, trades=trades, close=(99, "1")), NO: Tape(books=no, close=(99, "0"))},
    )


def three(path: Path) -> dict:
    CALLS.clear()
    names = ",".join(f"{__name__}:{c.__name__}" for c in (A, B, C))
    result = run(path, names, venue="SLOW")
    ids = [(f.order_id, str(f.price), str(f.quantity)) for f in result.fills]
    return {"hash": result.decision_hash, "calls": CALLS[:60], "fills": ids}


def test_three_strategies_are_called_in_registration_order(tmp_path: Path) -> None:
    seen = three(catalog(tmp_path / "c"))
    by_topic: dict[str, list[str]] = {}
    for call in seen["calls"]:
        name, topic = call.split()
        by_topic.setdefault(topic, []).append(name)
    for topic, names in by_topic.items():
        whole = names[: len(names) // 3 * 3]
        assert whole == ["A", "B", "C"] * (len(whole) // 3), topic
    assert seen["fills"]


def test_three_strategies_decide_the_same_in_every_process(tmp_path: Path) -> None:
    path = catalog(tmp_path / "c")
    code = f"import json,sys,pathlib\nfrom {__name__} import three\nprint(json.dumps(three(pathlib.Path(sys.argv[1]))))"
    outs = []
    for seed in ("0", "1", "77"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)],
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        outs.append(json.loads(done.stdout.splitlines()[-1]))
    assert outs[0] == outs[1] == outs[2]
    assert outs[0]["hash"] == three(path)["hash"]


def test_a_single_strategy_decides_the_same_with_and_without_the_fan_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = catalog(tmp_path / "c")
    CALLS.clear()
    direct = run(path, A, venue="SLOW")
    direct_calls = list(CALLS)
    real = assembly.new_session

    def fanned(*args, **kwargs):
        session = real(*args, **kwargs)
        session.fan_out = True
        return session

    monkeypatch.setattr(assembly, "new_session", fanned)
    CALLS.clear()
    through = run(path, A, venue="SLOW")
    assert list(CALLS) == direct_calls
    assert direct.decision_hash == through.decision_hash
    assert direct.fills == through.fills
