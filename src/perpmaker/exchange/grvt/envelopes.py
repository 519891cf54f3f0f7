"""The three WebSocket envelopes (protocol page §10.1, §10.2): JSON-RPC full, JSON-RPC lite, and the legacy one."""

from __future__ import annotations

from typing import Any, Final, Protocol

import msgspec

from perpmaker.exchange.grvt.routes import SCHEMA
from perpmaker.exchange.grvt.schema import Encoding, Malformed, Message, Shape, parse_json, parse_member

SUBSCRIBE, UNSUBSCRIBE = "subscribe", "unsubscribe"
UNSUBSCRIBE_ALL, LIST_STREAMS = "unsubscribe_all", "list_streams"


def _shape(*lines: str) -> Shape:
    return tuple(parse_member(line) for line in lines)


_CALL: Final = _shape("jsonrpc j str?", "method m str", "id i u64?")
_PARAMS: Final = _shape("stream s str", "selectors s1 str[]", "use_global_sequence_number ug bool?")
_LEGACY_CALL: Final = _shape(
    "request_id ri u64?",
    "stream s str?",
    "feed f str[]?",
    "method m str",
    "is_full - bool?",
    "use_global_sequence_number ug bool?",
)
_SUBSCRIBED: Final = _shape(
    "stream s str",
    "subs s1 str[]",
    "unsubs u str[]",
    "num_snapshots ns int[]",
    "first_sequence_number fs u64[]",
    "latest_sequence_number ls u64[]",
)
_UNSUBSCRIBED: Final = _shape("stream s str", "unsubs u str[]")
_REFERENCES: Final = _shape("stream_reference sr StreamReference[]")
RESULTS: Final = {
    SUBSCRIBE: _SUBSCRIBED,
    UNSUBSCRIBE: _UNSUBSCRIBED,
    UNSUBSCRIBE_ALL: _REFERENCES,
    LIST_STREAMS: _REFERENCES,
}
"""What each stream method answers. The page knows the last two, but not their names: those are a guess."""


class StreamRequest(msgspec.Struct, frozen=True):
    """A subscription or its end."""

    stream: str
    selectors: tuple[str, ...]
    is_global: bool = False


class Call(msgspec.Struct, frozen=True):
    """One request of a socket, out of its envelope. `params` is the wire form of an RPC's body."""

    method: str
    call_id: int
    encoding: Encoding
    params: Any = None
    streams: StreamRequest | None = None
    """What a subscription is about; None when it does not say so properly."""


class Envelope(Protocol):
    def read(self, text: str) -> Call:
        """Take a request out of its envelope; raise Malformed."""
        ...

    def result(self, call: Call, message: Message) -> bytes:
        """Answer a stream method; `message` has full names."""
        ...

    def payload(self, call: Call, payload: Any) -> bytes:
        """Answer an RPC; `payload` has the names of its encoding."""
        ...

    def error(self, call: Call | None, code: int, text: str, status: int) -> bytes:
        """Answer with an error; without a call when the text could not be read."""
        ...


class JsonRpc:
    """JSON-RPC 2.0, with full or lite keys."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        is_full = encoding is Encoding.FULL
        self._params = "params" if is_full else "p"
        self._version, self._method, self._id = ("jsonrpc", "method", "id") if is_full else ("j", "m", "i")
        self._result, self._error = ("result", "error") if is_full else ("r", "e")
        self._code, self._message = ("code", "message") if is_full else ("c", "m")

    def read(self, text: str) -> Call:
        wire = parse_json(text)
        head = SCHEMA.from_wire(_CALL, wire, self._encoding, "call")
        params = wire.get(self._params)
        streams = self._streams(params) if head["method"] in (SUBSCRIBE, UNSUBSCRIBE) else None
        return Call(head["method"], head.get("id", 0), self._encoding, {} if params is None else params, streams)

    def _streams(self, params: Any) -> StreamRequest | None:
        try:
            wanted = SCHEMA.from_wire(_PARAMS, params, self._encoding, "params")
        except Malformed:
            return None
        is_global = wanted.get("use_global_sequence_number", False)
        return StreamRequest(wanted["stream"], tuple(wanted["selectors"]), is_global)

    def result(self, call: Call, message: Message) -> bytes:
        return self._reply(call, self._result, SCHEMA.to_wire(RESULTS[call.method], message, self._encoding))

    def payload(self, call: Call, payload: Any) -> bytes:
        return self._reply(call, self._result, payload)

    def error(self, call: Call | None, code: int, text: str, status: int) -> bytes:
        return self._reply(call, self._error, {self._code: code, self._message: text})

    def _reply(self, call: Call | None, member: str, value: Any) -> bytes:
        reply: Message = {self._version: "2.0", member: value}
        if call is not None:
            if call.call_id:
                reply[self._id] = call.call_id
            reply[self._method] = call.method
        return msgspec.json.encode(reply)


class Legacy:
    """The old envelope of `/ws`: streams only; full when the request says `is_full`, else lite."""

    def read(self, text: str) -> Call:
        wire = parse_json(text)
        if not isinstance(wire, dict):
            raise Malformed("call is not an object")
        keys = Encoding.FULL if "method" in wire else Encoding.LITE
        head = SCHEMA.from_wire(_LEGACY_CALL, wire, keys, "call")
        encoding = Encoding.FULL if head.get("is_full", False) else Encoding.LITE
        streams = None
        if head["method"] not in RESULTS:
            raise Malformed("the legacy envelope carries no RPCs")
        if "stream" in head and "feed" in head:
            is_global = head.get("use_global_sequence_number", False)
            streams = StreamRequest(head["stream"], tuple(head["feed"]), is_global)
        return Call(head["method"], head.get("request_id", 0), encoding, None, streams)

    def result(self, call: Call, message: Message) -> bytes:
        answer = {("request_id" if call.encoding is Encoding.FULL else "ri"): call.call_id} if call.call_id else {}
        return msgspec.json.encode(answer | SCHEMA.to_wire(RESULTS[call.method], message, call.encoding))

    def payload(self, call: Call, payload: Any) -> bytes:
        return msgspec.json.encode(payload)

    def error(self, call: Call | None, code: int, text: str, status: int) -> bytes:
        if call is None or call.encoding is Encoding.FULL:
            return msgspec.json.encode({"code": code, "message": text, "status": status})
        return msgspec.json.encode({"c": code, "m": text, "s": status})
