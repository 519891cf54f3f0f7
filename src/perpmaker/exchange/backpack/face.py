"""The Backpack protocol over HTTP and WebSocket: the routes of one aiohttp application, and what stands behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from aiohttp import web

from perpmaker.exchange.backpack.codes import CODES, ApiError
from perpmaker.exchange.backpack.feeds import Sequences
from perpmaker.exchange.backpack.hub import Hub, crossed, is_price
from perpmaker.exchange.backpack.market_api import MarketApi
from perpmaker.exchange.backpack.requests import Params, read_body
from perpmaker.exchange.backpack.routes import OPS, ROUTES, Route
from perpmaker.exchange.backpack.signing import Credentials, Proof, Verifier
from perpmaker.exchange.backpack.sockets import Socket, Surroundings
from perpmaker.exchange.backpack.streams import STREAMS
from perpmaker.exchange.backpack.trading_api import TradingApi
from perpmaker.exchange.core.venue import Venue
from perpmaker.exchange.faults import Faults, FaultSpec
from perpmaker.exchange.outcomes import Outcome, Refusal, Reply, Silence, altered, prevented, waits_ms
from perpmaker.exchange.rates import Buckets, Budget
from perpmaker.exchange.serving import SILENCE_S, answering_defects, json_response, later
from perpmaker.exchange.spoiling import SPOILERS, spoiled

MAX_BODY_BYTES: Final = 1 << 20
EVERYTHING: Final = "requests"
BUDGETS: Final = {EVERYTHING: Budget(2_000 / 60, 2_000)}
"""2,000 requests a minute for everything (protocol page §6), per key; public requests without one share a bucket."""
PUBLIC: Final = "public"

Body = Params | list[Params]

_DEFECTS: Final = answering_defects(
    lambda _: {"code": "RESOURCE_NOT_FOUND", "message": "No such route"},
    {"code": "SERVER_ERROR", "message": "Internal error"},
)


class BackpackFace:
    """Everything Backpack about the exchange. `advance` brings it to the present, `settle` sends what happened."""

    ops = OPS
    streams = STREAMS

    def __init__(
        self,
        venue: Venue,
        credentials: Sequence[Credentials],
        faults: Faults,
        advance: Callable[[], None],
        settle: Callable[[], None],
    ) -> None:
        self._venue = venue
        self._faults = faults
        self._advance = advance
        self._settle = settle
        self._verifier = Verifier(credentials)
        self._limits = Buckets(BUDGETS)
        self._sequences = Sequences(venue)
        self._market = MarketApi(venue, self._sequences.number)
        self._trading = TradingApi(venue)
        self.hub = Hub(venue, self._sequences, faults, later)
        self.around = Surroundings(self.hub, venue.instrument, self._subscriber, self._prevented)

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_DEFECTS])
        for route in ROUTES:
            app.router.add_route(route.method, route.path, self._handler(route))
        app.router.add_get("/", self._connect)
        return app

    # levers of the control port

    async def close_sockets(self, which: str, *, abort: bool) -> int:
        return await self.around.close_all(which=which, abort=abort)

    def expire_sessions(self, sub_account_id: int | None) -> int:
        raise ValueError("expire_cookie: this venue has no sessions; every request is signed")

    def reset_sequences(self) -> None:
        self._sequences.reset()

    def rate_limits(self) -> dict[str, Budget]:
        return self._limits.budgets()

    def set_rate_limit(self, kind: str, budget: Budget) -> None:
        self._limits.set_budget(kind, budget)

    def counters(self) -> dict[str, Any]:
        return {"sockets": len(self.around.sockets), "frames_sent": self.hub.frames_sent}

    # REST

    def _handler(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            raw = await request.read()
            return await _respond(request, await self._perform(route, request, raw))

        return handle

    async def _perform(self, route: Route, request: web.Request, raw: bytes) -> Outcome:
        self._advance()
        try:
            body = Params.of_query(request.query_string) if route.method == "GET" else read_body(raw)
        except ApiError as error:
            return refusal_of(error)
        rules = self._rules(route.op, symbol=_symbol(body))
        request_ms, response_ms = waits_ms(rules)
        if request_ms:
            await asyncio.sleep(request_ms / 1000)
        outcome = prevented(rules, rule_refusal)
        if outcome is None:
            outcome = self._execute(route, Proof.of_headers(request.headers), body, rules)
        outcome = altered(outcome, rules, rule_refusal)
        if response_ms:
            await asyncio.sleep(response_ms / 1000)
        return outcome

    def _execute(self, route: Route, proof: Proof, body: Body, rules: list[FaultSpec]) -> Outcome:
        self._advance()
        try:
            return self._answer(route, proof, body, rules)
        except ApiError as error:
            return refusal_of(error)
        finally:
            self._settle()

    def _answer(self, route: Route, proof: Proof, body: Body, rules: list[FaultSpec]) -> Reply:
        now_ns = self._venue.now_ns
        if not route.instruction:
            self._take_token(PUBLIC)
            payload = getattr(self._market, route.name)(body)
        else:
            orders = [row.pairs() for row in body] if isinstance(body, list) else [body.pairs()]
            account_id = self._verifier.account(proof, route.instruction, orders, now_ns).account_id
            self._take_token(proof.api_key)
            if not route.served:
                raise ApiError("NOT_IMPLEMENTED", f"{route.instruction} is not served by this exchange")
            if isinstance(body, list) != (route.op == "orderExecuteBatch"):
                raise ApiError("INVALID_CLIENT_REQUEST", "A batch is a list of orders, any other body an object")
            defer_ms = max((rule.ms for rule in rules if rule.action == "defer"), default=0)
            if defer_ms and isinstance(body, Params) and route.op == "orderCancel":
                return self._cancel_later(body, account_id, defer_ms)
            payload = getattr(self._trading, route.name)(body, account_id)
        if any(rule.action in SPOILERS for rule in rules):
            payload = spoiled(payload, rules, lambda book: crossed(book, self._venue, _symbol(body)), is_price)
        return Reply(payload)

    def _cancel_later(self, params: Params, account_id: int, ms: int) -> Reply:
        """Accept a cancel and carry it out later: 202, with the order as it still is [guess]."""
        payload = self._trading.order_query(params, account_id)

        def run() -> None:
            self._advance()
            try:
                self._trading.order_cancel(params, account_id)
            except ApiError:
                return  # the order is gone by then: that is the case this fault makes
            finally:
                self._settle()

        later(ms, run)
        return Reply(payload, 202)

    def _take_token(self, account: str) -> None:
        if not self._limits.took(account, EVERYTHING, self._venue.now_ns):
            raise ApiError("TOO_MANY_REQUESTS")

    def _rules(self, op: str, *, symbol: str = "") -> list[FaultSpec]:
        """Count a request and return the fault rules that act on it."""
        return self._faults.on_request(op, self._venue.now_ns, symbol=symbol)

    # sockets

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        self._advance()
        hindrance = self._prevented("ws")
        if hindrance is not None:
            return await _respond(request, hindrance)
        ws = web.WebSocketResponse(compress=False, max_msg_size=MAX_BODY_BYTES, timeout=1.0)
        if not ws.can_prepare(request):
            return json_response({"code": "RESOURCE_NOT_FOUND", "message": "A WebSocket is served here"}, 404)
        await ws.prepare(request)
        if request.transport is not None:
            await Socket(ws, request.transport, self.around).serve()
        return ws

    def _prevented(self, op: str) -> Outcome | None:
        return prevented(self._rules(op), rule_refusal)

    def _subscriber(self, proof: Proof) -> int:
        self._advance()
        return self._verifier.account(proof, "subscribe", [[]], self._venue.now_ns).account_id


def refusal_of(error: ApiError) -> Refusal:
    return Refusal(error.code, error.message, error.status)


def rule_refusal(rule: FaultSpec) -> Refusal:
    """What an `http` or `burst_429` rule answers."""
    if rule.action == "burst_429":
        return refusal_of(ApiError("TOO_MANY_REQUESTS"))
    return refusal_of(ApiError(rule.code if isinstance(rule.code, str) and rule.code in CODES else "SERVER_ERROR"))


async def _respond(request: web.Request, outcome: Outcome) -> web.StreamResponse:
    match outcome:
        case Reply(payload=str() as text, status=status):
            return web.Response(text=text, status=status)
        case Reply(payload=None, status=status):
            return web.Response(status=status)
        case Reply(payload=payload, status=status):
            return json_response(payload, status)
        case Refusal(code=code, message=message, status=status):
            return json_response({"code": code, "message": message}, status)
        case Silence.FOREVER:
            await asyncio.sleep(SILENCE_S)
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)


def _symbol(body: Body) -> str:
    """The market that fault rules may match."""
    params = body[0] if isinstance(body, list) else body
    try:
        return params.text("symbol")
    except ApiError:
        return ""
