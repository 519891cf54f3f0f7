"""A write happens in the step that makes it, or raises and has not happened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from perpmaker.errors import AuthError, VenueUnavailable
from perpmaker.venues.transport.http import open_http
from perpmaker.venues.transport.link import MAX_FRAME_BYTES, Link, NotReached, open_link


class Peer:
    """The other end: keeps what it got, stops reading or cuts when told."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[str] = asyncio.Queue()
        self.reading = asyncio.Event()
        self.reading.set()
        self.ws = web.WebSocketResponse(max_msg_size=0)
        self.transport: asyncio.Transport | None = None
        self.ready = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path != "/ws":
            return web.Response(status=int(request.path.removeprefix("/")))
        await self.ws.prepare(request)
        self.transport = request.transport
        self.ready.set()
        while True:
            await self.reading.wait()
            message = await self.ws.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                return self.ws
            self.got.put_nowait(message.data)


@pytest.fixture
async def peer() -> AsyncIterator[tuple[Peer, int]]:
    made = Peer()
    app = web.Application()
    app.router.add_get("/{any:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    yield made, site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    await runner.cleanup()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_http(lambda method, url: True) as session:
        yield session


async def connected(http: aiohttp.ClientSession, peer: tuple[Peer, int]) -> Link:
    link = await open_link(http, f"ws://127.0.0.1:{peer[1]}/ws", {})
    await peer[0].ready.wait()
    return link


async def test_writes_arrive_in_order(http: aiohttp.ClientSession, peer: tuple[Peer, int]) -> None:
    link = await connected(http, peer)
    for n in range(100):
        link.write(b"%d" % n)
    assert [await peer[0].got.get() for _ in range(100)] == [str(n) for n in range(100)]
    await link.close()


async def test_a_write_to_a_closed_link_raises_and_is_not_kept(
    http: aiohttp.ClientSession, peer: tuple[Peer, int]
) -> None:
    link = await connected(http, peer)
    await link.close()
    assert not link.is_open
    with pytest.raises(VenueUnavailable):
        link.write(b"late")
    assert peer[0].got.empty()


async def test_a_write_after_the_peer_cut_the_line_raises(http: aiohttp.ClientSession, peer: tuple[Peer, int]) -> None:
    link = await connected(http, peer)
    assert peer[0].transport is not None
    peer[0].transport.abort()
    with pytest.raises(VenueUnavailable, match="link ended"):
        async for _ in link.frames():
            pass
    with pytest.raises(VenueUnavailable):
        link.write(b"late")


async def test_a_peer_that_does_not_read_makes_the_link_congested_and_nothing_is_lost(
    http: aiohttp.ClientSession, peer: tuple[Peer, int]
) -> None:
    link = await connected(http, peer)
    peer[0].reading.clear()
    sent = 0
    block = b"x" * 500_000
    while not link.is_congested and sent < 200:
        link.write(block)
        sent += 1
        await asyncio.sleep(0)
    assert link.is_congested
    link.write(b"last")
    peer[0].reading.set()
    got = [await peer[0].got.get() for _ in range(sent + 1)]
    assert got[-1] == "last"
    assert [len(text) for text in got[:-1]] == [len(block)] * sent
    if link._flushing is not None:
        await link._flushing
    assert not link.is_congested
    await link.close()


async def test_a_frame_beyond_the_limit_ends_the_link(http: aiohttp.ClientSession, peer: tuple[Peer, int]) -> None:
    link = await connected(http, peer)
    await peer[0].ws.send_str("x" * (MAX_FRAME_BYTES + 1))
    with pytest.raises(VenueUnavailable, match="link ended"):
        async for _ in link.frames():
            pass
    await link.close()


async def test_frames_come_as_text_and_the_end_says_why(http: aiohttp.ClientSession, peer: tuple[Peer, int]) -> None:
    link = await connected(http, peer)
    await peer[0].ws.send_str("one")
    await peer[0].ws.send_bytes(b"two\xff")
    await peer[0].ws.close(code=1012)
    frames = link.frames()
    assert await anext(frames) == "one"
    assert await anext(frames) == "two\N{REPLACEMENT CHARACTER}"
    with pytest.raises(VenueUnavailable, match="1012"):
        await anext(frames)


@pytest.mark.parametrize(("status", "expected"), [(401, AuthError), (403, AuthError), (503, VenueUnavailable)])
async def test_a_refused_upgrade_says_whether_the_credentials_were_the_reason(
    http: aiohttp.ClientSession, peer: tuple[Peer, int], status: int, expected: type
) -> None:
    with pytest.raises(expected, match=str(status)):
        await open_link(http, f"ws://127.0.0.1:{peer[1]}/{status}", {})


async def test_a_peer_that_answers_no_ping_is_found_out(http: aiohttp.ClientSession, peer: tuple[Peer, int]) -> None:
    peer[0].reading.clear()  # a half-open link: nothing is read, so no pong comes
    link = await open_link(http, f"ws://127.0.0.1:{peer[1]}/ws", {}, heartbeat_s=0.1)
    with pytest.raises(VenueUnavailable, match="PONG"):
        await anext(link.frames())
    assert not link.is_open
    await link.close()


async def test_certificates_are_verified_and_the_environment_names_no_proxy(http: aiohttp.ClientSession) -> None:
    assert isinstance(http.connector, aiohttp.TCPConnector)
    assert http.connector._ssl is True
    assert http.trust_env is False
    assert isinstance(http.cookie_jar, aiohttp.DummyCookieJar)


async def test_nobody_there_is_told_apart(http: aiohttp.ClientSession, unused_tcp_port: int) -> None:
    with pytest.raises(NotReached):
        await open_link(http, f"ws://127.0.0.1:{unused_tcp_port}/ws", {})
