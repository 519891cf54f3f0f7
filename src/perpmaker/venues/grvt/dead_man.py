"""The venue's dead-man timer: when we stop refreshing it, the venue cancels every order of the sub account.

Protocol page §6: `cancel_on_disconnect` counts down from the last call, whatever the sockets do. 0 to 1000 ms means off,
above 300 s is refused, and leaving the value out means off as well. So only 5 to 120 s are accepted here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from perpmaker.clock import Clock
from perpmaker.errors import ConfigError, DataError, VenueUnavailable
from perpmaker.logs import get
from perpmaker.model.units import NS_PER_S
from perpmaker.venues.grvt.answers import Answer, Refusal, Reply
from perpmaker.venues.grvt.codec import Codec
from perpmaker.venues.grvt.entry import OrderEntry
from perpmaker.venues.grvt.routes import CANCEL_ON_DISCONNECT, DeadManRequest

MIN_S: Final = 5.0
MAX_S: Final = 120.0
REFRESH_SHARE: Final = 0.25
TRUSTED_SHARE: Final = 0.75
"""Of the countdown, since the last refresh left: after that it may fire before the next one arrives."""
ANSWER_S: Final = 2.0
RETRY_S: Final = 1.0

_log = get("venues.grvt.dead_man")


class DeadMan:
    """Keeps the timer armed. `tick` is called often; it refreshes when a quarter of the countdown has passed."""

    def __init__(
        self,
        *,
        countdown_s: float,
        sub_account_id: str,
        entry: OrderEntry,
        codec: Codec,
        clock: Clock,
        on_change: Callable[[], None],
        on_answer: Callable[[Answer], None],
    ) -> None:
        if not MIN_S <= countdown_s <= MAX_S:
            raise ConfigError(f"the dead-man countdown must be from {MIN_S:g} to {MAX_S:g} s, not {countdown_s}")
        self._countdown_ns = int(countdown_s * NS_PER_S)
        self._body = codec.encode(
            codec.form(DeadManRequest)(sub_account_id=sub_account_id, countdown_time=str(int(countdown_s * 1000)))
        )
        self._codec = codec
        self._entry = entry
        self._clock = clock
        self._on_change = on_change
        self._on_answer = on_answer
        self._trusted_until_ns = 0
        self._next_ns = 0
        self._generation = 0

    @property
    def is_armed(self) -> bool:
        """The venue acknowledged a refresh that left recently enough."""
        return self._clock.monotonic_ns() < self._trusted_until_ns

    def distrust(self) -> None:
        """The way to the venue was lost: only a refresh over another one counts, and it is sent at the next tick."""
        self._trusted_until_ns = 0
        self._next_ns = 0
        self._generation += 1

    def refresh(self) -> None:
        """A way to the venue stands: refresh over it now."""
        self._next_ns = 0
        self.tick()

    def tick(self) -> None:
        """Refresh when it is time."""
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._next_ns:
            return
        self._next_ns = now_ns + int(self._countdown_ns * REFRESH_SHARE)
        generation = self._generation

        def on_answer(answer: Answer) -> None:
            self._on_answer(answer)
            if generation == self._generation:
                self._answered(answer, now_ns)

        try:
            self._entry.write(CANCEL_ON_DISCONNECT, self._body, on_answer, timeout_s=ANSWER_S, release=lambda: True)
        except VenueUnavailable as error:
            self._failed(str(error))

    def _answered(self, answer: Answer, sent_ns: int) -> None:
        if isinstance(answer, Reply):
            try:
                if self._codec.decode(answer.body, CANCEL_ON_DISCONNECT.reply).result.ack:
                    self._trusted_until_ns = max(
                        self._trusted_until_ns, sent_ns + int(self._countdown_ns * TRUSTED_SHARE)
                    )
                    self._on_change()
                    return
            except DataError as error:
                self._failed(str(error))
                return
            self._failed("not acknowledged")
        else:
            self._failed(f"{answer.code} {answer.text}" if isinstance(answer, Refusal) else answer.reason)

    def _failed(self, reason: str) -> None:
        retry_ns = self._clock.monotonic_ns() + int(RETRY_S * NS_PER_S)
        self._next_ns = min(self._next_ns, retry_ns)
        _log.warning("dead_man_not_refreshed", reason=reason)
