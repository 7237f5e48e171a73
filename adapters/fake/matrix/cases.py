"""The fault matrix as data: what goes wrong in a run, drawn from its seed alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adapters.fake.faults import Fault, FaultKind

K = FaultKind
CREATE = {"KALSHI": "POST /trade-api/v2/portfolio/events/orders", "POLYMARKET": "POST /order"}
CANCEL = {"KALSHI": "DELETE", "POLYMARKET": "DELETE /order"}
PRIVATE = {"KALSHI": ("fill", "user_order"), "POLYMARKET": ("trade", "order")}
PUBLIC = {"KALSHI": ("orderbook_delta",), "POLYMARKET": ("price_change",)}
SNAPSHOT = {"KALSHI": "orderbook_snapshot", "POLYMARKET": "book"}


@dataclass(frozen=True, slots=True)
class Plan:
    """One run: what the venue does wrong, and what else happens.

    Attributes
    ----------
    feed : bool
        The strategy sees the market through the real data client, which the run then judges too.
    drops : tuple of float
        Virtual seconds at which all sockets are closed.
    hushes : tuple of (seconds, length)
        When all sockets stay open but say nothing, and how long.
    settle_at : float
        When one market resolves with orders resting; 0 = never.
    skew : tuple of (seconds, offset)
        Steps of our clock.
    refuse : range
        Durable ledger rows that are not acknowledged.
    halt_at : float
        When the operator halts; 0 = never.
    stop_at : float
        When the client side stops in order, as a node does on SIGTERM; 0 = at the end.
    second_at : float
        When a second client side tries to start on the same ledger; 0 = never.
    environment : mapping
        Variables of the process during the run.
    kills : tuple of int
        After how many passes of named points each life of the client side ends.
    kept : tuple of bool
        Whether rows that nobody waited for survive it.
    changes : bool
        Working orders are changed often, in price and size.
    burst_at, burst : float, int
        When the market changes this many levels at once, fills of ours among them; 0 = never.
    linger : float
        Virtual seconds of trading by others after the last move, in which orders with a time expire.
    crosses : bool
        The strategy now and then sells into its own bids.
    forgets : bool
        After a kill the strategy numbers its orders from the beginning again.
    audit : bool
        Holdings and cash are compared with the venue's all the while.
    options : mapping
        Options of the fake venue.
    """

    faults: tuple[Fault, ...] = ()
    feed: bool = False
    drops: tuple[float, ...] = ()
    hushes: tuple[tuple[float, float], ...] = ()
    settle_at: float = 0.0
    payout: int = 10_000
    skew: tuple[tuple[float, float], ...] = ()
    refuse: range = range(0)
    halt_at: float = 0.0
    stop_at: float = 0.0
    second_at: float = 0.0
    environment: Mapping[str, str] = field(default_factory=dict)
    kills: tuple[int, ...] = ()
    kept: tuple[bool, ...] = ()
    burst_at: float = 0.0
    burst: int = 0
    linger: float = 0.0
    crosses: bool = False
    forgets: bool = False
    steps: int = 22
    changes: bool = False
    audit: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the matrix.

    Attributes
    ----------
    share : int
        Its part of a full pass, as runs.
    """

    code: str
    title: str
    venues: tuple[str, ...]
    share: int
    plan: Callable[[str, random.Random], Plan]


def _some(
    rng: random.Random, kind: FaultKind, match: str, most: int = 4, seconds: float = 0.0
) -> tuple[Fault, ...]:
    return tuple(
        Fault(
            kind, at=rng.randrange(8), count=rng.choice((1, 1, 2, 3)), match=match, seconds=seconds
        )
        for _ in range(rng.randint(1, most))
    )


def _stream(kind: FaultKind) -> Callable[[str, random.Random], Plan]:
    def plan(venue: str, rng: random.Random) -> Plan:
        faults: tuple[Fault, ...] = ()
        channels = rng.choice((PRIVATE[venue], PUBLIC[venue], PRIVATE[venue] + PUBLIC[venue]))
        for match in channels:
            faults += _some(rng, kind, match)
        return Plan(faults, feed=bool(set(channels) & set(PUBLIC[venue])))

    return plan


def _request(*kinds: FaultKind) -> Callable[[str, random.Random], Plan]:
    def plan(venue: str, rng: random.Random) -> Plan:
        return Plan(
            tuple(
                Fault(
                    rng.choice(kinds),
                    at=rng.randrange(12),
                    count=rng.randint(1, 20),
                    match=rng.choice(("", "POST", "GET", "DELETE")),
                )
                for _ in range(rng.randint(1, 4))
            )
        )

    return plan


def _submit(kind: FaultKind, news_too: bool = True) -> Callable[[str, random.Random], Plan]:
    def plan(venue: str, rng: random.Random) -> Plan:
        faults = _some(rng, kind, CREATE[venue], seconds=rng.choice((0.5, 2.0, 4.0)))
        if rng.random() < 0.3:  # and the look-ups fail as well
            faults += (
                Fault(K.HTTP_503, at=rng.randrange(10), count=rng.randint(1, 12), match="GET"),
            )
        if news_too and rng.random() < 0.5:  # and the news of it is lost, some or all
            if rng.random() < 0.5:
                faults += _some(rng, K.WS_DROP, rng.choice(PRIVATE[venue]))
            else:
                faults += tuple(Fault(K.WS_DROP, count=99, match=m) for m in PRIVATE[venue])
        return Plan(faults)

    return plan


def _late(venue: str, rng: random.Random) -> Plan:
    """Requests that arrive late: after the client has given up, before the venue calls them stale."""
    seconds = rng.choice((1.0, 4.5, 4.9, 5.5, 12.0))
    return Plan(_some(rng, K.DELAY, CREATE[venue], seconds=seconds))


def _cancel_race(venue: str, rng: random.Random) -> Plan:
    kind = rng.choice((K.DELAY, K.DELAY, K.DROP_RESPONSE, K.DROP_REQUEST))
    return Plan(_some(rng, kind, CANCEL[venue], seconds=rng.choice((0.3, 1.0, 3.0))), steps=30)


def _change(venue: str, rng: random.Random) -> Plan:
    """Changes that are lost on the way, or answered late or never; at times nothing can be read either."""
    kinds = (K.DELAY, K.DROP_RESPONSE, K.DROP_RESPONSE, K.DROP_REQUEST)
    faults: tuple[Fault, ...] = ()
    for match in ("amend", "decrease"):
        faults += _some(rng, rng.choice(kinds), match, seconds=rng.choice((1.0, 4.9, 5.5, 12.0)))
    if rng.random() < 0.5:
        at, count = rng.randrange(20), rng.randint(1, 60)
        faults += (Fault(K.HTTP_503, at=at, count=count, match="GET"),)
    if rng.random() < 0.5:
        faults += _some(rng, K.WS_DROP, rng.choice(PRIVATE[venue]))
    return Plan(faults, steps=30, changes=True)


def _sockets(venue: str, rng: random.Random) -> Plan:
    drops = tuple(rng.uniform(0.2, 12.0) for _ in range(rng.randint(0, 4)))
    hushes = tuple(
        (rng.uniform(0.2, 12.0), rng.choice((0.1, 1.0, 8.0, 30.0, 120.0)))
        for _ in range(rng.randint(0 if drops else 1, 2))
    )
    return Plan(feed=rng.random() < 0.5, drops=drops, hushes=hushes)


def _reverted(venue: str, rng: random.Random) -> Plan:
    failing = {rng.randrange(6) for _ in range(rng.randint(1, 3))}
    return Plan(
        options={
            "fail": failing.__contains__,
            "mine_s": rng.choice((0.2, 2.0, 10.0)),
            "confirm_s": rng.choice((0.4, 5.0)),
        }
    )


def _resolved(venue: str, rng: random.Random) -> Plan:
    return Plan(settle_at=rng.uniform(1.0, 9.0), payout=rng.choice((0, 5_000, 10_000)))


def _clock(venue: str, rng: random.Random) -> Plan:
    steps = tuple((rng.uniform(0.5, 9.0), rng.choice((-30.0, 30.0, -1.0, 3.0))) for _ in range(2))
    return Plan(skew=steps)


def _disk(venue: str, rng: random.Random) -> Plan:
    at = rng.randrange(8)
    return Plan(refuse=range(at, at + rng.randint(1, 20)))


def _kill(venue: str, rng: random.Random) -> Plan:
    kills = tuple(rng.randrange(60) for _ in range(rng.choice((1, 1, 2, 3))))
    return Plan(kills=kills, kept=tuple(rng.random() < 0.5 for _ in kills), steps=30)


def _second(venue: str, rng: random.Random) -> Plan:
    return Plan(second_at=rng.uniform(0.2, 9.0))


def _stop(venue: str, rng: random.Random) -> Plan:
    kind = rng.choice((K.DELAY, K.DROP_RESPONSE, K.HTTP_503))
    match = rng.choice((CREATE[venue], CANCEL[venue]))
    return Plan(_some(rng, kind, match, seconds=1.0), stop_at=rng.uniform(0.5, 9.0))


def _cache(venue: str, rng: random.Random) -> Plan:
    return Plan(
        environment={"REDIS_URL": rng.choice(("redis://127.0.0.1:1/0", "redis://192.0.2.1/0"))}
    )


def _halt(venue: str, rng: random.Random) -> Plan:
    return Plan(halt_at=rng.uniform(0.5, 9.0))


def _burst(venue: str, rng: random.Random) -> Plan:
    faults = _some(rng, K.WS_DUPLICATE, PRIVATE[venue][0])
    at, levels = rng.uniform(1.0, 6.0), rng.choice((500, 2_000, 5_000))
    return Plan(faults, feed=True, burst_at=at, burst=levels, steps=80)


def _late_news(venue: str, rng: random.Random) -> Plan:
    """Fills after the cancel's answer, after an expiry, after the settlement, before the order's answer."""
    faults: tuple[Fault, ...] = ()
    for match in PRIVATE[venue]:
        faults += _some(rng, K.WS_LATE, match, 6, seconds=rng.choice((0.05, 0.5, 3.0, 12.0, 60.0)))
    if rng.random() < 0.3:  # and the answers to orders are late as well
        faults += _some(rng, K.DELAY, CREATE[venue], seconds=1.0)
    settle_at = rng.choice((0.0, 0.0, rng.uniform(1.0, 9.0)))
    linger = rng.choice((0.0, 100.0))
    return Plan(faults, settle_at=settle_at, payout=rng.choice((0, 10_000)), linger=linger)


def _old_news(venue: str, rng: random.Random) -> Plan:
    """Frames that come a second time: with their old number, in old snapshots, after a reconnect, after a kill."""
    seconds = rng.choice((0.2, 1.0, 5.0, 30.0))
    faults: tuple[Fault, ...] = (Fault(K.WS_REPLAY, count=99),) if rng.random() < 0.7 else ()
    for match in rng.choice((PRIVATE[venue], PUBLIC[venue], PRIVATE[venue] + PUBLIC[venue])):
        faults += _some(rng, K.WS_AGAIN, match, 6, seconds=seconds)
    faults += _some(rng, K.WS_AGAIN, SNAPSHOT[venue], 4, seconds=seconds)
    drops = tuple(rng.uniform(0.2, 12.0) for _ in range(rng.randint(0, 3)))
    if rng.random() < 0.3:
        return Plan(faults, drops=drops, kills=(rng.randrange(60),), kept=(rng.random() < 0.5,))
    return Plan(faults, feed=True, drops=drops)


def _own_orders(venue: str, rng: random.Random) -> Plan:
    kind = rng.choice((K.DROP_RESPONSE, K.DELAY, K.WS_DROP))
    match = rng.choice(PRIVATE[venue]) if kind is K.WS_DROP else CREATE[venue]
    return Plan(_some(rng, kind, match, seconds=1.0), crosses=True, steps=40)


def _forgetful(venue: str, rng: random.Random) -> Plan:
    kills = tuple(rng.randrange(60) for _ in range(rng.choice((1, 2))))
    return Plan(kills=kills, kept=tuple(rng.random() < 0.5 for _ in kills), forgets=True, steps=40)


def _audited(venue: str, rng: random.Random) -> Plan:
    """Any of the others, with the comparison of the account going on: it may never be wrong."""
    plans = [_submit(K.DROP_RESPONSE), _late, _cancel_race, _sockets, _resolved, _stream(K.WS_DROP)]
    plans += [_change] if venue == "KALSHI" else [_reverted]
    return replace(rng.choice(plans)(venue, rng), audit=True, steps=40)


BOTH = ("KALSHI", "POLYMARKET")
CASES: dict[str, Case] = {
    c.code: c
    for c in (
        Case("F1", "WebSocket closed or half-open", BOTH, 200, _sockets),
        Case("F2", "frames are lost", BOTH, 200, _stream(K.WS_DROP)),
        Case("F3", "frames out of order", BOTH, 200, _stream(K.WS_SWAP)),
        Case("F4", "frames twice", BOTH, 200, _stream(K.WS_DUPLICATE)),
        Case("F5", "unreadable frames", BOTH, 200, _stream(K.WS_GARBAGE)),
        Case("F6", "429 storms", BOTH, 100, _request(K.HTTP_429)),
        Case("F7", "5xx and engine restarts", BOTH, 100, _request(K.HTTP_500, K.HTTP_503)),
        Case("F8", "submit: answer lost after accept", BOTH, 250, _submit(K.DROP_RESPONSE)),
        Case("F9", "submit: request lost", BOTH, 200, _submit(K.DROP_REQUEST)),
        Case("F10", "submit: answered late", BOTH, 100, _late),
        Case("F11", "cancel races a fill", BOTH, 200, _cancel_race),
        Case("F12", "trade matched, then failed on chain", ("POLYMARKET",), 60, _reverted),
        Case("F13", "market resolves with resting orders", BOTH, 60, _resolved),
        Case("F14", "clock skew and steps", BOTH, 60, _clock),
        Case("F15", "killed at any point, and back", BOTH, 200, _kill),
        Case("F16", "the disk refuses rows", BOTH, 60, _disk),
        Case("F17", "a shared cache that is down", BOTH, 20, _cache),
        Case("F25", "a second node on the same ledger", BOTH, 20, _second),
        Case("F26", "bursts", BOTH, 20, _burst),
        Case("F27", "stopped in order at any moment", BOTH, 40, _stop),
        Case("CHANGE", "change: lost, or answered late or never", ("KALSHI",), 60, _change),
        Case("F28", "news comes late: after cancel, expiry, payout", BOTH, 100, _late_news),
        Case("F29", "old news again: snapshots, reconnects, restarts", BOTH, 100, _old_news),
        Case("F30", "own orders meet", BOTH, 40, _own_orders),
        Case("F31", "order ids used again after a restart", BOTH, 40, _forgetful),
        Case("AUDIT", "any of these, the account compared all the while", BOTH, 60, _audited),
        Case("HALT", "operator halts while orders fly", BOTH, 60, _halt),
    )
}
