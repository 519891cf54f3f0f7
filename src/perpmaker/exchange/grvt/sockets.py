"""One WebSocket connection: reads requests in its envelope, answers them, and sends frames without ever blocking."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from aiohttp import WSMsgType, web

from perpmaker.exchange.grvt.codes import ApiError
from perpmaker.exchange.grvt.envelopes import (
    LIST_STREAMS,
    SUBSCRIBE,
    UNSUBSCRIBE,
    UNSUBSCRIBE_ALL,
    Call,
    Envelope,
    StreamRequest,
)
from perpmaker.exchange.grvt.gateway import RpcGateway, refusal_of, rule_refusal
from perpmaker.exchange.grvt.hub import Hub, Subscribed, Variant
from perpmaker.exchange.grvt.schema import Malformed, Message
from perpmaker.exchange.grvt.sessions import Session
from perpmaker.exchange.grvt.streams import Listing, Selection, read_selector
from perpmaker.exchange.outbox import Outbox
from perpmaker.exchange.outcomes import Outcome, Refusal, Reply, Silence, prevented

logger = structlog.get_logger(__name__)


Ownership = Callable[[Session, Selection], bool]
"""Whether a session may listen to a private selector."""


class Surroundings:
    """What every socket of a server shares."""

    def __init__(self, hub: Hub, rpc: RpcGateway, listing: Listing, owns: Ownership) -> None:
        self.hub = hub
        self.rpc = rpc
        self.listing = listing
        self.owns = owns
        self.sockets: set[Socket] = set()

    async def close_all(self, *, which: str = "all", abort: bool = False) -> int:
        """Close every socket, or the "private" (with a session) or "public" ones; return how many."""
        kinds = {"all": (True, False), "private": (True,), "public": (False,)}[which]
        chosen = [socket for socket in self.sockets if (socket.session is not None) in kinds]
        await asyncio.gather(*(socket.close(abort=abort) for socket in chosen))
        return len(chosen)


class Socket:
    """A connection and what it is subscribed to; a `Listener` of the hub."""

    def __init__(
        self,
        ws: web.WebSocketResponse,
        transport: asyncio.Transport,
        envelope: Envelope,
        session: Session | None,
        around: Surroundings,
    ) -> None:
        self.session = session
        self._ws = ws
        self._transport = transport
        self._envelope = envelope
        self._around = around
        self._outbox = Outbox(ws, transport)
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, frame: bytes) -> None:
        self._outbox.send(frame)

    async def close(self, *, abort: bool) -> None:
        """End the connection, with a closing handshake or without."""
        await self._outbox.close(abort=abort)

    async def serve(self) -> None:
        """Read and answer until the connection ends."""
        sender = asyncio.create_task(self._outbox.run())
        self._around.sockets.add(self)
        try:
            async for message in self._ws:
                if message.type is WSMsgType.TEXT:
                    self._on_text(message.data)
                elif message.type is WSMsgType.BINARY:
                    self._refuse(None, refusal_of(ApiError(1003)))
        finally:
            self._around.sockets.discard(self)
            self._around.hub.forget(self)
            for task in (sender, *self._tasks):
                task.cancel()
            await asyncio.gather(sender, *self._tasks, return_exceptions=True)

    # requests

    def _on_text(self, text: str) -> None:
        """Text that is no request, the official web client's `ping` among it, is answered with 1003."""
        try:
            call = self._envelope.read(text)
        except Malformed:
            self._refuse(None, refusal_of(ApiError(1003)))
            return
        if call.method in (SUBSCRIBE, UNSUBSCRIBE, UNSUBSCRIBE_ALL, LIST_STREAMS):
            self._on_stream_call(call)
            return
        task = asyncio.create_task(self._perform(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _perform(self, call: Call) -> None:
        try:
            self._answer(call, await self._around.rpc.perform(call.method, call.params, call.encoding, self.session))
        except Exception:
            logger.exception("rpc_failed", method=call.method)
            self._refuse(call, refusal_of(ApiError(1002)))

    def _answer(self, call: Call, outcome: Outcome) -> None:
        match outcome:
            case Reply():
                self.send(self._envelope.payload(call, outcome.payload))
            case Refusal():
                self._refuse(call, outcome)
            case Silence.RESET:
                self._transport.abort()
            case Silence.FOREVER:
                pass

    def _refuse(self, call: Call | None, refusal: Refusal) -> None:
        self.send(self._envelope.error(call, int(refusal.code), refusal.message, refusal.status))

    # streams

    def _on_stream_call(self, call: Call) -> None:
        rules = self._around.rpc.rules(call.method)
        hindrance = prevented(rules, rule_refusal)
        if hindrance is not None:
            self._answer(call, hindrance)
            return
        try:
            if call.method in (UNSUBSCRIBE_ALL, LIST_STREAMS):
                self._on_list_call(call)
            elif call.streams is None:
                raise ApiError(1003)
            elif call.method == SUBSCRIBE:
                self._subscribe(call, call.streams)
            else:
                self._unsubscribe(call, call.streams)
        except ApiError as error:
            self._refuse(call, refusal_of(error))

    def _subscribe(self, call: Call, wanted: StreamRequest) -> None:
        """Check every selector before any takes effect; the answer goes out before the first frame."""
        selections = [self._selection(wanted.stream, text) for text in wanted.selectors]
        variant = Variant(call.encoding, wanted.is_global)
        done: list[Subscribed] = [self._around.hub.subscribe(self, selection, variant) for selection in selections]
        message: Message = {
            "stream": wanted.stream,
            "subs": [selection.text for selection in selections],
            "unsubs": [outcome.replaced for outcome in done if outcome.replaced],
            "num_snapshots": [outcome.num_snapshots for outcome in done],
            "first_sequence_number": [str(outcome.first) for outcome in done],
            "latest_sequence_number": [str(outcome.latest) for outcome in done],
        }
        self.send(self._envelope.result(call, message))
        for outcome in done:
            for frame in outcome.snapshots:
                self.send(frame)

    def _selection(self, stream: str, text: str) -> Selection:
        selection = read_selector(stream, text, self._around.listing)
        if not selection.stream.is_private:
            return selection
        if self.session is None:
            raise ApiError(1000)
        if not self._around.owns(self.session, selection):
            raise ApiError(1001)
        return selection

    def _unsubscribe(self, call: Call, wanted: StreamRequest) -> None:
        ended = [text for text in wanted.selectors if self._around.hub.unsubscribe(self, wanted.stream, text)]
        self.send(self._envelope.result(call, {"stream": wanted.stream, "unsubs": ended}))

    def _on_list_call(self, call: Call) -> None:
        listed = self._around.hub.subscriptions(self)
        if call.method == UNSUBSCRIBE_ALL:
            self._around.hub.forget(self)
        references = [{"stream": stream, "selectors": texts} for stream, texts in listed.items()]
        self.send(self._envelope.result(call, {"stream_reference": references}))
