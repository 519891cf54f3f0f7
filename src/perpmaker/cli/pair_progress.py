"""Progress of a pair: a line for what is worth one, and a line that lives while somebody watches a terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.status import Status
from rich.text import Text

from perpmaker.cli.pair_options import MAKE
from perpmaker.cli.pair_text import amounts_line, now_line

if TYPE_CHECKING:
    from perpmaker.control.messages import PairRow

PHASES: Final = {"open": "builds", "hold": "holds", "close": "closes"}
NEWS_POLLS: Final = 30
"""An unbalanced pair is news after three seconds; for a moment it is how every clip goes."""


class PairProgress:
    """Told the pair's row again and again; says what is new."""

    def __init__(self, console: Console, legs: str) -> None:
        self._console = console
        self._status: Status | None = console.status(legs) if console.is_terminal else None
        self._last: PairRow | None = None
        self._waited = ""
        self._reason = ""
        self._amounts = ""
        """What a maker held when that was last told."""
        self._open_polls = 0
        self._open_told = False

    def __enter__(self) -> PairProgress:
        self._live(on=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live(on=False)

    def wait(self, what: str) -> None:
        """Say what is waited for before the pair begins, each thing once."""
        if what != self._waited:
            self._waited = what
            self.say(f"waiting for {what}")

    def say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False)

    def ask(self, row: PairRow) -> None:
        """Put the question where the live line was; it stays until it is answered."""
        self._live(on=False)
        self._console.print(Text(f"{row.name} asks: {row.question}", "bold yellow"), soft_wrap=True)

    def prompt(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    def answered(self) -> None:
        self.say("it was answered; going on")
        self._live(on=True)

    def tell(self, row: PairRow) -> None:
        """Say what is new since the last time."""
        last = self._last
        if last is None or last.session != row.session:
            cycles = (
                "until it is stopped" if row.mode == MAKE else f"{row.asked} {'cycle' if row.asked == 1 else 'cycles'}"
            )
            self.say(f"{row.name}: {row.mode}, {cycles}")
            last, self._amounts = None, amounts_line(row)
        if last is not None and row.cycles > last.cycles:
            self.say(f"cycle {row.cycles} of {row.asked} done; {amounts_line(row)}, net {row.net:.4f} {row.currency}")
        if (last is None or last.phase != row.phase) and row.phase in PHASES:
            self.say(f"{PHASES[row.phase]}: {row.wanted} wanted on the lead; {amounts_line(row)}")
        if row.mode == MAKE and row.status in ("Flat", "Hedged") and amounts_line(row) != self._amounts:
            self._amounts = amounts_line(row)
            self.say(f"filled and hedged: {self._amounts}, net {row.net:.4f} {row.currency}")
        if last is not None and row.skipped > last.skipped:
            self.say(f"a clip was not filled in time and is tried again ({row.skipped} so far)")
        self._tell_trouble(row)
        self._last = row
        if self._status is not None:
            self._status.update(Text(now_line(row), no_wrap=True, overflow="ellipsis"))

    def _tell_trouble(self, row: PairRow) -> None:
        """Say what hinders it, each reason once, and what has been open for longer than a hedge takes."""
        reason = row.reason if row.state in ("waiting", "failed", "paused", "starting") else ""
        if reason != self._reason:
            self._reason = reason
            self.say(f"{row.state}: {reason}" if reason else "going on")
        self._open_polls = self._open_polls + 1 if row.status in ("Unbalanced", "Same side") else 0
        if self._open_polls == NEWS_POLLS:
            self._open_told = True
            self.say(f"{row.status}: net {row.net_delta} is not hedged yet ({row.hedge}); {amounts_line(row)}")
        elif not self._open_polls and self._open_told:
            self._open_told = False
            self.say(f"hedged again; {amounts_line(row)}")

    def _live(self, *, on: bool) -> None:
        if self._status is not None:
            if on:
                self._status.start()
            else:
                self._status.stop()
