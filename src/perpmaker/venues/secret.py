"""Text that must never leave the process by accident: keys, cookies, passphrases."""

from __future__ import annotations

from typing import NoReturn


class Secret:
    """Holds a secret text; only `reveal()` gives it back.

    No repr, str, format, pickle, copy, JSON or attribute listing shows it, so it can stand in a log line, an exception or a
    configuration dump without harm.
    """

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        """Return the text itself, for the one place that must send or use it."""
        return self.__text

    def __bool__(self) -> bool:
        return bool(self.__text)

    def __repr__(self) -> str:
        return "[redacted]"

    def __format__(self, spec: str) -> str:
        return format("[redacted]", spec)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled or copied")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret cannot be pickled or copied")
