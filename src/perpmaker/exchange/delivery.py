"""Frames on their way to those who listen, and what fault rules do to them there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from perpmaker.exchange.faults import FaultSpec

Later = Callable[[int, Callable[[], None]], None]
"""Call something after so many milliseconds; the shell's event loop."""


class Listener(Protocol):
    """A socket, as a hub sees it."""

    def send(self, frame: bytes) -> None:
        """Take a frame to send; never blocks."""
        ...


class Delivery:
    """Sends frames, late or twice where rules say so, and counts them."""

    def __init__(self, later: Later) -> None:
        self._later = later
        self.frames_sent = 0

    def deliver(self, listeners: Sequence[Listener], frame: bytes, rules: Iterable[FaultSpec]) -> None:
        copies = 2 if any(rule.action == "duplicate" for rule in rules) else 1
        delay_ms = max((rule.ms for rule in rules if rule.action == "delay"), default=0)

        def send() -> None:
            for listener in listeners:
                for _ in range(copies):
                    listener.send(frame)

        self.frames_sent += copies * len(listeners)
        if delay_ms:
            self._later(delay_ms, send)
        else:
            send()


def is_lost(rules: Iterable[FaultSpec]) -> bool:
    """Whether rules keep a frame from being sent."""
    return any(rule.action in ("mute", "gap") for rule in rules)


def next_multiple_ns(now_ns: int, period_ns: int) -> int:
    """The next time after now that is a whole number of periods."""
    return (now_ns // period_ns + 1) * period_ns
