"""Who may use the pages: sessions, their CSRF tokens, and a back-off against guessing the login secret.

A session is 256 random bits in a cookie; only its SHA-256 is kept, in memory and in a private file, so that open pages
outlive a restart of the dashboard and a stolen file opens nothing. Its CSRF token is derived from it, so neither needs
storing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Final, Protocol

import msgspec

from perpmaker.clock import Clock
from perpmaker.control.home import write_private

IDLE_NS: Final = 12 * 3600 * 1_000_000_000
MAX_SESSIONS: Final = 64
FREE_TRIES: Final = 5
MAX_WAIT_S: Final = 30.0
_SAVE_EVERY_NS: Final = 60 * 1_000_000_000
_MAX_SECRET_CHARACTERS: Final = 512


class Secret(Protocol):
    """What a person proves to know at login."""

    async def matches(self, attempt: str) -> bool: ...


class Token:
    """The generated login token: 256 bits, compared by digest in constant time."""

    def __init__(self, value: str) -> None:
        self._digest = hashlib.sha256(value.encode()).digest()

    async def matches(self, attempt: str) -> bool:
        return hmac.compare_digest(self._digest, hashlib.sha256(attempt.encode()).digest())


class Session(msgspec.Struct, frozen=True):
    """A logged-in browser. `name` is its public short name, for the audit trail; `csrf` goes into a command's header."""

    digest: str
    csrf: str

    @property
    def name(self) -> str:
        return self.digest[:8]


class Backoff:
    """Five wrong tries are free; each further one doubles the wait for everybody, up to 30 s."""

    def __init__(self) -> None:
        self._failures = 0
        self._open_at_ns = 0

    def wait_s(self, now_ns: int) -> float:
        """Return how long the next try has to wait, 0 when it may come now."""
        return max(0.0, (self._open_at_ns - now_ns) / 1e9)

    def failed(self, now_ns: int) -> None:
        self._failures += 1
        if self._failures >= FREE_TRIES:
            wait_s = min(MAX_WAIT_S, 2.0 ** (self._failures - FREE_TRIES))
            self._open_at_ns = now_ns + int(wait_s * 1e9)

    def succeeded(self) -> None:
        self._failures = 0
        self._open_at_ns = 0


class Sessions:
    """The logged-in browsers: at most 64, the longest unused going first, each ending 12 hours after its last use."""

    def __init__(self, clock: Clock, file: Path | None = None) -> None:
        self._clock = clock
        self._file = file
        self._used_ns: dict[str, int] = _read(file)
        self._saved_ns = clock.now_ns()

    def open(self) -> tuple[str, Session]:
        """Begin a session; return the cookie's value, which is kept nowhere, and the session."""
        now_ns = self._clock.now_ns()
        self._drop_idle(now_ns)
        while len(self._used_ns) >= MAX_SESSIONS:
            del self._used_ns[min(self._used_ns, key=self._used_ns.__getitem__)]
        cookie = secrets.token_urlsafe(32)
        session = _session(cookie)
        self._used_ns[session.digest] = now_ns
        self._save(now_ns)
        return cookie, session

    def find(self, cookie: str) -> Session | None:
        """Return the living session of a cookie, and count this as a use of it."""
        if not cookie or len(cookie) > _MAX_SECRET_CHARACTERS:
            return None
        session = _session(cookie)
        return session if self.touch(session) else None

    def touch(self, session: Session) -> bool:
        """Count a use; return whether the session is still alive."""
        now_ns = self._clock.now_ns()
        used_ns = self._used_ns.get(session.digest)
        if used_ns is None:
            return False
        if now_ns - used_ns > IDLE_NS:
            del self._used_ns[session.digest]
            self._save(now_ns)
            return False
        self._used_ns[session.digest] = now_ns
        if now_ns - self._saved_ns > _SAVE_EVERY_NS:
            self._save(now_ns)
        return True

    def close(self, session: Session) -> None:
        """End a session; its cookie means nothing from now on."""
        self._used_ns.pop(session.digest, None)
        self._save(self._clock.now_ns())

    def _drop_idle(self, now_ns: int) -> None:
        self._used_ns = {digest: used for digest, used in self._used_ns.items() if now_ns - used <= IDLE_NS}

    def _save(self, now_ns: int) -> None:
        self._saved_ns = now_ns
        if self._file is not None:
            write_private(self._file, msgspec.json.encode(self._used_ns))


def _session(cookie: str) -> Session:
    digest = hashlib.sha256(cookie.encode()).hexdigest()
    return Session(digest=digest, csrf=hashlib.sha256(b"csrf:" + cookie.encode()).hexdigest())


def _read(file: Path | None) -> dict[str, int]:
    """Return the kept sessions; a file that is absent or broken means that everybody logs in again."""
    if file is None:
        return {}
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, int])
    except (OSError, msgspec.DecodeError):
        return {}
