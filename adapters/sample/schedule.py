"""When the sample world moves: a slow pulse all day, busy minutes now and then."""

from __future__ import annotations

from collections.abc import Iterable

from adapters.sample.draws import Draws
from core.domain.clock import NS_PER_SECOND, ns_from_iso

START_NS = ns_from_iso("2026-07-01T00:00:00Z")
DAYS = 90
DAY_S = 86_400


def ns(second: int) -> int:
    """Return the time of a second of the sample world."""
    return START_NS + second * NS_PER_SECOND


def pulse(draws: Draws, first_day: int, last_day: int, step_s: int) -> list[int]:
    """Return one second per step of `step_s`, jittered, of the days ``first_day <= d < last_day``."""
    begin, end = first_day * DAY_S, last_day * DAY_S
    return [t + draws.one(0, step_s // 2) for t in range(begin + step_s // 4, end - step_s, step_s)]


def busy(begin_s: int, length_s: int, step_s: int) -> list[int]:
    """Return the seconds of a busy stretch."""
    return list(range(begin_s, begin_s + length_s, step_s))


def spaced(seconds: Iterable[int], apart_s: int = 5) -> list[int]:
    """Return the seconds in order, leaving out those that follow another within less than `apart_s`."""
    out: list[int] = []
    for second in sorted(set(seconds)):
        if not out or second - out[-1] >= apart_s:
            out.append(second)
    return out
