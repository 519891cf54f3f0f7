"""What a command came to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec


class Answer(msgspec.Struct, frozen=True):
    """What a command came to, so far."""

    state: Literal["accepted", "done", "refused"]
    text: str = ""


def refused(text: str) -> Callable[[], Answer]:
    """Return the answer that says why a command is not carried out."""
    return lambda: Answer("refused", text)
