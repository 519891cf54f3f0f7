"""GRVT over HTTP: one POST per call, typed both ways, errors as values or exceptions, pages read to their end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final, TypeVar

import aiohttp
import msgspec
from yarl import URL

from perpmaker.clock import Clock
from perpmaker.errors import AuthError, DataError, InvariantError, RateLimited, VenueError, VenueUnavailable
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.venues.grvt.answers import Answer, Lost, NotSent, Refusal, Reply, as_error, refusal
from perpmaker.venues.grvt.codec import Codec
from perpmaker.venues.grvt.codes import Outcome
from perpmaker.venues.grvt.environments import Environment
from perpmaker.venues.grvt.lite import Encoding
from perpmaker.venues.grvt.objects import WireError
from perpmaker.venues.grvt.routes import LOGIN_PATH, ROUTES, TIME_PATH, Cost, Gateway, Page, Route
from perpmaker.venues.grvt.session import Session, retry_after_s
from perpmaker.venues.transport.http import IsAllowed
from perpmaker.venues.transport.rate_limit import RateLimiter

Q = TypeVar("Q", bound=msgspec.Struct)
R = TypeVar("R", bound=msgspec.Struct)
P = TypeVar("P", bound=msgspec.Struct)

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
MAX_PAGES: Final = 1000
BUDGET_WAIT_S: Final = 10.0
"""A read waits this long for its turn, then gives up."""
MAX_OFFSET_ROUND_TRIP_S: Final = 5.0

Release = Callable[[], bool]
"""Asked in the step that hands a request's body to the transport; False withholds it for good."""


class TimeReading(msgspec.Struct, frozen=True):
    """The venue's clock against ours."""

    offset_ns: int
    """Venue minus ours, good to half the round trip."""
    round_trip_ns: int


def allow_list(environment: Environment) -> IsAllowed:
    """Return the test of what this client may ever ask for: a host of the environment, and a path it was written for."""
    posts = {f"/{encoding.value}{route.path}" for encoding in Encoding for route in ROUTES} | {LOGIN_PATH}
    gets = {TIME_PATH} | {f"/ws/{encoding.value}" for encoding in Encoding}
    hosts = environment.hosts

    def is_allowed(method: str, url: URL) -> bool:
        authority = url.authority if url.explicit_port else (url.host or "")
        paths = posts if method == "POST" else gets if method == "GET" else set()
        return authority in hosts and url.path in paths

    return is_allowed


class Rest:
    """Calls routes for one account, or without a session for public data."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        environment: Environment,
        clock: Clock,
        limiter: RateLimiter,
        *,
        session: Session | None = None,
        encoding: Encoding = Encoding.FULL,
    ) -> None:
        self._http = http
        self._bases = {Gateway.TRADES: environment.trades, Gateway.MARKET_DATA: environment.market_data}
        self._time_url = environment.market_data + TIME_PATH
        self._clock = clock
        self._limiter = limiter
        self._session = session
        self.codec = Codec(encoding)

    async def call(self, route: Route[Q, R], request: Q) -> R:
        """Read: wait for budget, ask, log in again once if the session is over, and decode, or raise.

        Raises VenueError or DataError; an error is never an empty answer.
        """
        if route.cost in {Cost.CREATE, Cost.CANCEL, Cost.CANCEL_ALL}:
            raise InvariantError(f"{route.path} is not a read")
        await self.budget(route.cost)
        body = self.codec.encode(request)
        answer = await self.ask(route, body)
        if isinstance(answer, Refusal) and answer.session_expired:
            answer = await self.ask(route, body)
        if isinstance(answer, Reply):
            return self._decoded(route, answer)
        self.note(route.cost, answer)
        raise as_error(answer, route.path)

    async def pages(self, route: Route[Q, Page[P]], first: Q) -> list[P]:
        """Read every page, newest first, to the end; raise rather than return a part."""
        rows: list[P] = []
        seen: set[str] = set()
        request = first
        for _ in range(MAX_PAGES):
            page = await self.call(route, request)
            rows.extend(page.result)
            if not page.next:
                return rows
            if page.next in seen:
                raise DataError(f"{route.path}: the cursor goes round in a circle")
            seen.add(page.next)
            request = msgspec.structs.replace(request, cursor=page.next)
        raise DataError(f"{route.path}: more than {MAX_PAGES} pages")

    async def ask(self, route: Route[Q, R], body: bytes, *, release: Release | None = None) -> Answer:
        """POST once and say what became of it, never raising for venue reasons; no budget is asked or taken.

        With `release`, the body is withheld until the connection stands and `release()` says yes in the same step, so that
        what a kill has forbidden meanwhile does not leave.
        """
        guarded = _Guarded(body, release)
        try:
            login = await self._login(route)
        except VenueError as error:
            return NotSent(f"no session: {error}")
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **login}
        url = f"{self._bases[route.gateway]}/{self.codec.encoding.value}{route.path}"
        try:
            async with self._http.post(url, data=guarded.stream(), headers=headers, allow_redirects=False) as response:
                payload = await _read(response)
        except aiohttp.ClientConnectorError as error:
            return NotSent(f"cannot connect: {error}")
        except (aiohttp.ClientError, ConnectionError, TimeoutError, VenueUnavailable) as error:
            reason = f"{type(error).__name__}: {error}"
            return Lost(reason) if guarded.handed_over else NotSent(guarded.withheld or reason)
        if response.status == 200:
            return Reply(payload)
        return self._refused(response.status, response.headers, payload, login)

    async def time(self) -> TimeReading:
        """Ask the venue what time it is; raises VenueUnavailable or DataError."""
        began_ns, began_wall_ns = self._clock.monotonic_ns(), self._clock.now_ns()
        try:
            async with self._http.get(self._time_url, allow_redirects=False) as response:
                payload = await _read(response)
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            raise VenueUnavailable(f"{TIME_PATH}: {type(error).__name__}") from None
        if response.status != 200:
            raise VenueUnavailable(f"{TIME_PATH}: HTTP {response.status}")
        round_trip_ns = self._clock.monotonic_ns() - began_ns
        if round_trip_ns > MAX_OFFSET_ROUND_TRIP_S * NS_PER_S:
            raise VenueUnavailable(f"{TIME_PATH}: the answer took too long to mean anything")
        venue_ns = _server_time_ms(payload) * NS_PER_MS
        return TimeReading(venue_ns - (began_wall_ns + round_trip_ns // 2), round_trip_ns)

    async def budget(self, cost: Cost) -> None:
        """Wait for a read's turn; raises RateLimited when it does not come in `BUDGET_WAIT_S`."""
        waited_s = 0.0
        while not self._limiter.try_take(cost.value):
            wait_s = max(self._limiter.wait_s(cost.value), 0.005)
            waited_s += wait_s
            if waited_s > BUDGET_WAIT_S:
                raise RateLimited(f"no request budget for {cost.value}", retry_after_s=wait_s)
            await asyncio.sleep(wait_s)

    def note(self, cost: Cost, answer: Answer) -> None:
        """Tell the limiter when the venue said "too fast"."""
        if isinstance(answer, Refusal) and answer.outcome is Outcome.RATE_LIMIT:
            self._limiter.penalise(cost.value, answer.retry_after_s)

    async def _login(self, route: Route[Q, R]) -> Mapping[str, str]:
        if route.gateway is Gateway.MARKET_DATA:
            return {}
        if self._session is None:
            raise AuthError("this client has no account")
        return await self._session.headers()

    def _refused(self, status: int, headers: Mapping[str, str], payload: bytes, login: Mapping[str, str]) -> Refusal:
        try:
            error: WireError | None = self.codec.decode(payload, WireError)
        except DataError:
            error = None
        refused = refusal(error, http_status=status, retry_after_s=retry_after_s(headers))
        if refused.session_expired and self._session is not None:
            self._session.reject(login)
        return msgspec.structs.replace(refused, over_http=True)

    def _decoded(self, route: Route[Q, R], answer: Reply) -> R:
        try:
            return self.codec.decode(answer.body, route.reply)
        except DataError as broken:
            try:
                error = self.codec.decode(answer.body, WireError)
            except DataError:
                raise broken from None
            raise as_error(refusal(error), route.path) from None  # an error dressed as HTTP 200


class _Guarded:
    """A request body that is let go, or withheld, at the last moment."""

    def __init__(self, body: bytes, release: Release | None) -> None:
        self._body = body
        self._release = release
        self.handed_over = release is None
        self.withheld = ""

    def stream(self) -> bytes | AsyncIterator[bytes]:
        return self._body if self._release is None else self._when_released(self._release)

    async def _when_released(self, release: Release) -> AsyncIterator[bytes]:
        if not release():
            self.withheld = "forbidden meanwhile"
            raise VenueUnavailable(self.withheld)
        self.handed_over = True
        yield self._body


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Return the body; raise VenueUnavailable when it is longer than anything the venue has to say."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise VenueUnavailable("the answer is too long")
        chunks.append(chunk)
    return b"".join(chunks)


class _Time(msgspec.Struct, frozen=True):
    server_time: int


def _server_time_ms(payload: bytes) -> int:
    """The one time on this venue that is milliseconds, and an integer."""
    answer = Codec().decode(payload, _Time)
    if not 0 < answer.server_time < 1 << 53:
        raise DataError(f"{TIME_PATH}: {answer.server_time} is not a time in milliseconds")
    return answer.server_time
