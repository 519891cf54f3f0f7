"""Carries one RPC through: session, rate limit, fault rules, the call itself. REST and WebSocket share it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from perpmaker.exchange.core.venue import Venue
from perpmaker.exchange.faults import Faults, FaultSpec
from perpmaker.exchange.grvt.codes import ApiError
from perpmaker.exchange.grvt.frames import spoiled
from perpmaker.exchange.grvt.hub import crossing_bid
from perpmaker.exchange.grvt.limits import CLASSES, RateLimiter
from perpmaker.exchange.grvt.market_api import MarketApi
from perpmaker.exchange.grvt.routes import ROUTES, SCHEMA, Gateway, Route
from perpmaker.exchange.grvt.schema import Encoding, Malformed, Message
from perpmaker.exchange.grvt.sessions import Session
from perpmaker.exchange.grvt.trading_api import ACK, TradingApi
from perpmaker.exchange.outcomes import Outcome, Refusal, Reply, altered, prevented, waits_ms
from perpmaker.exchange.spoiling import SPOILERS

PUBLIC: Final = "public"
"""Whose bucket requests without a session take from."""


class RpcGateway:
    """Performs RPCs. `advance` brings the venue to the present; `settle` sends what happened, after the answer."""

    def __init__(
        self,
        venue: Venue,
        market: MarketApi,
        trading: TradingApi,
        limiter: RateLimiter,
        faults: Faults,
        advance: Callable[[], None],
        settle: Callable[[], None],
    ) -> None:
        self._venue = venue
        self._trading = trading
        self._limiter = limiter
        self._faults = faults
        self._advance = advance
        self._settle = settle
        served = [route for route in ROUTES.values() if route.served]
        self._market_methods: dict[str, Callable[[Message], Message]] = {
            route.name: getattr(market, route.name) for route in served if route.gateway is Gateway.MARKET
        }
        self._trading_methods: dict[str, Callable[[Message, Session], Message]] = {
            route.name: getattr(trading, route.name) for route in served if route.gateway is Gateway.TRADING
        }

    async def perform(self, path: str, wire: Any, encoding: Encoding, session: Session | None) -> Outcome:
        """Perform the RPC named by `path` ("v1/create_order") with a parsed body."""
        route = ROUTES.get(path)
        if route is None:
            return refusal_of(ApiError(1004))
        rules = self.rules(route.name, **_subject(wire, encoding))
        request_ms, response_ms = waits_ms(rules)
        if request_ms:
            await asyncio.sleep(request_ms / 1000)
        outcome = prevented(rules, rule_refusal)
        if outcome is None:
            outcome = self._execute(route, wire, encoding, session, rules)
        outcome = altered(outcome, rules, rule_refusal)
        if response_ms:
            await asyncio.sleep(response_ms / 1000)
        return outcome

    def rules(self, op: str, *, symbol: str = "", sub_account_id: str = "") -> list[FaultSpec]:
        """Count a request and return the fault rules that act on it."""
        return self._faults.on_request(op, self._venue.now_ns, symbol=symbol, sub_account_id=sub_account_id)

    def _execute(
        self, route: Route, wire: Any, encoding: Encoding, session: Session | None, rules: list[FaultSpec]
    ) -> Outcome:
        self._advance()
        try:
            return self._answer(route, wire, encoding, session, rules)
        except ApiError as error:
            return refusal_of(error)
        except Malformed:
            return refusal_of(ApiError(1003))
        finally:
            self._settle()

    def _answer(
        self, route: Route, wire: Any, encoding: Encoding, session: Session | None, rules: list[FaultSpec]
    ) -> Reply:
        if route.gateway is Gateway.TRADING and session is None:
            raise ApiError(1000)
        if not route.served:
            raise ApiError(1001)
        request = SCHEMA.from_wire(route.request, wire, encoding)
        self._take_tokens(route, request, session)
        message = self._call(route, request, session, rules)
        if any(rule.action in SPOILERS for rule in rules):
            message = spoiled(message, rules, lambda: crossing_bid(self._venue, request.get("instrument", "")))
        return Reply(SCHEMA.to_wire(route.reply, message, encoding))

    def _call(self, route: Route, request: Message, session: Session | None, rules: list[FaultSpec]) -> Message:
        if session is None or route.gateway is Gateway.MARKET:
            return self._market_methods[route.name](request)
        method = self._trading_methods[route.name]
        defer_ms = max((rule.ms for rule in rules if rule.action == "defer"), default=0)
        if defer_ms and route.name.startswith("cancel"):
            self._later(defer_ms, lambda: method(request, session))
            return ACK
        if route.name == "cancel_all_orders" and any(rule.action == "miss_pending" for rule in rules):
            return self._trading.cancel_all_orders(request, session, miss_pending=True)
        return method(request, session)

    def _later(self, ms: int, call: Callable[[], Message]) -> None:
        def run() -> None:
            self._advance()
            try:
                call()
            except ApiError:
                return  # the order is gone by then: that is the case this fault makes
            finally:
                self._settle()

        asyncio.get_running_loop().call_later(ms / 1000, run)

    def _take_tokens(self, route: Route, request: Message, session: Session | None) -> None:
        account = PUBLIC if session is None else session.account_id
        default = "market" if route.gateway is Gateway.MARKET else "account"
        now_ns = self._venue.now_ns
        if route.name == "bulk_orders" and request.get("orders"):
            self._limiter.take(account, "create", now_ns, len(request["orders"]))
        self._limiter.take(account, CLASSES.get(route.path, default), now_ns)


def refusal_of(error: ApiError) -> Refusal:
    return Refusal(error.code, error.message, error.status)


def rule_refusal(rule: FaultSpec) -> Refusal:
    """What an `http` or `burst_429` rule answers."""
    return refusal_of(ApiError(1006 if rule.action == "burst_429" else int(rule.code)))


def _subject(wire: Any, encoding: Encoding) -> dict[str, str]:
    """What fault rules may match of a request: instrument and sub-account, as far as it says them."""
    full = encoding is Encoding.FULL
    body = wire if isinstance(wire, dict) else {}
    orders = body.get("orders" if full else "o")
    order = body.get("order" if full else "o") if not isinstance(orders, list) else (orders or [{}])[0]
    order = order if isinstance(order, dict) else {}
    legs = order.get("legs" if full else "l")
    leg = legs[0] if isinstance(legs, list) and legs and isinstance(legs[0], dict) else {}
    instrument, account = ("instrument", "sub_account_id") if full else ("i", "sa")
    return {
        "symbol": str(body.get(instrument) or leg.get(instrument) or ""),
        "sub_account_id": str(body.get(account) or order.get(account) or ""),
    }
