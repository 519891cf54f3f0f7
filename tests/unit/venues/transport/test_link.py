"""A write happens in the step that makes it, or raises and has not happened."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from perpmaker.errors import AuthError, VenueUnavailable
from perpmaker.venues.transport.http import open_http
from perpmaker.venues.transport.link import MAX_FRAME_BYTES, Link, NotReached, OnFrame, open_link


class Peer:
    """The other end: keeps what it got, stops reading or cuts when told."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[str] = asyncio.Queue()
        self.reading = asyncio.Event()
        self.reading.set()
        self.ws = web.WebSocketResponse(max_msg_size=0)
        self.transport: asyncio.Transport | None = None
        self.ready = asyncio.Event()
        self.asked = asyncio.Event()
        self.answering = asyncio.Event()
        self.answering.set()
        self.gone = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path != "/ws":
            return web.Response(status=int(request.path.removeprefix("/")), headers={"Location": "/ws"})
        self.asked.set()
        await self.answering.wait()
        try:
            return await self.talk(request)
        finally:
            self.gone.set()

    async def talk(self, request: web.Request) -> web.StreamResponse:
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


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's certificate for 127.0.0.1 that no authority knows."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin + timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


async def connected(peer: tuple[Peer, int], on_frame: OnFrame = lambda frame: None) -> Link:
    link = await open_link(f"ws://127.0.0.1:{peer[1]}/ws", {}, on_frame)
    await peer[0].ready.wait()
    return link


async def test_writes_arrive_in_order(peer: tuple[Peer, int]) -> None:
    link = await connected(peer)
    for n in range(100):
        link.write(b"%d" % n)
    assert [await peer[0].got.get() for _ in range(100)] == [str(n) for n in range(100)]
    await link.close()


async def test_a_write_to_a_closed_link_raises_and_is_not_kept(
    peer: tuple[Peer, int],
) -> None:
    link = await connected(peer)
    await link.close()
    assert not link.is_open
    with pytest.raises(VenueUnavailable):
        link.write(b"late")
    assert peer[0].got.empty()


async def test_a_write_after_the_peer_cut_the_line_raises(peer: tuple[Peer, int]) -> None:
    link = await connected(peer)
    assert peer[0].transport is not None
    peer[0].transport.abort()
    with pytest.raises(VenueUnavailable, match="link ended"):
        await link.ended()
    with pytest.raises(VenueUnavailable):
        link.write(b"late")


async def test_a_peer_that_does_not_read_makes_the_link_congested_and_nothing_is_lost(
    peer: tuple[Peer, int],
) -> None:
    link = await connected(peer)
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
    assert not link.is_congested
    await link.close()


async def test_a_frame_beyond_the_limit_ends_the_link(peer: tuple[Peer, int]) -> None:
    link = await connected(peer)
    await peer[0].ws.send_str("x" * (MAX_FRAME_BYTES + 1))
    with pytest.raises(VenueUnavailable, match="link ended"):
        await link.ended()
    await link.close()


async def test_messages_come_whole_in_the_step_that_reads_them_and_the_end_says_why(peer: tuple[Peer, int]) -> None:
    got: list[bytes] = []
    link = await connected(peer, got.append)
    await peer[0].ws.send_str("one")
    await peer[0].ws.send_bytes(b"two\xff")
    await peer[0].ws.close(code=1012, message=b"maintenance")
    with pytest.raises(VenueUnavailable, match="closed with code 1012 maintenance"):
        await link.ended()
    assert got == [b"one", b"two\xff"]
    assert not link.is_open


def frame(first_byte: int, payload: bytes) -> bytes:
    """A frame as a server writes it (RFC 6455 §5.2), shorter than 126 bytes or than 64 KiB."""
    length = bytes([len(payload)]) if len(payload) < 126 else bytes([126]) + len(payload).to_bytes(2, "big")
    return bytes([first_byte]) + length + payload


async def test_a_message_in_parts_is_put_together(peer: tuple[Peer, int]) -> None:
    got: list[bytes] = []
    link = await connected(peer, got.append)
    assert peer[0].transport is not None
    ping, text, more, end = 0x89, 0x01, 0x00, 0x80
    peer[0].transport.write(frame(text, b"a" * 300) + frame(ping, b"still there?") + frame(more, b"b"))
    peer[0].transport.write(frame(end, b"c") + frame(0x81, b"next"))
    peer[0].transport.write(frame(0x88, (1000).to_bytes(2, "big")))
    with pytest.raises(VenueUnavailable, match="1000"):
        await link.ended()
    assert got == [b"a" * 300 + b"bc", b"next"]


CLOSE = 0x88


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (frame(0x01, b"begun") + frame(0x81, b"whole"), "a new message in the middle of one in parts"),
        (frame(0x01, b"begun") + frame(0x82, b"whole"), "a new message in the middle of one in parts"),
        (frame(0x01, b"begun") + frame(0x01, b"begun"), "a new message in the middle of one in parts"),
        (frame(0x80, b"end"), "a continuation of nothing"),
        (frame(0x01, b"a") + frame(0x80, b"b") + frame(0x80, b"c"), "a continuation of nothing"),
        (frame(0x81 | 0x40, b"compressed"), "a reserved bit is set"),
        (frame(0x82 | 0x20, b"two"), "a reserved bit is set"),
        (frame(0x81 | 0x10, b"three"), "a reserved bit is set"),
        (frame(0x01, b"begun") + frame(0x80 | 0x40, b"end"), "a reserved bit is set"),
        (frame(0x83, b"no such kind"), "invalid opcode=0x3"),
        (frame(CLOSE, (0).to_bytes(2, "big")), "code 0"),
        (frame(CLOSE, (1005).to_bytes(2, "big")), "code:? 1005"),
        (frame(CLOSE, (1006).to_bytes(2, "big")), "code:? 1006"),
        (frame(CLOSE, (1016).to_bytes(2, "big")), "code: 1016"),
        (frame(CLOSE, (5000).to_bytes(2, "big")), "code 5000"),
        (frame(CLOSE, b"\x03"), "close code"),
    ],
)
async def test_what_breaks_the_protocol_ends_the_link_and_tells_the_peer_1002(
    peer: tuple[Peer, int], sent: bytes, said: str
) -> None:
    got: list[bytes] = []
    link = await connected(peer, got.append)
    assert peer[0].transport is not None
    peer[0].transport.write(sent + frame(0x81, b"after"))
    with pytest.raises(VenueUnavailable, match=said):
        await link.ended()
    assert not link.is_open
    assert b"whole" not in got
    assert b"after" not in got
    async with asyncio.timeout(30):
        await peer[0].gone.wait()
    assert peer[0].ws.close_code == 1002


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"", r"closed without a code \(1005\)"),
        ((1001).to_bytes(2, "big"), "closed with code 1001$"),
        ((4000).to_bytes(2, "big") + b"bye", "closed with code 4000 bye"),
    ],
)
async def test_a_close_is_told_as_it_was_meant(peer: tuple[Peer, int], payload: bytes, said: str) -> None:
    link = await connected(peer)
    assert peer[0].transport is not None
    peer[0].transport.write(frame(CLOSE, payload))
    with pytest.raises(VenueUnavailable, match=said):
        await link.ended()
    async with asyncio.timeout(30):
        await peer[0].gone.wait()
    assert peer[0].ws.close_code == 1000


async def test_parts_that_never_end_end_the_link(peer: tuple[Peer, int]) -> None:
    link = await connected(peer)
    assert peer[0].transport is not None
    peer[0].transport.write(frame(0x01, b"x" * 60_000))
    for _ in range(MAX_FRAME_BYTES // 60_000 + 1):
        peer[0].transport.write(frame(0x00, b"x" * 60_000))
    with pytest.raises(VenueUnavailable, match="too long"):
        await link.ended()


async def test_what_the_handler_raises_comes_out_of_the_end(peer: tuple[Peer, int]) -> None:
    def on_frame(frame: bytes) -> None:
        raise KeyError(frame)

    link = await connected(peer, on_frame)
    await peer[0].ws.send_str("one")
    with pytest.raises(KeyError):
        await link.ended()
    await link.close()
    assert not link.is_open


async def test_a_link_that_nobody_waits_for_any_more_is_dropped(peer: tuple[Peer, int]) -> None:
    peer[0].answering.clear()
    opening = asyncio.create_task(open_link(f"ws://127.0.0.1:{peer[1]}/ws", {}, lambda frame: None))
    await peer[0].asked.wait()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    peer[0].answering.set()
    async with asyncio.timeout(30):
        await peer[0].gone.wait()


@pytest.mark.parametrize(("status", "expected"), [(401, AuthError), (403, AuthError), (503, VenueUnavailable)])
async def test_a_refused_upgrade_says_whether_the_credentials_were_the_reason(
    peer: tuple[Peer, int], status: int, expected: type
) -> None:
    with pytest.raises(expected, match=str(status)):
        await open_link(f"ws://127.0.0.1:{peer[1]}/{status}", {}, lambda frame: None)


async def test_a_peer_that_answers_no_ping_is_found_out(peer: tuple[Peer, int]) -> None:
    peer[0].reading.clear()  # a half-open link: nothing is read, so no pong comes
    link = await open_link(f"ws://127.0.0.1:{peer[1]}/ws", {}, lambda frame: None, heartbeat_s=0.1)
    with pytest.raises(VenueUnavailable, match="ping"):
        await link.ended()
    assert not link.is_open
    await link.close()


async def test_certificates_are_verified_and_the_environment_names_no_proxy() -> None:
    async with open_http(lambda method, url: True) as http:
        assert isinstance(http.connector, aiohttp.TCPConnector)
        assert http.connector._ssl is True
        assert http.trust_env is False
        assert isinstance(http.cookie_jar, aiohttp.DummyCookieJar)


async def test_a_redirect_is_not_followed(peer: tuple[Peer, int]) -> None:
    with pytest.raises(VenueUnavailable, match="302"):
        await open_link(f"ws://127.0.0.1:{peer[1]}/302", {}, lambda frame: None)
    assert not peer[0].ready.is_set()


async def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0, ssl=self_signed(tmp_path))
    with pytest.raises(VenueUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        await open_link(f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws", {}, lambda frame: None)
    server.close()


async def test_nothing_of_the_upgrade_is_logged(peer: tuple[Peer, int], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(0):
        link = await open_link(f"ws://127.0.0.1:{peer[1]}/ws", {"Cookie": "gravity=secret"}, lambda frame: None)
        await link.close()
    assert "secret" not in caplog.text


async def test_nobody_there_is_told_apart(unused_tcp_port: int) -> None:
    with pytest.raises(NotReached):
        await open_link(f"ws://127.0.0.1:{unused_tcp_port}/ws", {}, lambda frame: None)


async def test_a_peer_that_drops_the_upgrade_was_reached() -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    with pytest.raises(VenueUnavailable) as caught:
        await open_link(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws", {}, lambda frame: None)
    assert not isinstance(caught.value, NotReached)
    server.close()
