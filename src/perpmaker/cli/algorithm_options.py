"""The algorithms' parameters as options of the command line, and back to an algorithm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import click
import msgspec

from perpmaker.errors import ConfigError
from perpmaker.model.quote import ALGORITHM_NAMES, Algorithm, Iceberg, Peg, Pov, Sweep, Twap, algorithm_named

Command = TypeVar("Command", bound=Callable[..., Any])

MEANING: Final[Mapping[str, str]] = {
    "max_slippage_bps": "Cap: the worst price, in basis points from the arrival price. peg: of the resting price.",
    "take_max_slippage_bps": "peg: cap of the sweep at its end.",
    "cap_from": "Arrival price the cap counts from: touch or mid.",
    "depth_haircut": "Share of the visible depth that is believed in.",
    "depth_levels": "Levels of the book that are looked at.",
    "max_children": "sweep: at most so many orders.",
    "aim_children": "sweep: about so many orders are aimed at.",
    "child_timeout_ms": "An order without an end after this is cancelled.",
    "deadline_ms": "sweep: how long it may take; 0 works it out, 5 to 20 s.",
    "patience_ms": "sweep: how long to wait while nothing is offered inside the cap; default until the deadline.",
    "stale_patience_ms": "sweep: how long a book that must not be traded on is borne.",
    "first_child_offset_ticks": "sweep: ticks worse than the covering price, first order.",
    "retry_offset_ticks": "sweep: ticks worse for every further order ...",
    "max_offset_ticks": "sweep: ... up to so many.",
    "first_child_haircut": "sweep: haircut of the first order alone.",
    "chunk_qty": "sweep: largest quantity of one order; chunked needs it.",
    "leftover": "sweep: what becomes of what could not be done: hold or rest (at the touch).",
    "rest_ms": "sweep with leftover rest: how long it rests.",
    "alert_slippage_bps": "Warn when slippage ends above this.",
    "duration_ms": "twap, pov, iceberg: how long it works at most.",
    "slices": "twap: in how many orders.",
    "slice_slippage_bps": "twap: cap of one order from the touch it meets.",
    "participation": "pov: our share of all volume, above 0 to 1.",
    "child_slippage_bps": "pov: cap of one order from the touch it meets.",
    "display_qty": "iceberg, peg: shown at a time.",
    "limit_px": "iceberg: never worse than this price.",
    "repeg_ms": "iceberg, peg: a resting order stays at least this long.",
    "maker_ms": "peg: how long it rests before it takes.",
}
"""Every parameter of every algorithm; those of peg's sweep that peg has none of its own of need no prefix."""


def algorithm_options(command: Command) -> Command:
    """Decorate a command with an option for every parameter; each arrives as text, None when it is not given."""
    for name, meaning in reversed(tuple(MEANING.items())):
        command = click.option(f"--{name.replace('_', '-')}", name, metavar=_metavar(name), help=meaning)(command)
    return command


def read_algorithm(name: str, given: Mapping[str, str | None]) -> tuple[Algorithm, dict[str, str]]:
    """Return the algorithm and its parameters as the engine takes them; ConfigError names key, value, what is allowed."""
    if name not in ALGORITHM_NAMES:
        raise ConfigError(f"--algo {name}: allowed: {', '.join(ALGORITHM_NAMES)}")
    parameters = {key: value for key, value in given.items() if value is not None}
    if name == "peg":
        own = {field.name for field in msgspec.structs.fields(Peg)}
        parameters = {
            key if key in own or key.startswith("take_") else f"take_{key}": v for key, v in parameters.items()
        }
    for key, value in parameters.items():
        allowed = _allowed(name, key)
        if allowed is None:
            known = ", ".join(f"--{field.replace('_', '-')}" for field in _fields(name))
            raise ConfigError(f"--{key.replace('_', '-')} {value}: {name} has no such option; allowed: {known}")
        if allowed and value not in allowed:
            raise ConfigError(f"--{key.replace('_', '-')} {value}: allowed: {', '.join(allowed)}")
    try:
        return algorithm_named(name, parameters), parameters
    except ValueError as error:
        raise ConfigError(f"--algo {name}: {str(error).removeprefix(f'{name}: ')}") from None


def _fields(name: str) -> list[str]:
    """Return the options of an algorithm."""
    found = [field.name for field in msgspec.structs.fields(_kind(name)) if field.name != "take"]
    if name == "peg":
        found += [field.name for field in msgspec.structs.fields(Sweep) if field.name not in found]
        found.append("take_max_slippage_bps")
    return [field for field in found if field in MEANING]


def _allowed(name: str, key: str) -> tuple[str, ...] | None:
    """Return the words that a parameter may be, () where it is not one of a few, None where there is no such one."""
    kind = _kind(name)
    if name == "peg" and key.startswith("take_"):
        kind, key = Sweep, key.removeprefix("take_")
    field = next((field for field in msgspec.structs.fields(kind) if field.name == key), None)
    if field is None:
        return None
    shape = msgspec.inspect.type_info(field.type)
    if not isinstance(shape, msgspec.inspect.LiteralType):
        return ()
    return tuple(str(value) for value in shape.values if value != "unwind")  # a pair's business


def _kind(name: str) -> type[Algorithm]:
    kinds: dict[str, type[Algorithm]] = {"twap": Twap, "pov": Pov, "iceberg": Iceberg, "peg": Peg}
    return kinds.get(name, Sweep)


def _metavar(name: str) -> str:
    if name in ("cap_from", "leftover"):
        return "WORD"
    return {"bps": "BPS", "ms": "MS", "qty": "QTY", "px": "PRICE"}.get(name.rpartition("_")[2], "N")
