"""A logged-in session of one API key: cookie and account id, renewed before they run out (protocol page §3)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp
import msgspec

from perpmaker.clock import Clock
from perpmaker.errors import AuthError, DataError, RateLimited, VenueError, VenueUnavailable
from perpmaker.logs import get, redacted, register_secret
from perpmaker.model.units import NS_PER_S
from perpmaker.venues.grvt.answers import refusal
from perpmaker.venues.grvt.codec import Codec
from perpmaker.venues.grvt.codes import Outcome
from perpmaker.venues.grvt.environments import Environment
from perpmaker.venues.grvt.objects import WireError
from perpmaker.venues.grvt.routes import LOGIN_PATH
from perpmaker.venues.secret import Secret
from perpmaker.venues.transport.backoff import AttemptCap, FullJitter
from perpmaker.venues.transport.link import NotReached

REFRESH_AT: Final = 0.8
"""Share of a session's life after which it is renewed while still good."""
FALLBACK_LIFE_S: Final = 600.0
"""Assumed when the cookie does not say, or says that it is over although it was just made (a clock is wrong)."""
LOGINS_PER_MINUTE: Final = 2
REFUSED_PAUSE_S: Final = 60.0
"""A refused key is not tried again before this: retrying cannot help, and must not look like an attack."""
COOKIE_NAME: Final = "gravity"
ACCOUNT_HEADER: Final = "X-Grvt-Account-Id"
_LOGIN_TIMEOUT: Final = aiohttp.ClientTimeout(total=5.0)

_log = get("venues.grvt.session")


def login_cap(past: Iterable[int] = ()) -> AttemptCap:
    """Return the cap on logins of one account; `past` are the attempts of an earlier life (UTC ns)."""
    return AttemptCap(limit=LOGINS_PER_MINUTE, window_s=60.0, past=past)


class Login(msgspec.Struct, frozen=True):
    """What a successful login gave; `life_s` from the moment of the answer."""

    cookie: Secret
    account_id: str
    life_s: float


class _LoginBody(msgspec.Struct, frozen=True):
    status: str = ""
    error: str = ""


class Session:
    """Gives authenticated headers. Logins are single-flight, at most two a minute, and never probed or repeated blindly."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        environment: Environment,
        api_key: Secret,
        clock: Clock,
        *,
        seed: int,
        max_age_s: float | None = None,
        cap: AttemptCap | None = None,
    ) -> None:
        self._http = http
        self._url = environment.edge + LOGIN_PATH
        self._api_key = api_key
        self._clock = clock
        self._max_age_s = max_age_s
        self.cap = cap or login_cap()
        self._backoff = FullJitter(base_s=0.5, cap_s=5.0, seed=seed)
        self._headers: Mapping[str, str] | None = None
        self._refresh_ns = 0
        self._end_ns = 0
        self._not_before_ns = 0
        self._failure: VenueError | None = None
        self._login: asyncio.Task[None] | None = None
        self.logins = 0
        register_secret(api_key.reveal())

    async def headers(self) -> Mapping[str, str]:
        """Return cookie and account id, logging in first where there is no session that is still good.

        Raises AuthError when the venue does not accept the key, VenueUnavailable or RateLimited when it cannot be asked
        now.
        """
        self.maintain()
        if self._headers is None or self._clock.monotonic_ns() >= self._end_ns:
            await asyncio.shield(self._logging_in())
        if self._headers is None:  # rejected again before we could look
            raise VenueUnavailable("the session was refused as soon as it was made")
        return self._headers

    def maintain(self) -> None:
        """Start renewing in the background once four fifths of the session's life are over."""
        now_ns = self._clock.monotonic_ns()
        if self._headers is not None and self._refresh_ns <= now_ns and now_ns >= self._not_before_ns:
            self._logging_in()

    def reject(self, headers: Mapping[str, str]) -> None:
        """The venue answered 401 or 1000 to these headers. A newer session stays."""
        if self._headers is headers:
            self._headers = None

    async def close(self) -> None:
        if self._login is not None:
            self._login.cancel()
            await asyncio.gather(self._login, return_exceptions=True)

    def _logging_in(self) -> asyncio.Task[None]:
        if self._login is None or self._login.done():
            self._login = asyncio.get_running_loop().create_task(self._log_in())
            self._login.add_done_callback(_look_at)
        return self._login

    async def _log_in(self) -> None:
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._not_before_ns and self._failure is not None:
            raise self._failure.with_traceback(None)
        wait_s = self.cap.wait_s(self._clock.now_ns())
        if wait_s > 0:
            raise RateLimited(f"login: {LOGINS_PER_MINUTE} a minute are used up", retry_after_s=wait_s)
        try:
            login = await self._ask()
        except VenueError as error:
            self._failed(error)
            raise
        self._use(login)

    async def _ask(self) -> Login:
        body = msgspec.json.encode({"api_key": self._api_key.reveal()})
        headers = {"Content-Type": "application/json", "Cookie": "rm=true;"}
        reached = True
        try:
            async with self._http.post(
                self._url, data=body, headers=headers, allow_redirects=False, timeout=_LOGIN_TIMEOUT
            ) as response:
                payload = await response.read()
                return read_login(response.status, response.headers, payload, self._clock.now_ns())
        except aiohttp.ClientConnectorError as error:
            reached = False
            raise NotReached(f"login: cannot connect: {error}") from None
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            raise VenueUnavailable(f"login: {type(error).__name__}") from None
        finally:
            if reached:
                self.cap.note(self._clock.now_ns())

    def _use(self, login: Login) -> None:
        life_s = login.life_s if self._max_age_s is None else min(login.life_s, self._max_age_s)
        now_ns = self._clock.monotonic_ns()
        self._refresh_ns = now_ns + int(life_s * REFRESH_AT * NS_PER_S)
        self._end_ns = now_ns + int(life_s * NS_PER_S)
        register_secret(login.cookie.reveal())
        self._headers = {
            "Cookie": f"{COOKIE_NAME}={login.cookie.reveal()}",
            ACCOUNT_HEADER: login.account_id,
        }
        self._failure = None
        self._backoff.reset()
        self.logins += 1
        _log.info("session_opened", life_s=round(life_s, 1))

    def _failed(self, error: VenueError) -> None:
        pause_s = self._backoff.next_s()
        if isinstance(error, AuthError):
            pause_s = REFUSED_PAUSE_S
        elif isinstance(error, RateLimited):
            pause_s = max(pause_s, error.retry_after_s)
        self._failure = error
        self._not_before_ns = self._clock.monotonic_ns() + int(pause_s * NS_PER_S)
        _log.warning("login_failed", reason=str(error), next_in_s=round(pause_s, 2))


def read_login(status: int, headers: Mapping[str, str], body: bytes, now_ns: int) -> Login:
    """Judge a login answer: success needs a success status in the body, the cookie and the account id, all three.

    HTTP 200 with `{"status":"failure"}` is a refusal. Raises AuthError, RateLimited or VenueUnavailable.
    """
    if status not in {200, 302}:
        raise _refused(status, headers, body)
    try:
        answer = msgspec.json.decode(body, type=_LoginBody)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise VenueUnavailable("login: the answer cannot be read") from None
    if answer.status != "success":
        raise AuthError(
            f"login: the venue answered {redacted(answer.status or answer.error)!r}: {redacted(answer.error)}"
        )
    account_id = headers.get(ACCOUNT_HEADER, "")
    found = _cookie(headers)
    if found is None or not account_id:
        missing = f"cookie {COOKIE_NAME}" if found is None else ACCOUNT_HEADER
        raise AuthError(f"login: success without {missing}")
    cookie, expires = found
    return Login(Secret(cookie), account_id, _life_s(expires, headers.get("Date"), now_ns))


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Return the venue's wish in seconds, 0 when it named none."""
    text = headers.get("Retry-After", "")
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < 86_400 else 0.0


def _refused(status: int, headers: Mapping[str, str], body: bytes) -> VenueError:
    try:
        error: WireError | None = Codec().decode(body, WireError)
    except DataError:
        error = None
    refused = refusal(error, http_status=status)
    if refused.outcome is Outcome.RATE_LIMIT:
        return RateLimited("login: too fast", retry_after_s=retry_after_s(headers))
    if status not in {400, 401, 403}:
        return VenueUnavailable(f"login: HTTP {status}")
    return AuthError(f"login: HTTP {status}: {refused.code} {refused.text}")


def _cookie(headers: Mapping[str, str]) -> tuple[str, str] | None:
    """Return value and Expires of the session cookie."""
    for line in _all(headers, "Set-Cookie"):
        head, *attributes = line.split(";")
        name, _, value = head.strip().partition("=")
        if name == COOKIE_NAME and value:
            named = (attribute.strip().partition("=") for attribute in attributes)
            expires = next((text for key, _, text in named if key.lower() == "expires"), "")
            return value, expires
    return None


def _all(headers: Mapping[str, str], name: str) -> Sequence[str]:
    getall = getattr(headers, "getall", None)
    if getall is not None:
        found: Sequence[str] = getall(name, [])
        return found
    return [headers[name]] if name in headers else []


def _life_s(expires: str, date: str | None, now_ns: int) -> float:
    """Return how long the cookie lives, by the venue's own clock where it tells the time: ours may be wrong."""
    end = _utc(expires)
    if end is None:
        return FALLBACK_LIFE_S
    made = _utc(date) if date else None
    life_s = end.timestamp() - (made.timestamp() if made else now_ns / NS_PER_S)
    return life_s if life_s > 0 else FALLBACK_LIFE_S


def _utc(text: str) -> datetime | None:
    """Read an HTTP date; it is UTC whatever it says or leaves out, and whatever the time zone of this machine."""
    try:
        parsed = parsedate_to_datetime(text)
    except ValueError:
        return None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed


def _look_at(login: asyncio.Task[None]) -> None:
    """A background renewal that failed has been logged; the next use tries again."""
    if not login.cancelled():
        login.exception()
