"""Fixtures around the gate's small world."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.risk import Gate
from tests.unit.core.risk.world import Desk, world


@pytest.fixture
def gate() -> Gate:
    return world()


@pytest.fixture
def desk(gate: Gate) -> Desk:
    return Desk(gate)


@pytest.fixture
def make_desk() -> Callable[..., Desk]:
    return lambda **options: Desk(world(**options))
