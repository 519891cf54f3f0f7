"""Times on a tape, as `--from` and `--to` take them: an instant, or how far from the tape's beginning or end."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import click

from perpmaker.errors import ConfigError

if TYPE_CHECKING:
    from perpmaker.tape.reader import Tape

Command = TypeVar("Command", bound=Callable[..., Any])

ALLOWED: Final = (
    "2026-01-31T12:00:00 (UTC), 19 digits of nanoseconds since 1970, +90s or +5m after the tape's beginning, -1h before "
    "its end; units are ms, s, m, h and d"
)
_NS: Final = 1_000_000_000
_NS_DIGITS: Final = 19
"""Of any time between 2001 and 2286."""
_OFFSET: Final = re.compile(r"([+-])(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d|)")
_UNITS_NS: Final = {"ms": _NS // 1_000, "s": _NS, "": _NS, "m": 60 * _NS, "h": 3_600 * _NS, "d": 86_400 * _NS}


class Moment(NamedTuple):
    """A time on some tape, `ns` after its `origin`."""

    text: str
    """As it was typed."""
    ns: int
    origin: str = "epoch"
    """epoch, begin or end."""

    def on(self, tape: Tape) -> int:
        """Return the receive time it means on a tape."""
        from perpmaker.tape.examine import begins_ns

        match self.origin:
            case "begin":
                return begins_ns(tape) + self.ns
            case "end":
                return tape.last_recv_ns + self.ns
            case _:
                return self.ns


class TapeTime(click.ParamType):
    """Reads a `Moment`."""

    name = "time"

    def convert(self, value: str | Moment, param: click.Parameter | None, ctx: click.Context | None) -> Moment:
        if isinstance(value, Moment):
            return value
        found = _moment(value.strip())
        if found is None:
            self.fail(f"{value!r} is no time; allowed: {ALLOWED}", param, ctx)
        return found


def _moment(text: str) -> Moment | None:
    offset = _OFFSET.fullmatch(text)
    if offset:
        sign, number, unit = offset.groups()
        ns = int(Decimal(number) * _UNITS_NS[unit])
        return Moment(text, ns, "begin") if sign == "+" else Moment(text, -ns, "end")
    if text.isascii() and text.isdigit() and len(text) == _NS_DIGITS:
        return Moment(text, int(text))
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        return None
    told = told if told.tzinfo else told.replace(tzinfo=UTC)
    return Moment(text, round(told.timestamp() * 1_000_000) * 1_000)


def part_of_tape(command: Command) -> Command:
    """Add `--from` and `--to`, in the parameters `begin` and `end`: what of a tape is played; `span` works it out."""
    begin = (
        "Begin here: receive time (UTC), +5m after the tape's beginning or -1h before its end; default: its beginning."
    )
    end = "End before this, as --from; default: the tape's end."
    command = click.option("--to", "end", metavar="TIME", type=TapeTime(), help=end)(command)
    return click.option("--from", "begin", metavar="TIME", type=TapeTime(), help=begin)(command)


def span(tape: Tape, begin: Moment | None, end: Moment | None) -> tuple[int, int]:
    """Return from when to before when a tape is wanted, within what it holds; ConfigError where that is nothing."""
    from perpmaker.tape.examine import begins_ns

    first_ns, past_ns = begins_ns(tape), tape.last_recv_ns + 1
    from_ns = first_ns if begin is None else begin.on(tape)
    to_ns = past_ns if end is None else end.on(tape)
    holds = f"{tape.name} holds {_utc(first_ns)} to {_utc(past_ns - 1)}"
    if begin is not None and from_ns >= past_ns:
        raise ConfigError(f"--from {begin.text}: is after the tape's end; {holds}")
    if end is not None and to_ns <= first_ns:
        raise ConfigError(f"--to {end.text}: is before anything on the tape; {holds}")
    if begin is not None and end is not None and from_ns >= to_ns:
        raise ConfigError(f"--from {begin.text}: has to be before --to {end.text}; {holds}")
    return max(from_ns, first_ns), min(to_ns, past_ns)


def _utc(ts_ns: int) -> str:
    return datetime.fromtimestamp(ts_ns // _NS, UTC).strftime("%Y-%m-%dT%H:%M:%S")
