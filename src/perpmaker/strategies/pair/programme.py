"""A mode as a sequence of wanted positions on the lead, each reached clip by clip."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Literal

import msgspec

from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.pair.params import Mode, PairParams

Phase = Literal["choose", "open", "hold", "close", "pause", "end"]
ZERO = Decimal(0)


class Programme(msgspec.Struct):
    """How far a mode has come; everything a restart needs."""

    mode: Mode
    phase: Phase = "choose"
    cycles: int = 0
    """Cycles that are done."""
    side: Side | None = None
    """The lead's side of the position being built, held or closed."""
    wanted: Decimal = ZERO
    """The pair's position on the lead that is to be reached."""
    until_ns: int = 0
    text: str = ""
    closing_for_good: bool = False
    """A person, or a loss limit, had the positions closed: after that nothing is built any more."""
    taking: bool = False
    """What is held is closed by taking, not clip by clip in the book: a loss limit is nearly used up."""
    why_closing: str = "as a person wanted"
    left_alone: bool | None = None
    """Whether a person, or what was not expected, ended it: then a loss limit does not take down what it holds.

    None before its end, and where it ended before this was written down.
    """

    @property
    def is_over(self) -> bool:
        return self.phase == "end"

    @property
    def is_closing(self) -> bool:
        return self.phase == "close"

    @property
    def trades(self) -> bool:
        """Whether a position is being changed now."""
        return self.phase in ("open", "close")

    def end(self, text: str, *, left_alone: bool = False) -> None:
        self.phase, self.text, self.left_alone = "end", text, left_alone

    def leave_alone(self, text: str) -> None:
        """A person stops it, or something unexpected does, though it had ended by itself with a position."""
        self.text, self.left_alone = f"{self.text}; {text}", True

    @property
    def keeps(self) -> bool:
        """Whether it ended by itself, and what it may hold since then is taken down when a loss limit is nearly used up."""
        if not self.is_over or self.closing_for_good:
            return False
        if self.left_alone is None:  # an older memo: only what was built to be held is known to have ended by itself
            return self.mode == "build_and_hold" and self.cycles > 0
        return not self.left_alone

    def close(self) -> None:
        """Close what is held, wherever the mode stands, and end."""
        self.phase, self.wanted, self.text, self.closing_for_good = "close", ZERO, "", True
        self.left_alone = None

    def flatten(self, why: str) -> None:
        """Close by taking, for that reason, and end."""
        self.close()
        self.taking, self.why_closing = True, why


class Present(msgspec.Struct, frozen=True):
    """What a step of the programme is decided from. `is_there`: whether the wanted position is reached."""

    now_ns: int
    is_there: Callable[[], bool]
    choose: Callable[[int], Side | str]
    """The direction rule, by number of the position built: a side, or what it waits for."""
    size: Callable[[], Decimal]
    """The size of a cycle in base units, valid on both venues; 0 while a price is missing."""
    may_close: Callable[[Side], bool]


def advance(programme: Programme, params: PairParams, now: Present) -> bool:
    """Go on as far as possible without trading or waiting; returns whether anything changed."""
    before = (programme.phase, programme.cycles)
    for _ in range(8):
        phase = programme.phase
        _STEPS[phase](programme, params, now)
        if programme.phase == phase:
            break
    return (programme.phase, programme.cycles) != before


def _choose(programme: Programme, params: PairParams, now: Present) -> None:
    if params.mode == "close_existing":
        programme.phase, programme.wanted = "close", ZERO
        return
    if programme.cycles >= params.iterations:
        programme.end("every cycle was run")
        return
    side = now.choose(programme.cycles // 2 if params.mode == "alternate" else programme.cycles)
    if isinstance(side, str):
        programme.text = side
        return
    size = now.size()
    if not size:
        programme.text = "the size rounds to nothing, or a price is missing"
        return
    programme.phase, programme.side, programme.wanted, programme.text = "open", side, side.sign * size, ""


def _open(programme: Programme, params: PairParams, now: Present) -> None:
    if not now.is_there():
        return
    if params.mode == "build_and_hold":
        programme.cycles += 1
        programme.end("built; the position is held")
    elif params.mode == "alternate":
        _cycle_done(programme, params, now)
    else:
        wait_s = params.delay_s if params.mode == "open_and_close" else params.hold_min * 60
        programme.phase, programme.until_ns = "hold", now.now_ns + round(wait_s * NS_PER_S)


def _hold(programme: Programme, params: PairParams, now: Present) -> None:
    left_s = (programme.until_ns - now.now_ns) / NS_PER_S
    served = programme.side is not None and now.may_close(programme.side)
    if left_s <= 0 or served:
        programme.phase, programme.wanted, programme.text = "close", ZERO, ""
    else:
        programme.text = f"holds for {left_s:.0f} s more"


def _close(programme: Programme, params: PairParams, now: Present) -> None:
    if now.is_there():
        _cycle_done(programme, params, now)


def _cycle_done(programme: Programme, params: PairParams, now: Present) -> None:
    if programme.closing_for_good:
        programme.end(f"closed, {programme.why_closing}")
        return
    programme.cycles += 1
    if params.mode == "close_existing":
        programme.end("closed")
    elif programme.cycles >= params.iterations:
        programme.end("every cycle was run")
    else:
        programme.phase, programme.until_ns = "pause", now.now_ns + round(params.pause_s * NS_PER_S)


def _pause(programme: Programme, params: PairParams, now: Present) -> None:
    left_s = (programme.until_ns - now.now_ns) / NS_PER_S
    if left_s > 0:
        programme.text = f"pauses for {left_s:.0f} s more"
    elif params.mode == "alternate" and programme.wanted:
        programme.phase, programme.wanted, programme.text = "close", ZERO, ""
    else:
        programme.phase, programme.text = "choose", ""


def _end(programme: Programme, params: PairParams, now: Present) -> None:
    """Nothing more."""


_STEPS: dict[Phase, Callable[[Programme, PairParams, Present], None]] = {
    "choose": _choose,
    "open": _open,
    "hold": _hold,
    "close": _close,
    "pause": _pause,
    "end": _end,
}
