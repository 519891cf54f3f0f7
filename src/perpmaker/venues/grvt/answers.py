"""What can become of one request, whichever way it went: values for order entry, exceptions for reads."""

from __future__ import annotations

import msgspec

from perpmaker.errors import (
    AuthError,
    RateLimited,
    RequestRejected,
    VenueError,
    VenueUnavailable,
)
from perpmaker.logs import redacted
from perpmaker.venues.grvt.codes import SESSION_EXPIRED, Outcome, outcome
from perpmaker.venues.grvt.objects import WireError

_MAX_TEXT = 200


class Reply(msgspec.Struct, frozen=True):
    """The venue answered without an error; `body` is the payload as REST has it, in the encoding of the request."""

    body: bytes | msgspec.Raw


class Refusal(msgspec.Struct, frozen=True):
    """The venue answered with an error; `outcome` says what that proves. `code` is None where a proxy answered."""

    code: int | None
    text: str
    outcome: Outcome
    retry_after_s: float = 0.0
    over_http: bool = False
    """A request over HTTP brings its own login, which may be older than the one a socket was opened with meanwhile."""

    @property
    def session_expired(self) -> bool:
        """The login, not the request, is what was refused."""
        return self.code == SESSION_EXPIRED


class Lost(msgspec.Struct, frozen=True):
    """Bytes left and no usable answer came: nobody knows."""

    reason: str


class NotSent(msgspec.Struct, frozen=True):
    """Certainly nothing that could be executed has left."""

    reason: str


Answer = Reply | Refusal | Lost | NotSent


def refusal(error: WireError | None, *, http_status: int | None = None, retry_after_s: float = 0.0) -> Refusal:
    """Make a refusal from an error body, or from the HTTP status alone where there is no readable one."""
    if error is None:
        code = SESSION_EXPIRED if http_status == 401 else None
        return Refusal(code, f"HTTP {http_status} without a code", outcome(None, http_status), retry_after_s)
    text = redacted(error.message)[:_MAX_TEXT]
    return Refusal(error.code, text, outcome(error.code, http_status), retry_after_s)


def as_error(answer: Refusal | Lost | NotSent, what: str) -> VenueError:
    """Return the exception of a read that was answered so; a read changes nothing, so trying later is always safe."""
    match answer:
        case NotSent(reason=reason) | Lost(reason=reason):
            return VenueUnavailable(f"{what}: {reason}")
        case Refusal(code=code, text=text, outcome=Outcome.RATE_LIMIT, retry_after_s=retry_after_s):
            return RateLimited(f"{what}: {code} {text}", retry_after_s=retry_after_s)
        case Refusal(code=code, text=text, outcome=Outcome.FATAL):
            return AuthError(f"{what}: {code} {text}")
        case Refusal(code=code, text=text, outcome=Outcome.UNKNOWN):
            return VenueUnavailable(f"{what}: {code} {text}")
        case Refusal(code=code, text=text):
            if answer.session_expired:
                return AuthError(f"{what}: {code} {text}")
            return RequestRejected(f"{what}: {code} {text}", code=code or 0)
