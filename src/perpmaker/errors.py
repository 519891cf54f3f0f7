"""Every exception perpmaker raises on purpose, grouped by what the caller should do.

    PerpmakerError
    ├── ConfigError          a person must change the configuration or the command
    ├── VenueError           a venue, or the way to it, failed
    │   ├── VenueUnavailable   not reachable now: try again later
    │   ├── RateLimited        too fast: wait `retry_after_s`
    │   ├── AuthError          the credentials are not accepted: do not retry
    │   ├── RequestRejected    the venue said no, for sure; `code` says why
    │   └── OutcomeUnknown     nobody knows whether it happened: reconcile, never resend
    ├── DataError            input data is broken; names the place
    └── InvariantError       our own books do not add up: cancel everything and stop

Refusals by risk and rejections by a venue are values or events, not exceptions (docs/explanation/errors.md).
"""

from __future__ import annotations


class PerpmakerError(Exception):
    """Root of the tree; the command line prints it without a traceback and exits with `exit_code`."""

    exit_code = 1


class ConfigError(PerpmakerError):
    """The configuration or a command is wrong; the text names the key, the value and what is allowed."""

    exit_code = 3


class VenueError(PerpmakerError):
    """A venue, or the way to it, failed."""

    exit_code = 5


class VenueUnavailable(VenueError):
    """Not reachable, or out of service, and certainly not executed: trying again later is safe."""


class RateLimited(VenueError):
    """Refused for speed; nothing was executed. `retry_after_s` is the venue's wish, 0 when it named none."""

    def __init__(self, text: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class AuthError(VenueError):
    """The venue does not accept the credentials, or the account may not do this: retrying cannot help."""

    exit_code = 4


class RequestRejected(VenueError):
    """The venue refused the request for sure; `code` is its own error code."""

    def __init__(self, text: str, *, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class OutcomeUnknown(VenueError):
    """The request may or may not have been executed: reconcile, never assume, never resend."""


class DataError(PerpmakerError):
    """A frame, file or record cannot be what it claims to be; the text names the place."""

    exit_code = 7


class InvariantError(PerpmakerError):
    """Our own books contradict themselves: the engine cancels everything and stops."""

    exit_code = 8
