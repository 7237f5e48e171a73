"""Downloads in tests run as fast as loopback allows."""

from __future__ import annotations

import pytest

import adapters.crypto.history as crypto
import adapters.polymarket.history as polymarket


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in polymarket.RATES:
        monkeypatch.setitem(polymarket.RATES, name, 10_000.0)
    monkeypatch.setitem(crypto.RATES, "kraken", (200.0, 200.0))
