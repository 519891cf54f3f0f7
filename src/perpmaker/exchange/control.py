"""The control port: the exchange's own books, and the levers a test pulls. Loopback only, and no part of the venue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Final, Protocol, TypeVar

import msgspec
from aiohttp import web

from perpmaker.exchange.core.amounts import to_nano, whole_steps
from perpmaker.exchange.core.types import InstrumentMode, OrderRejectReason
from perpmaker.exchange.core.venue import Venue
from perpmaker.exchange.faults import FRAME_ACTIONS, REQUEST_ACTIONS, Faults, FaultSpec
from perpmaker.exchange.grvt.envelopes import RESULTS
from perpmaker.exchange.grvt.routes import ROUTES
from perpmaker.exchange.grvt.streams import STREAMS
from perpmaker.exchange.rates import Budget

_RATE_STEP_NANO: Final = 100_000
"""A ten-thousandth of a percent, the finest funding rate."""

OPS: Final = {route.name for route in ROUTES.values()} | {"login", "time", "ws", *RESULTS}
"""What a fault rule may name as `op`."""

T = TypeVar("T")


class Levers(Protocol):
    """What a fault does besides spoiling requests and frames; done by the protocol face."""

    async def close_sockets(self, which: str, *, abort: bool) -> int: ...

    def expire_sessions(self, sub_account_id: int | None) -> int: ...

    def reset_sequences(self) -> None: ...

    def rate_limits(self) -> dict[str, Budget]: ...

    def set_rate_limit(self, kind: str, budget: Budget) -> None: ...

    def counters(self) -> dict[str, Any]: ...


class FundingOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`rate` in percent for the interval; absent: the rate as it stands. Without `instrument` all are settled."""

    instrument: str | None = None
    rate: Decimal | None = None


class MarkOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold an instrument's mark at `price`; null lets it follow index and book again."""

    instrument: str
    price: Decimal | None = None


class LimitOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Give a class of routes `rate` requests a second and `burst` at once, per account."""

    kind: str
    rate: float
    burst: float


class ControlPort:
    """The routes of the control port."""

    def __init__(
        self,
        venue: Venue,
        faults: Faults,
        levers: Levers,
        instance_id: str,
        advance: Callable[[], None],
        settle: Callable[[], None],
    ) -> None:
        self._venue = venue
        self._faults = faults
        self._levers = levers
        self._instance_id = instance_id
        self._advance = advance
        self._settle = settle

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._in_the_present])
        app.router.add_get("/health", self._health)
        app.router.add_get("/ledger", self._ledger)
        app.router.add_post("/funding", self._pay_funding)
        app.router.add_post("/mark", self._set_mark)
        app.router.add_get("/limits", self._report_limits)
        app.router.add_post("/limits", self._set_limit)
        app.router.add_get("/faults", self._report_faults)
        app.router.add_post("/faults", self._add_fault)
        app.router.add_delete("/faults", self._clear_faults)
        app.router.add_delete("/faults/{number:\\d+}", self._clear_faults)
        return app

    @web.middleware
    async def _in_the_present(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Bring the venue up to date before each request, and tell what it did after; name what is wrong with one."""
        self._advance()
        try:
            return await handler(request)
        except (msgspec.DecodeError, ValueError, LookupError) as error:
            return _json({"error": str(error)}, status=400)
        finally:
            self._settle()

    async def _health(self, request: web.Request) -> web.StreamResponse:
        venue = self._venue
        return _json(
            {
                "instance_id": self._instance_id,
                "now_ns": str(venue.now_ns),
                "markets": {row.name: venue.mode(row.name).name for row in venue.instruments},
                **self._levers.counters(),
            }
        )

    async def _ledger(self, request: web.Request) -> web.StreamResponse:
        return _json(self._venue.ledger())

    async def _pay_funding(self, request: web.Request) -> web.StreamResponse:
        order = await _read(request, FundingOrder)
        if order.instrument is not None:
            self._check_listed(order.instrument)
        rate_cb = None
        if order.rate is not None:
            rate_cb = whole_steps(order.rate, _RATE_STEP_NANO)
            if rate_cb is None:
                raise ValueError(f"rate {order.rate}: a percent with at most four decimals")
        rates = self._venue.pay_funding(order.instrument, rate_cb)
        return _json({"settled": rates})

    async def _set_mark(self, request: web.Request) -> web.StreamResponse:
        order = await _read(request, MarkOrder)
        self._check_listed(order.instrument)
        if order.price is not None and not order.price > 0:
            raise ValueError(f"price {order.price}: must be above 0")
        self._venue.set_mark(order.instrument, None if order.price is None else to_nano(order.price))
        return _json({"instrument": order.instrument, "price": order.price})

    async def _report_limits(self, request: web.Request) -> web.StreamResponse:
        return _json(self._levers.rate_limits())

    async def _set_limit(self, request: web.Request) -> web.StreamResponse:
        order = await _read(request, LimitOrder)
        known = self._levers.rate_limits()
        if order.kind not in known:
            raise ValueError(f"kind {order.kind!r}: one of {', '.join(known)}")
        if not (order.rate >= 0 and order.burst >= 0):
            raise ValueError(f"rate {order.rate}, burst {order.burst}: not below 0")
        self._levers.set_rate_limit(order.kind, Budget(order.rate, order.burst))
        return _json(self._levers.rate_limits())

    async def _report_faults(self, request: web.Request) -> web.StreamResponse:
        return _json(self._faults.report(self._venue.now_ns))

    async def _add_fault(self, request: web.Request) -> web.StreamResponse:
        spec = await _read(request, FaultSpec)
        self._check_fault(spec)
        rule = self._faults.add(spec, self._venue.now_ns)
        done = await self._act(spec) if spec.is_act else {}
        return _json({"id": rule.number, **done})

    async def _clear_faults(self, request: web.Request) -> web.StreamResponse:
        number = request.match_info.get("number")
        removed = self._faults.clear(None if number is None else int(number))
        return _json({"removed": removed}, status=200 if removed or number is None else 404)

    def _check_fault(self, spec: FaultSpec) -> None:
        if spec.match.symbol is not None:
            self._check_listed(spec.match.symbol)
        about, actions = ("frames", FRAME_ACTIONS) if spec.is_about_frames else ("requests", REQUEST_ACTIONS)
        if not spec.is_act and spec.action not in actions:
            raise ValueError(f"action {spec.action!r}: for {about} one of {', '.join(sorted(actions))}")
        for kind, name, known in (("op", spec.match.op, OPS), ("stream", spec.match.stream, STREAMS)):
            if name is not None and name != "*" and name not in known:
                raise ValueError(f"{kind} {name!r}: '*' or one of {', '.join(sorted(known))}")
        if spec.action == "mode" and spec.mode not in InstrumentMode.__members__:
            raise ValueError(f"mode {spec.mode!r}: one of {', '.join(InstrumentMode.__members__)}")
        if spec.action == "cancel_orders" and spec.reason not in OrderRejectReason.__members__:
            raise ValueError(f"reason {spec.reason!r}: not a reason of the venue")

    def _check_listed(self, name: str) -> None:
        if self._venue.instrument(name) is None:
            raise ValueError(f"instrument {name!r}: one of {', '.join(row.name for row in self._venue.instruments)}")

    async def _act(self, spec: FaultSpec) -> dict[str, Any]:
        """Do an act at once; say how much it touched."""
        accounts = self._venue.sub_accounts()
        if spec.match.sub_account_id is not None:
            accounts = [number for number in accounts if str(number) == spec.match.sub_account_id]
        match spec.action:
            case "close":
                return {"closed": await self._levers.close_sockets(spec.sockets, abort=spec.abort)}
            case "expire_cookie":
                only = None if spec.match.sub_account_id is None else int(spec.match.sub_account_id)
                return {"expired": self._levers.expire_sessions(only)}
            case "reset_sequences":
                self._levers.reset_sequences()
            case "fail_over":
                self._levers.reset_sequences()
                return {"cancelled": self._venue.fail_over()}
            case "mode":
                for row in self._venue.instruments:
                    if spec.match.symbol in (None, row.name):
                        self._venue.set_mode(row.name, InstrumentMode[spec.mode])
            case "cancel_orders":
                reason = OrderRejectReason[spec.reason]
                return {"cancelled": sum(self._venue.cancel_everything(number, reason) for number in accounts)}
        return {}


async def _read(request: web.Request, kind: type[T]) -> T:
    return msgspec.json.decode(await request.read() or b"{}", type=kind)


def _json(payload: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(payload), status=status, content_type="application/json")
