"""An engine as `perpmaker run` starts it, on a loop that takes the processor time of each of its callbacks.

Arguments: configuration, home, seconds to pass by, seconds to listen. Then prints one line with all figures, and goes on
until its standard input ends. A callback is what the loop runs without a pause: a step of a task, a timer, a frame of a
WebSocket. Garbage collections are inside callbacks; they are told beside as well.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

from perpmaker import config, logs
from perpmaker.cli.supervision import end_with_parent
from perpmaker.engine import live
from perpmaker.venues.transport.link import Link

_now = time.thread_time_ns


class Kept:
    """Nanoseconds of processor time of everything that ran, by kind."""

    def __init__(self) -> None:
        self.of = {name: array("q") for name in ("steps", "frames", "collections")}
        self._collecting = 0

    def clear(self) -> None:
        for values in self.of.values():
            del values[:]

    def collected(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = _now()
        else:
            self.of["collections"].append(_now() - self._collecting)


class Measured(uvloop.Loop):
    """uvloop, whose callbacks are timed. What a socket's reading calls is not scheduled: `timed_frames` does these."""

    kept: Kept

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> Any:
        return super().call_soon(self._timed(callback), *args, context=context)

    def call_soon_threadsafe(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> Any:
        return super().call_soon_threadsafe(self._timed(callback), *args, context=context)

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any, context: Any = None) -> Any:
        return super().call_later(delay, self._timed(callback), *args, context=context)

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None) -> Any:
        return super().call_at(when, self._timed(callback), *args, context=context)

    def _timed(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        kept = self.kept.of["steps"].append

        def timed(*args: Any) -> None:
            began = _now()
            try:
                callback(*args)
            finally:
                kept(_now() - began)

        return timed


def timed_frames(kept: Kept) -> None:
    """Take the time of each frame of each WebSocket of the engine."""
    original, keep = Link.on_ws_frame, kept.of["frames"].append

    def on_ws_frame(self: Link, transport: Any, frame: Any) -> None:
        began = _now()
        try:
            original(self, transport, frame)
        finally:
            keep(_now() - began)

    Link.on_ws_frame = on_ws_frame  # type: ignore[method-assign]


def main() -> None:
    path, home, pass_by_s, listen_s = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    kept = Measured.kept = Kept()
    timed_frames(kept)
    gc.callbacks.append(kept.collected)

    def made() -> Measured:
        loop = Measured()
        uvloop.Loop.call_later(loop, pass_by_s, kept.clear)
        uvloop.Loop.call_later(loop, pass_by_s + listen_s, say)
        return loop

    def say() -> None:
        print(json.dumps({name: values.tolist() for name, values in kept.of.items()}), flush=True)

    live.new_loop = made
    end_with_parent()
    live.run(config.load(path), home, logs.configure(level="WARNING"))


main()
