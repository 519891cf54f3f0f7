"""A strategy's parameters as people type them, each a text: `clip = "0.5"`, `maker.timeout_s = "8"`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from perpmaker.errors import ConfigError
from perpmaker.strategies.registry import params_schema

_BOOLS: Final = {"true": True, "yes": True, "false": False, "no": False}


def table_of(kind: str, words: Mapping[str, str]) -> dict[str, Any]:
    """Return the `[[strategy]]` table that says the same as `words`, dotted names as tables of their own.

    A text that is not of its key's type is left as it is: `parse_params` then names it, and what is allowed. Raises
    ConfigError for a name that is both a key and a table of keys.
    """
    types = {row.name: row.type.partition(",")[0] for row in params_schema(kind)}
    table: dict[str, Any] = {}
    for name, text in words.items():
        *path, key = name.split(".")
        inner = table
        for part in path:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"{name}: {part} is a table, and was given as {inner!r} besides")
        inner[key] = _value(types.get(name, "text"), text)
    return table


def _value(kind: str, text: str) -> Any:
    read = _READ.get(kind)
    if read is None:
        return text
    try:
        return read(text)
    except (ValueError, KeyError):
        return text


_READ: Final[Mapping[str, Callable[[str], Any]]] = {
    "integer": int,
    "number": float,
    "bool": lambda text: _BOOLS[text.lower()],
}
"""Decimals and names are read from text anyway."""
