"""When to quote: hours of the week, blackout windows, the minutes around funding. Times are UTC."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

import msgspec

from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.quoting.permit import FREE, Mode, Permit
from perpmaker.strategies.schema import Table, key

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEK_MIN: Final = 7 * 24 * 60
_HOURS: Final = re.compile(r"^(?:([a-z]{3})(?:-([a-z]{3}))? +)?(\d\d):(\d\d)-(\d\d):(\d\d)$")
_HOURS_FORM: Final = 'must be like "mon-fri 08:00-20:00, sat 10:00-12:00" or "22:00-06:00"'
_BLACKOUT_FORM: Final = 'must be like "2026-12-10T13:25/2026-12-10T13:45, ..."'


class ScheduleParams(Table, frozen=True, kw_only=True):
    """Hours, blackouts and funding."""

    hours_utc: Annotated[
        str | None, key("", 'When to quote, like "mon-fri 08:00-20:00, sat 10:00-12:00"; without it, always.')
    ] = None
    blackouts: Annotated[str | None, key("", 'When not to (news), UTC: "2026-12-10T13:25/2026-12-10T13:45, ...".')] = (
        None
    )
    funding_before_s: Annotated[float, key("s", "Nor so long before a funding time.", ge=0, le=3600)] = 0.0
    funding_after_s: Annotated[float, key("s", "Nor so long after it.", ge=0, le=3600)] = 0.0
    outside: Annotated[
        Literal["pause", "reduce"], key("", "Then nothing is quoted, or only what reduces the position.")
    ] = "pause"

    def problems(self) -> Sequence[str]:
        found = []
        for name, parse in (("hours_utc", _spans), ("blackouts", _windows)):
            text = getattr(self, name)
            try:
                parse(text)
            except ValueError as error:
                found.append(f"{name} = {text!r}: {error}")
        return found


class Schedule:
    """Answers for a moment."""

    def __init__(self, params: ScheduleParams) -> None:
        self._params = params
        self._spans = _spans(params.hours_utc)
        self._windows = _windows(params.blackouts)
        self._last_funding_ns = 0
        self._next_funding_ns = 0
        self._mode = Mode.REDUCE if params.outside == "reduce" else Mode.NONE

    def permit(self, now_ns: int, next_funding_ns: int) -> Permit:
        """Return what is allowed at a moment; `next_funding_ns` 0 when unknown."""
        minute = _minute_of_week(now_ns)
        if self._spans and not any(span.holds(minute) for span in self._spans):
            return Permit(self._mode, f"outside hours_utc {self._params.hours_utc}")
        for begin_ns, end_ns in self._windows:
            if begin_ns <= now_ns < end_ns:
                return Permit(
                    self._mode, f"blackout until {datetime.fromtimestamp(end_ns // NS_PER_S, UTC):%Y-%m-%d %H:%M}"
                )
        return self._around_funding(now_ns, next_funding_ns)

    def _around_funding(self, now_ns: int, next_funding_ns: int) -> Permit:
        if next_funding_ns > self._next_funding_ns:
            self._last_funding_ns, self._next_funding_ns = self._next_funding_ns, next_funding_ns
        p = self._params
        upcoming_ns = self._next_funding_ns
        if upcoming_ns > now_ns and upcoming_ns - now_ns <= p.funding_before_s * NS_PER_S:
            return Permit(self._mode, f"funding in {(upcoming_ns - now_ns) / NS_PER_S:.0f} s")
        past_ns = upcoming_ns if 0 < upcoming_ns <= now_ns else self._last_funding_ns
        if past_ns and p.funding_after_s and now_ns - past_ns < p.funding_after_s * NS_PER_S:
            return Permit(self._mode, f"funding {(now_ns - past_ns) / NS_PER_S:.0f} s ago")
        return FREE


class _Span(msgspec.Struct, frozen=True):
    """Minutes of the week, Monday 00:00 is 0; it may wrap around the week's end."""

    begin: int
    length: int

    def holds(self, minute: int) -> bool:
        return (minute - self.begin) % _WEEK_MIN < self.length


def _spans(text: str | None) -> list[_Span]:
    if text is None:
        return []
    spans = []
    for part in text.split(","):
        found = _HOURS.match(part.strip().lower())
        if found is None:
            raise ValueError(_HOURS_FORM)
        first, last, *clock = found.groups()
        if any(day is not None and day not in _DAYS for day in (first, last)):
            raise ValueError(_HOURS_FORM)
        begin_h, begin_m, end_h, end_m = (int(number) for number in clock)
        begin, end = begin_h * 60 + begin_m, end_h * 60 + end_m
        if begin >= 24 * 60 or end > 24 * 60 or begin_m > 59 or end_m > 59 or begin == end:
            raise ValueError(_HOURS_FORM)
        length = (end - begin) % (24 * 60) or 24 * 60
        spans += [_Span(day * 24 * 60 + begin, length) for day in _days(first, last)]
    return spans


def _days(first: str | None, last: str | None) -> Sequence[int]:
    if first is None:
        return range(7)
    begin, end = _DAYS.index(first), _DAYS.index(last or first)
    return [(begin + day) % 7 for day in range((end - begin) % 7 + 1)]


def _windows(text: str | None) -> list[tuple[int, int]]:
    if text is None:
        return []
    windows = []
    for part in text.split(","):
        begin, slash, end = part.strip().partition("/")
        try:
            begin_ns, end_ns = (_utc_ns(moment) for moment in (begin, end))
        except ValueError:
            raise ValueError(_BLACKOUT_FORM) from None
        if not slash or begin_ns >= end_ns:
            raise ValueError(_BLACKOUT_FORM)
        windows.append((begin_ns, end_ns))
    return windows


def _utc_ns(text: str) -> int:
    moment = datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return int(moment.timestamp()) * NS_PER_S


def _minute_of_week(now_ns: int) -> int:
    return (now_ns // (60 * NS_PER_S) + 3 * 24 * 60) % _WEEK_MIN  # the epoch began on a Thursday
