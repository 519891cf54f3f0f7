"""The control port: the exchange's own books, and the levers a test pulls. Loopback only, and no part of the venue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any, Final, Protocol, TypeVar

import msgspec
from aiohttp import web

from perpmaker.exchange.core.amounts import to_nano, whole_steps
from perpmaker.exchange.core.pieces import joined, object_pieces
from perpmaker.exchange.core.types import InstrumentMode, OrderRejectReason
from perpmaker.exchange.core.venue import Venue
from perpmaker.exchange.faults import FRAME_ACTIONS, GRVT, REQUEST_ACTIONS, Faults, FaultSpec
from perpmaker.exchange.rates import Budget

_RATE_STEP_NANO: Final = 100_000
"""A ten-thousandth of a percent, the finest funding rate."""
_SENT_AT_ONCE: Final = 1 << 16
"""Bytes of a ledger."""

T = TypeVar("T")


class Levers(Protocol):
    """What a fault does besides spoiling requests and frames; done by the protocol face."""

    @property
    def ops(self) -> frozenset[str]:
        """What a fault rule may name as `op`."""
        ...

    @property
    def streams(self) -> frozenset[str]:
        """What a fault rule may name as `stream`."""
        ...

    async def close_sockets(self, which: str, *, abort: bool) -> int: ...

    def expire_sessions(self, sub_account_id: int | None) -> int: ...

    def reset_sequences(self) -> None: ...

    def rate_limits(self) -> dict[str, Budget]: ...

    def set_rate_limit(self, kind: str, budget: Budget) -> None: ...

    def counters(self) -> dict[str, Any]: ...


class Controlled(msgspec.Struct, frozen=True):
    """One venue as the control port sees it."""

    venue: Venue
    faults: Faults
    face: Levers


class OfVenue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an order is about: the first venue unless it says another."""

    venue: str = GRVT


class FundingOrder(OfVenue, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`rate` in percent for the interval; absent: the rate as it stands. Without `instrument` all are settled."""

    instrument: str | None = None
    rate: Decimal | None = None


class MarkOrder(OfVenue, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Hold an instrument's mark at `price`; null lets it follow index and book again."""

    instrument: str
    price: Decimal | None = None


class LimitOrder(OfVenue, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Give a class of routes `rate` requests a second and `burst` at once, per account."""

    kind: str
    rate: float
    burst: float


class MarketEnd(msgspec.Struct, frozen=True):
    """Why a market stands still for good, and since when (UTC ns)."""

    reason: str
    ts_ns: str


class ControlPort:
    """The routes of the control port."""

    def __init__(
        self,
        venues: Mapping[str, Controlled],
        instance_id: str,
        advance: Callable[[], None],
        settle: Callable[[], None],
        ended: Callable[[], Mapping[str, MarketEnd]],
    ) -> None:
        self._venues = venues
        self._first = venues[GRVT]
        self._others = {name: row for name, row in venues.items() if name != GRVT}
        self._instance_id = instance_id
        self._advance = advance
        self._settle = settle
        self._ended = ended

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
        return _json(
            {
                "instance_id": self._instance_id,
                "now_ns": str(self._first.venue.now_ns),
                **_health_of(self._first),
                "ended": self._ended(),
                **self._of_others(_health_of),
            }
        )

    async def _ledger(self, request: web.Request) -> web.StreamResponse:
        """Send the books as they are at this moment, a piece at a time: all fills at once are many megabytes."""
        members = self._first.venue.ledger_pieces()
        others = [(name, object_pieces(row.venue.ledger_pieces().items())) for name, row in self._others.items()]
        if others:
            members["venues"] = object_pieces(others)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for text in joined(object_pieces(members.items()), _SENT_AT_ONCE):
            await response.write(text)
            await asyncio.sleep(0)  # the market and the traders go on meanwhile
        await response.write_eof()
        return response

    async def _pay_funding(self, request: web.Request) -> web.StreamResponse:
        order = await _read(request, FundingOrder)
        venue = self._named(order.venue).venue
        if order.instrument is not None:
            _check_listed(venue, order.instrument)
        rate_cb = None
        if order.rate is not None:
            rate_cb = whole_steps(order.rate, _RATE_STEP_NANO)
            if rate_cb is None:
                raise ValueError(f"rate {order.rate}: a percent with at most four decimals")
        rates = venue.pay_funding(order.instrument, rate_cb)
        return _json({"settled": rates})

    async def _set_mark(self, request: web.Request) -> web.StreamResponse:
        order = await _read(request, MarkOrder)
        venue = self._named(order.venue).venue
        _check_listed(venue, order.instrument)
        if order.price is not None and not order.price > 0:
            raise ValueError(f"price {order.price}: must be above 0")
        venue.set_mark(order.instrument, None if order.price is None else to_nano(order.price))
        return _json({"instrument": order.instrument, "price": order.price})

    async def _report_limits(self, request: web.Request) -> web.StreamResponse:
        return _json(self._named(request.query.get("venue", GRVT)).face.rate_limits())

    async def _set_limit(self, request: web.Request) -> web.StreamResponse:
        order = await _read(request, LimitOrder)
        face = self._named(order.venue).face
        known = face.rate_limits()
        if order.kind not in known:
            raise ValueError(f"kind {order.kind!r}: one of {', '.join(known)}")
        if not (order.rate >= 0 and order.burst >= 0):
            raise ValueError(f"rate {order.rate}, burst {order.burst}: not below 0")
        face.set_rate_limit(order.kind, Budget(order.rate, order.burst))
        return _json(face.rate_limits())

    async def _report_faults(self, request: web.Request) -> web.StreamResponse:
        reports = [row.faults.report(row.venue.now_ns) for row in self._venues.values()]
        rules = sorted((rule for report in reports for rule in report["rules"]), key=lambda rule: int(rule["id"]))
        requests = {"requests": self._first.faults.requests}
        return _json({"rules": rules, **requests, **self._of_others(lambda row: {"requests": row.faults.requests})})

    async def _add_fault(self, request: web.Request) -> web.StreamResponse:
        spec = await _read(request, FaultSpec)
        about = self._named(spec.venue)
        _check_fault(about, spec)
        done = await _act(about, spec) if spec.is_act else {}
        rule = about.faults.add(spec, about.venue.now_ns)
        return _json({"id": rule.number, **done})

    async def _clear_faults(self, request: web.Request) -> web.StreamResponse:
        number = request.match_info.get("number")
        which = None if number is None else int(number)
        removed = sum(row.faults.clear(which) for row in self._venues.values())
        return _json({"removed": removed}, status=200 if removed or number is None else 404)

    def _named(self, name: str) -> Controlled:
        if name not in self._venues:
            raise ValueError(f"venue {name!r}: one of {', '.join(self._venues)}")
        return self._venues[name]

    def _of_others(self, part: Callable[[Controlled], Any]) -> dict[str, Any]:
        """The part of each venue beside the first; nothing when there is none."""
        return {"venues": {name: part(row) for name, row in self._others.items()}} if self._others else {}


def _health_of(row: Controlled) -> dict[str, Any]:
    modes = {listed.name: row.venue.mode(listed.name).name for listed in row.venue.instruments}
    return {"markets": modes, **row.face.counters()}


def _check_fault(about: Controlled, spec: FaultSpec) -> None:
    if spec.match.symbol is not None:
        _check_listed(about.venue, spec.match.symbol)
    what, actions = ("frames", FRAME_ACTIONS) if spec.is_about_frames else ("requests", REQUEST_ACTIONS)
    if not spec.is_act and spec.action not in actions:
        raise ValueError(f"action {spec.action!r}: for {what} one of {', '.join(sorted(actions))}")
    for kind, name, known in (("op", spec.match.op, about.face.ops), ("stream", spec.match.stream, about.face.streams)):
        if name is not None and name != "*" and name not in known:
            raise ValueError(f"{kind} {name!r}: '*' or one of {', '.join(sorted(known))}")
    if spec.action == "mode" and spec.mode not in InstrumentMode.__members__:
        raise ValueError(f"mode {spec.mode!r}: one of {', '.join(InstrumentMode.__members__)}")
    if spec.action == "cancel_orders" and spec.reason not in OrderRejectReason.__members__:
        raise ValueError(f"reason {spec.reason!r}: not a reason of the venue")


def _check_listed(venue: Venue, name: str) -> None:
    if venue.instrument(name) is None:
        raise ValueError(f"instrument {name!r}: one of {', '.join(row.name for row in venue.instruments)}")


async def _act(about: Controlled, spec: FaultSpec) -> dict[str, Any]:
    """Do an act at once; say how much it touched."""
    accounts = about.venue.sub_accounts()
    if spec.match.sub_account_id is not None:
        accounts = [number for number in accounts if str(number) == spec.match.sub_account_id]
    match spec.action:
        case "close":
            return {"closed": await about.face.close_sockets(spec.sockets, abort=spec.abort)}
        case "expire_cookie":
            only = None if spec.match.sub_account_id is None else int(spec.match.sub_account_id)
            return {"expired": about.face.expire_sessions(only)}
        case "reset_sequences":
            about.face.reset_sequences()
        case "fail_over":
            about.face.reset_sequences()
            return {"cancelled": about.venue.fail_over()}
        case "mode":
            for row in about.venue.instruments:
                if spec.match.symbol in (None, row.name):
                    about.venue.set_mode(row.name, InstrumentMode[spec.mode])
        case "cancel_orders":
            reason = OrderRejectReason[spec.reason]
            return {"cancelled": sum(about.venue.cancel_everything(number, reason) for number in accounts)}
    return {}


async def _read(request: web.Request, kind: type[T]) -> T:
    return msgspec.json.decode(await request.read() or b"{}", type=kind)


def _json(payload: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(payload), status=status, content_type="application/json")
