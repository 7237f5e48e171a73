from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from adapters.download import NotFound, PublicClient, Retry, TokenBucket
from adapters.download.client import Unreachable, retry_after_s
from core.domain.errors import UsageError, VenueError
from tests.unit.adapters.download.history_server import HistoryServer

FAST = Retry(attempts=4, first_wait_s=0.01, longest_wait_s=0.02, timeout_s=2)


@pytest.fixture
async def server():
    async with HistoryServer() as running:
        running.routes = {"/x": lambda request: {"ok": dict(request.query)}}
        yield running


def client(server: HistoryServer, retry: Retry = FAST, rate: float = 1000.0) -> PublicClient:
    return PublicClient(server.url, TokenBucket(rate, rate), retry)


@pytest.mark.parametrize("fault", ["429", "500", "truncated", "reset"])
async def test_a_passing_fault_is_retried(server, fault):
    server.fail("/x", fault, fault)
    async with client(server) as c:
        assert await c.get("/x", {"a": 1, "b": None}) == {"ok": {"a": "1"}}
        # The HTTP library itself repeats a request once when a kept-alive connection breaks.
        assert (c.requests, c.retries) in ([(3, 2)] if fault != "reset" else [(3, 2), (2, 1)])


async def test_a_lasting_fault_ends_with_what_was_seen(server):
    server.fail("/x", *["500"] * 10)
    async with client(server) as c:
        with pytest.raises(Unreachable, match="500"):
            await c.get("/x", {})
        assert c.requests == 4


async def test_a_refusal_is_not_retried(server):
    server.fail("/x", "html")
    async with client(server) as c:
        with pytest.raises(VenueError, match="403"):
            await c.get("/x", {})
        assert c.requests == 1


async def test_an_unknown_thing_is_its_own_error(server):
    async with client(server) as c:
        with pytest.raises(NotFound):
            await c.get("/y", {})


async def test_nobody_listening_is_unreachable():
    c = PublicClient("http://127.0.0.1:9", TokenBucket(1000, 1000), FAST)
    async with c:
        with pytest.raises(Unreachable):
            await c.get("/x", {})


async def test_a_pause_beyond_our_patience_ends_the_run(server):
    server.fail("/x", "429")
    async with client(server, Retry(longest_retry_after_s=0.01)) as c:
        with pytest.raises(VenueError, match="longer pause"):
            await c.get("/x", {})


async def test_a_429_holds_back_everybody_on_the_same_bucket(server):
    server.fail("/x", "429")
    async with client(server) as c:
        before = time.monotonic()
        await c.get("/x", {})
        assert time.monotonic() - before >= 0.05


async def test_the_bucket_never_lets_through_more_than_its_rate():
    bucket = TokenBucket(100.0, 10.0)
    before = time.monotonic()
    for _ in range(30):
        await bucket.acquire()
    # 30 tokens at 100/s with a burst of 10 take at least 0.2 s.
    assert time.monotonic() - before >= 0.19


async def test_a_cost_above_the_burst_is_refused_instead_of_waiting_forever():
    with pytest.raises(UsageError):
        await TokenBucket(10, 10).acquire(11)
    with pytest.raises(UsageError):
        TokenBucket(0, 1)


def test_retry_after_is_read_as_seconds_date_or_body():
    assert retry_after_s("2") == 2
    assert retry_after_s("0.5") == 0.5
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 < retry_after_s(soon) <= 30
    past = format_datetime(datetime.now(UTC) - timedelta(seconds=30), usegmt=True)
    assert retry_after_s(past) == 0
    assert retry_after_s("soon") == 0
    assert retry_after_s(None, b'{"retry_after_seconds": 3}') == 3
    assert retry_after_s(None, b"[]") == 0
    assert retry_after_s(None, b"<html>") == 0
