"""A connection comes back after whatever ended it."""

import asyncio

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapters.connection import Connection, SocketState


class Fragile(Connection):
    """Fails as it opens, as often as told."""

    def __init__(self, session, url, errors):
        super().__init__(session, url, lambda state: None, wait_s=30.0, max_frame_bytes=1 << 20)
        self.errors, self.opened = errors, asyncio.Event()

    async def _opened(self):
        if self.errors:
            raise self.errors.pop()
        await super()._opened()
        self.opened.set()


async def listen(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for _ in socket:
        pass
    return socket


@pytest.mark.parametrize("error", [aiohttp.ClientError("reset"), KeyError("an error of ours")])
async def test_a_connection_comes_back_after_an_error_of_the_network_or_of_ours(error):
    app = web.Application()
    app.router.add_get("/", listen)
    server = TestServer(app)
    await server.start_server()
    async with aiohttp.ClientSession() as session:
        connection = Fragile(session, str(server.make_url("/")), [error])
        running = asyncio.create_task(connection.run())
        await asyncio.wait_for(connection.opened.wait(), 60)
        assert connection.state is SocketState.UP
        assert connection.stats.errors == [f"connect: {type(error).__name__}"]
        await connection.close()
        await asyncio.wait_for(running, 60)
    await server.close()
