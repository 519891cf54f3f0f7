"""One WebSocket connection of the second face: subscriptions in, frames out (protocol page §7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import msgspec
from aiohttp import WSMsgType, web

from perpmaker.exchange.backpack.codes import ApiError
from perpmaker.exchange.backpack.hub import Hub
from perpmaker.exchange.backpack.signing import Proof
from perpmaker.exchange.backpack.streams import Listing, Selection, read_stream
from perpmaker.exchange.outbox import Outbox
from perpmaker.exchange.outcomes import Outcome, Refusal, Reply, Silence

INVALID_STREAM: Final = (4006, "Invalid stream")
MALFORMED: Final = (4000, "Invalid request")
REFUSED: Final = 4001
"""A private stream without a good signature [guess: the page knows the code of an invalid stream only]."""


class SubscribeCall(msgspec.Struct, frozen=True):
    """A request as it comes in."""

    method: str
    params: list[str]
    signature: list[str] | None = None
    id: Any = None


class Surroundings:
    """What every socket of the face shares."""

    def __init__(
        self,
        hub: Hub,
        listing: Listing,
        account: Callable[[Proof], int],
        prevented: Callable[[str], Outcome | None],
    ) -> None:
        self.hub = hub
        self.listing = listing
        self.account = account
        """Whose a signed subscription is; raises ApiError."""
        self.prevented = prevented
        """What fault rules make of a request with this op, None to let it be."""
        self.sockets: set[Socket] = set()

    async def close_all(self, *, which: str = "all", abort: bool = False) -> int:
        """Close every socket, or the "private" (with a private stream) or "public" ones; return how many."""
        kinds = {"all": (True, False), "private": (True,), "public": (False,)}[which]
        chosen = [socket for socket in self.sockets if socket.is_private in kinds]
        await asyncio.gather(*(socket.close(abort=abort) for socket in chosen))
        return len(chosen)


class Socket:
    """A connection and what it listens to; a `Listener` of the hub."""

    def __init__(self, ws: web.WebSocketResponse, transport: asyncio.Transport, around: Surroundings) -> None:
        self.is_private = False
        self._ws = ws
        self._transport = transport
        self._around = around
        self._outbox = Outbox(ws, transport)

    def send(self, frame: bytes) -> None:
        self._outbox.send(frame)

    async def close(self, *, abort: bool) -> None:
        await self._outbox.close(abort=abort)

    async def serve(self) -> None:
        """Read and act until the connection ends."""
        sender = asyncio.create_task(self._outbox.run())
        self._around.sockets.add(self)
        try:
            async for message in self._ws:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    self._on_message(message.data)
        finally:
            self._around.sockets.discard(self)
            self._around.hub.forget(self)
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    def _on_message(self, data: str | bytes) -> None:
        try:
            call = msgspec.json.decode(data, type=SubscribeCall)
        except msgspec.DecodeError:
            self._refuse(None, *MALFORMED)
            return
        if call.method not in ("SUBSCRIBE", "UNSUBSCRIBE"):
            self._refuse(call.id, *MALFORMED)
            return
        match self._around.prevented(call.method.lower()):
            case Silence.RESET:
                self._transport.abort()
            case Silence.FOREVER | Reply():
                pass
            case Refusal(message=message):
                self._refuse(call.id, REFUSED, message)
            case None if call.method == "SUBSCRIBE":
                self._subscribe(call)
            case None:
                for text in call.params:
                    self._around.hub.unsubscribe(self, text)

    def _subscribe(self, call: SubscribeCall) -> None:
        """Check every stream before any takes effect. A good subscription has no answer but its frames."""
        selections: list[Selection] = []
        for text in call.params:
            selection = read_stream(text, self._around.listing)
            if selection is None:
                self._refuse(call.id, *INVALID_STREAM)
                return
            selections.append(selection)
        if any(selection.is_private for selection in selections):
            try:
                account_id = self._around.account(_proof(call.signature))
            except ApiError as error:
                self._refuse(call.id, REFUSED, error.message)
                return
            self.is_private = True
            selections = [
                msgspec.structs.replace(selection, account_id=account_id) if selection.is_private else selection
                for selection in selections
            ]
        for selection in selections:
            self._around.hub.subscribe(self, selection)

    def _refuse(self, call_id: Any, code: int, text: str) -> None:
        self.send(msgspec.json.encode({"id": call_id, "error": {"code": code, "message": text}}))


def _proof(signature: list[str] | None) -> Proof:
    """The four members of a signed subscription: key, signature, timestamp, window."""
    if signature is None or len(signature) != 4:
        return Proof("", "", "", "")
    return Proof(*signature)
