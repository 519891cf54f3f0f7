"""Small hand-made frames, for tests that look at single values."""

from __future__ import annotations

from typing import Any

import msgspec
from tests.unit.dashboard.fake_engine import FakeEngine

from perpmaker.clock import ManualClock
from perpmaker.control.messages import CandleRow, Frame, LogLine

START_NS = ManualClock().now_ns()
_BASE = FakeEngine(START_NS).frame(1, since=None)


def a_frame(number: int = 1, *, full: bool = False, equity: str = "100", **parts: Any) -> Frame:
    """Return a frame with nothing in it but a status, and what is given."""
    status = msgspec.structs.replace(_BASE.status, equity=equity)
    empty: dict[str, Any] = {"books": {}, "candles": {}, "fills": [], "equity": [], "logs": []}
    return Frame(number=number, full=full, ts_ns=str(START_NS), status=status, **{**empty, **parts})


def a_candle(open_s: int, close: float) -> CandleRow:
    return CandleRow(open_s, close, close, close, close, 1.0)


def a_line(number: int, text: str = "quotes_replaced") -> LogLine:
    return LogLine(number, text)


BOOK = _BASE.books["BTC_USDT_Perp"]
FILL = _BASE.fills[0]
STATUS = _BASE.status
