"""Structured logs: one event name in the past tense plus fields, for people; the journal is the truth for machines.

Lines are encoded on the caller's thread and written by a listener's, so a slow disk or terminal never stops trading. What
looks like a secret, and every value registered as one, is redacted before a line leaves the caller.
"""

from __future__ import annotations

import atexit
import logging
import logging.handlers
import queue
import re
import sys
from collections import deque
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any, Final

import structlog

REDACTED: Final = "[redacted]"
_SECRET_KEYS = re.compile(
    r"(api_?key|private_?key|secret|password|passphrase|token|cookie|signature|authorization)", re.IGNORECASE
)
_SECRET_VALUES = re.compile(r"(gravity=[^;\s\"']+|Bearer\s+\S+|0x[0-9a-fA-F]{64}\b)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_MAX_TEXT = 2000
_known_secrets: set[str] = set()

Logger = structlog.typing.FilteringBoundLogger


def register_secret(value: str) -> None:
    """Never let `value` through, whatever field or text it stands in. Values under 8 characters are left alone."""
    if len(value) >= 8:
        _known_secrets.add(value)


def redacted(text: str) -> str:
    """Return `text` with everything that is or looks like a secret replaced, control characters escaped, length capped."""
    for secret in _known_secrets:
        if secret in text:
            text = text.replace(secret, REDACTED)
    text = _SECRET_VALUES.sub(REDACTED, text)
    text = _CONTROL.sub(lambda found: f"\\x{ord(found.group()):02x}", text)
    return text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "…"


def redact_event(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Structlog processor: redact by field name and by value."""
    for key, value in event.items():
        if _SECRET_KEYS.search(key) and value is not None and not isinstance(value, bool):
            event[key] = REDACTED
        elif isinstance(value, str):
            event[key] = redacted(value)
        elif not isinstance(value, int | float | type(None)):
            event[key] = redacted(str(value))
    return event


class RecentLines(logging.Handler):
    """Keeps the last lines for the page: `lines` holds (number, text), the numbers without a break."""

    def __init__(self, capacity: int = 3000) -> None:
        super().__init__()
        self.lines: deque[tuple[int, str]] = deque(maxlen=capacity)
        self._number = 0

    def emit(self, record: logging.LogRecord) -> None:
        self._number += 1
        self.lines.append((self._number, record.getMessage()))

    def since(self, number: int) -> list[tuple[int, str]]:
        """Return the kept lines after `number`."""
        return [line for line in tuple(self.lines) if line[0] > number]


def configure(*, level: str = "INFO", file: Path | None = None, as_json: bool = False) -> RecentLines:
    """Set logging up for this process: stderr, an optional rotated file (0600, 5 x 20 MB), and the recent lines."""
    recent = RecentLines()
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr), recent]
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        rotating = logging.handlers.RotatingFileHandler(file, maxBytes=20_000_000, backupCount=5, encoding="utf-8")
        file.chmod(0o600)
        handlers.append(rotating)
    buffer: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(buffer, *handlers)
    root = logging.getLogger()
    root.handlers = [_Queue(buffer)]
    root.setLevel(logging.WARNING)
    logging.getLogger("perpmaker").setLevel(level)
    listener.start()
    atexit.register(listener.stop)
    render: Callable[..., Any] = structlog.processors.JSONRenderer() if as_json else _line
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.format_exc_info,
            redact_event,
            render,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    return recent


def get(name: str) -> Any:
    """Return the logger of `perpmaker.NAME`; bind ids with `.bind(account=..., instrument=...)`."""
    return structlog.get_logger(f"perpmaker.{name}")


class _Queue(logging.handlers.QueueHandler):
    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        record.msg = redacted(record.getMessage())  # third-party loggers pass here too
        if record.exc_info:
            text = logging.Formatter().formatException(record.exc_info)
            record.msg = f"{record.msg}\n{redacted(text)}"
        record.args = None
        record.exc_info = None
        return record


def _line(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    head = f"{event.pop('ts', '')} {event.pop('level', ''):<7} {event.pop('event', '')}"
    fields = " ".join(f"{key}={_value(value)}" for key, value in event.items())
    return f"{head} {fields}".rstrip()


def _value(value: Any) -> str:
    text = str(value)
    return f'"{text}"' if " " in text else text
