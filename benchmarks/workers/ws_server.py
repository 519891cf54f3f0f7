"""A venue that has one stream: book frames by the thousand, as fast as a socket takes them.

Argument: the frames' file. Prints its port. Whoever subscribes gets the reply GRVT gives and the whole book; each line of
standard input, {"to": NAME, "times": N}, has that subscriber sent the recording N times over, at once.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import picows
import uvloop
from frames import SELECTOR, Frames


def framed(text: bytes) -> bytes:
    """Return a text frame of a server (RFC 6455 §5.2: not masked)."""
    if len(text) < 126:
        return b"\x81" + len(text).to_bytes(1, "big") + text
    return b"\x81\x7e" + len(text).to_bytes(2, "big") + text


class Client(picows.WSListener):
    """One subscriber; its name is what its path ends in."""

    def __init__(self, frames: Frames, clients: dict[str, Client], name: str) -> None:
        self._frames = frames
        self._clients = clients
        self._name = name
        self._next = 1

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
            return
        if frame.msg_type != picows.WSMsgType.TEXT:
            return
        asked = json.loads(frame.get_payload_as_bytes())
        params = asked.get("params", {})
        result = {
            "stream": params.get("stream", ""),
            "subs": params.get("selectors", []),
            "unsubs": [],
            "num_snapshots": [1],
            "first_sequence_number": [str(self._next)],
            "latest_sequence_number": [str(self._next - 1)],
        }
        reply = {"jsonrpc": "2.0", "result": result, "id": asked.get("id"), "method": "subscribe"}
        transport.send(picows.WSMsgType.TEXT, json.dumps(reply).encode())
        if SELECTOR in params.get("selectors", []):
            transport.send(picows.WSMsgType.TEXT, self._frames.whole())
            self._clients[self._name] = self

    def send(self, times: int) -> None:
        """Send the whole book, then all changes, so many times over, in one go."""
        parts = []
        for _ in range(times):
            changes = self._frames.changes(self._next)
            self._next += len(changes)
            parts += [framed(self._frames.whole()), *map(framed, changes)]
        self._transport.underlying_transport.write(b"".join(parts))


async def main() -> None:
    frames = Frames(sys.argv[1])
    clients: dict[str, Client] = {}

    def listener(request: picows.WSUpgradeRequest) -> Client:
        return Client(frames, clients, request.path.decode().strip("/").split("/")[0])

    server = await picows.ws_create_server(listener, "127.0.0.1", 0, enable_auto_ping=False)
    say({"port": server.sockets[0].getsockname()[1]})
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        wanted: dict[str, Any] = json.loads(line)
        clients[wanted["to"]].send(wanted["times"])
        say({})
    server.close()


def say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


uvloop.run(main())
