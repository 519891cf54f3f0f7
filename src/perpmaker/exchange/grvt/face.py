"""The GRVT protocol over HTTP and WebSocket: the routes of one aiohttp application, and what stands behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from aiohttp import web

from perpmaker.exchange.accounts import Credentials
from perpmaker.exchange.core.venue import Venue
from perpmaker.exchange.faults import Faults
from perpmaker.exchange.grvt.codes import ApiError
from perpmaker.exchange.grvt.creations import Builder, Creations
from perpmaker.exchange.grvt.envelopes import RESULTS, Envelope, JsonRpc, Legacy
from perpmaker.exchange.grvt.feeds import MarketView
from perpmaker.exchange.grvt.gateway import RpcGateway, refusal_of, rule_refusal
from perpmaker.exchange.grvt.hub import Hub
from perpmaker.exchange.grvt.limits import DEFAULT_BUDGETS, RateLimiter
from perpmaker.exchange.grvt.market_api import MarketApi
from perpmaker.exchange.grvt.routes import ROUTES, SCHEMA
from perpmaker.exchange.grvt.schema import Encoding, Malformed, Message, parse_json, parse_member
from perpmaker.exchange.grvt.sessions import DAY_NS, Session, Sessions
from perpmaker.exchange.grvt.signatures import SignatureVerifier
from perpmaker.exchange.grvt.sockets import Socket, Surroundings
from perpmaker.exchange.grvt.streams import STREAMS, Primary, Selection
from perpmaker.exchange.grvt.trading_api import TradingApi
from perpmaker.exchange.outcomes import Outcome, Refusal, Reply, Silence, altered, prevented
from perpmaker.exchange.rates import Budget
from perpmaker.exchange.serving import SILENCE_S, answering_defects, json_response, later
from perpmaker.model.units import NS_PER_MS

MAX_BODY_BYTES: Final = 4 << 20

_KEY_LOGIN: Final = (parse_member("api_key - str"),)
_WALLET_LOGIN: Final = (parse_member("address - addr"), parse_member("signature - Signature"))

_DEFECTS: Final = answering_defects(
    lambda status: {"code": 1004, "message": "Data Not Found", "status": status},
    {"code": 1002, "message": "Internal Server Error", "status": 500},
)


class FaceOptions(msgspec.Struct, frozen=True):
    """What can be chosen about the protocol face."""

    chain_id: int | None = None
    """None: signatures for any of the venue's chains."""
    session_life_ns: int = DAY_NS
    budgets: Mapping[str, Budget] = msgspec.field(default_factory=lambda: DEFAULT_BUDGETS)


class GrvtFace:
    """Everything GRVT about the exchange. `advance` brings the venue to the present, `settle` sends what happened."""

    ops = frozenset({route.name for route in ROUTES.values()} | {"login", "time", "ws", *RESULTS})
    streams = frozenset(STREAMS)

    def __init__(
        self,
        venue: Venue,
        credentials: Sequence[Credentials],
        faults: Faults,
        options: FaceOptions,
        advance: Callable[[], None],
        settle: Callable[[], None],
        on_builder: Callable[[str, Builder], None],
    ) -> None:
        self._venue = venue
        self._advance = advance
        verifier = SignatureVerifier(options.chain_id)
        self.sessions = Sessions(credentials, verifier, life_ns=options.session_life_ns)
        view = MarketView(venue)
        self.trading = TradingApi(venue, verifier, Creations(venue, verifier, credentials), on_builder)
        self.hub = Hub(venue, view, faults, later)
        self._limiter = RateLimiter(options.budgets)
        self._rpc = RpcGateway(venue, MarketApi(venue, view), self.trading, self._limiter, faults, advance, settle)
        self.around = Surroundings(self.hub, self._rpc, venue.instrument, self._owns)

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_DEFECTS])
        app.router.add_post("/auth/api_key/login", self._log_in_by_key)
        app.router.add_post("/auth/wallet/login", self._log_in_by_wallet)
        app.router.add_post("/{encoding:full|lite}/{path:v\\d+/\\w+}", self._call)
        app.router.add_get("/time", self._time)
        app.router.add_get("/ws/full", self._socket_of(JsonRpc(Encoding.FULL)))
        app.router.add_get("/ws/lite", self._socket_of(JsonRpc(Encoding.LITE)))
        app.router.add_get("/ws", self._socket_of(Legacy()))
        return app

    # levers of the control port

    async def close_sockets(self, which: str, *, abort: bool) -> int:
        return await self.around.close_all(which=which, abort=abort)

    def expire_sessions(self, sub_account_id: int | None) -> int:
        return self.sessions.expire(sub_account_id)

    def reset_sequences(self) -> None:
        self.hub.reset_sequences()

    def rate_limits(self) -> dict[str, Budget]:
        return self._limiter.budgets()

    def set_rate_limit(self, kind: str, budget: Budget) -> None:
        self._limiter.set_budget(kind, budget)

    def counters(self) -> Message:
        return {"sockets": len(self.around.sockets), "frames_sent": self.hub.frames_sent}

    # within

    def _owns(self, session: Session, selection: Selection) -> bool:
        if selection.stream.primary is Primary.MAIN_ACCOUNT:
            return selection.main_account == session.main_account
        return selection.sub_account_id in self._venue.sub_accounts(session.main_account)

    # REST

    async def _call(self, request: web.Request) -> web.StreamResponse:
        encoding = Encoding(request.match_info["encoding"])
        try:
            wire = await _json_body(request)
            session = self._session(request)
        except Malformed:
            return await self._respond(request, refusal_of(ApiError(1003)), encoding)
        except ApiError as error:
            return await self._respond(request, refusal_of(error), encoding)
        outcome = await self._rpc.perform(request.match_info["path"], wire, encoding, session)
        return await self._respond(request, outcome, encoding)

    async def _time(self, request: web.Request) -> web.StreamResponse:
        self._advance()
        rules = self._rpc.rules("time")
        reply = Reply({"server_time": self._venue.now_ns // NS_PER_MS})
        outcome = prevented(rules, rule_refusal) or altered(reply, rules, rule_refusal)
        return await self._respond(request, outcome, Encoding.FULL)

    async def _respond(self, request: web.Request, outcome: Outcome, encoding: Encoding) -> web.StreamResponse:
        match outcome:
            case Reply():
                return json_response(outcome.payload, outcome.status)
            case Refusal(code=code, message=message, status=status):
                full = encoding is Encoding.FULL
                names = ("code", "message", "status") if full else ("c", "m", "s")
                return json_response(dict(zip(names, (code, message, status), strict=True)), status)
            case Silence.FOREVER:
                await asyncio.sleep(SILENCE_S)
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=503)

    # logins

    async def _log_in_by_key(self, request: web.Request) -> web.StreamResponse:
        return await self._log_in(
            request, lambda body, now_ns: self.sessions.log_in_by_key(_login(_KEY_LOGIN, body)["api_key"], now_ns)
        )

    async def _log_in_by_wallet(self, request: web.Request) -> web.StreamResponse:
        def log_in(body: Any, now_ns: int) -> Session:
            message = _login(_WALLET_LOGIN, body)
            return self.sessions.log_in_by_wallet(message["address"], message["signature"], now_ns)

        return await self._log_in(request, log_in)

    async def _log_in(self, request: web.Request, log_in: Callable[[Any, int], Session]) -> web.StreamResponse:
        self._advance()
        rules = self._rpc.rules("login")
        for rule in rules:
            if rule.action == "delay":
                await asyncio.sleep((rule.request_ms + rule.response_ms) / 1000)
        hindrance = prevented(rules, rule_refusal)
        if hindrance is not None:
            return await self._respond(request, hindrance, Encoding.FULL)
        try:
            session = log_in(await _json_body(request), self._venue.now_ns)
        except Malformed:
            return await self._respond(request, refusal_of(ApiError(1003)), Encoding.FULL)
        except ApiError as error:
            return await self._respond(request, Refusal(error.code, error.message, 401), Encoding.FULL)
        reply = Reply(session.reply())
        outcome = altered(reply, rules, rule_refusal)
        response = await self._respond(request, outcome, Encoding.FULL)
        if outcome is reply:
            response.headers["Set-Cookie"] = session.set_cookie()
            response.headers["X-Grvt-Account-Id"] = session.account_id
        return response

    def _session(self, request: web.Request) -> Session | None:
        account_id = request.headers.get("X-Grvt-Account-Id") or request.query.get("x_grvt_account_id", "")
        return self.sessions.find(request.headers.get("Cookie", ""), account_id, self._venue.now_ns)

    # sockets

    def _socket_of(self, envelope: Envelope) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def connect(request: web.Request) -> web.StreamResponse:
            self._advance()
            try:
                session = self._session(request)
            except ApiError as error:
                return await self._respond(request, refusal_of(error), Encoding.FULL)
            hindrance = prevented(self._rpc.rules("ws"), rule_refusal)
            if hindrance is not None:
                return await self._respond(request, hindrance, Encoding.FULL)
            ws = web.WebSocketResponse(compress=False, max_msg_size=MAX_BODY_BYTES, timeout=1.0)
            await ws.prepare(request)
            if request.transport is not None:
                await Socket(ws, request.transport, envelope, session, self.around).serve()
            return ws

        return connect


async def _json_body(request: web.Request) -> Any:
    """The parsed body. The venue answers 1003 to a body that is not announced as JSON, and to one that is no object.

    `null` is an object without members: so the official client for JavaScript asks for what needs none.
    """
    if request.content_type != "application/json":
        raise Malformed("not application/json")
    body = parse_json(await request.read())
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise Malformed("body is not an object")
    return body


def _login(shape: tuple[Any, ...], body: Any) -> Message:
    return SCHEMA.from_wire(shape, body, Encoding.FULL)
