"""From a table of objects to both encodings: full names inside, full or lite names on the wire (protocol page §2).

A decoder must be driven by the schema: lite names are unique only inside one object. Inside the exchange a message is a
dict with full names; `Schema.encode` writes either encoding of it and `Schema.decode` reads either, checks every type,
drops nulls and unknown keys, and turns decimals and integers in strings into `Decimal` and `int`.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from perpmaker.errors import PerpmakerError
from perpmaker.exchange.grvt.enums import ENUMS

Message = dict[str, Any]
"""One object with full names."""

_DECIMAL: Final = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,2})?", re.ASCII)
_HEX: Final = re.compile(r"0[xX][0-9a-fA-F]{0,128}")
_DIGITS: Final = re.compile(r"\d{1,20}", re.ASCII)
_INTEGER: Final = re.compile(r"-?\d{1,20}", re.ASCII)


_MOST_OPENERS: Final = 5_000
"""Brackets and braces of one body; a bulk request of 100 orders has under 1,000. The decoder bears 20,000 nested."""


class Malformed(PerpmakerError):
    """A body is not what the schema says (the venue's error 1003); the text names the place."""


class Encoding(enum.Enum):
    FULL = "full"
    LITE = "lite"


class Member(msgspec.Struct, frozen=True):
    """One member of an object: its two names, and what it holds.

    `required` is about requests, `always` about what the venue sends. `others` are further full names that clients are
    known to send for it.
    """

    name: str
    lite: str
    kind: str
    is_list: bool
    required: bool
    always: bool
    others: tuple[str, ...] = ()

    def wire_names(self, encoding: Encoding) -> tuple[str, ...]:
        return (self.name, *self.others) if encoding is Encoding.FULL else (self.lite,)


Shape = tuple[Member, ...]


def parse_table(text: str) -> dict[str, Shape]:
    """Read objects in the form `objects.OBJECTS` documents."""
    shapes: dict[str, Shape] = {}
    for block in text.strip().split("\n\n"):
        title, *lines = block.splitlines()
        shapes[title.strip()] = tuple(parse_member(line) for line in lines)
    return shapes


def parse_member(line: str) -> Member:
    names, lite, kind = line.split()
    name, *others = names.split("|")
    mark = kind[-1] if kind[-1] in "?+" else ""
    base = kind.rstrip("?+")
    return Member(
        name=name,
        lite=lite,
        kind=base.removesuffix("[]"),
        is_list=base.endswith("[]"),
        required=not mark,
        always=mark != "?",
        others=tuple(others),
    )


class Schema:
    """Encodes and decodes messages by a table of shapes."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self.shapes = dict(shapes)

    def encode(self, shape: Shape, message: Message, encoding: Encoding) -> bytes:
        """Write `message`, whose members are JSON values already."""
        return msgspec.json.encode(self.to_wire(shape, message, encoding))

    def to_wire(self, shape: Shape, message: Message, encoding: Encoding) -> Message:
        """Return `message` with the names of `encoding`; the full encoding is the message itself."""
        return message if encoding is Encoding.FULL else self._to_lite(shape, message)

    def _to_lite(self, shape: Shape, message: Message) -> Message:
        lite: Message = {}
        for member in shape:
            if member.name not in message:
                continue
            value = message[member.name]
            inner = self.shapes.get(member.kind)
            if inner is not None and value is not None:
                value = [self._to_lite(inner, row) for row in value] if member.is_list else self._to_lite(inner, value)
            lite[member.lite] = value
        return lite

    def from_wire(self, shape: Shape, wire: Any, encoding: Encoding, where: str = "body") -> Message:
        """Check and convert a parsed JSON value to a message with full names."""
        if not isinstance(wire, dict):
            raise Malformed(f"{where} is not an object")
        message: Message = {}
        for member in shape:
            value = next((wire[key] for key in member.wire_names(encoding) if wire.get(key) is not None), None)
            place = f"{where}.{member.name}"
            if value is None or (value == "" and not member.required):
                if member.required:
                    raise Malformed(f"{place} is missing")
                continue
            if not member.is_list:
                message[member.name] = self._value(member, value, encoding, place)
            elif isinstance(value, list):
                message[member.name] = [self._value(member, v, encoding, place) for v in value if v is not None]
            else:
                raise Malformed(f"{place} is not a list")
        return message

    def _value(self, member: Member, value: Any, encoding: Encoding, where: str) -> Any:
        inner = self.shapes.get(member.kind)
        if inner is not None:
            return self.from_wire(inner, value, encoding, where)
        reader = _READERS.get(member.kind)
        if reader is not None:
            return reader(value, where)
        if value not in ENUMS[member.kind]:
            raise Malformed(f"{where} is not one of the names of {member.kind}")
        return value

    def defects(self, shape: Shape, message: Any, where: str = "") -> list[str]:
        """Return what is wrong with a message the exchange sends, by the types official clients insist on."""
        if not isinstance(message, dict):
            return [f"{where}: not an object"]
        known = {member.name: member for member in shape}
        found = [f"{where}.{key}: not in the schema" for key in message if key not in known]
        for name, member in known.items():
            place = f"{where}.{name}"
            if name not in message:
                if member.always:
                    found.append(f"{place}: missing")
                continue
            values = message[name] if member.is_list else [message[name]]
            if not isinstance(values, list):
                found.append(f"{place}: not a list")
                continue
            for value in values:
                inner = self.shapes.get(member.kind)
                if inner is not None:
                    found += self.defects(inner, value, place)
                elif not _SENT[member.kind](value) if member.kind in _SENT else value not in ENUMS[member.kind]:
                    found.append(f"{place}: {value!r} is not a {member.kind}")
        return found


def parse_json(raw: bytes | str) -> Any:
    """Parse JSON text; any failure, also of nesting or of UTF-8, is Malformed.

    Nesting is bounded here: the decoder minds Python's recursion limit, which a library may have lifted beyond what the
    C stack bears (`exchange.ethereum`).
    """
    openers = raw.count(b"[") + raw.count(b"{") if isinstance(raw, bytes) else raw.count("[") + raw.count("{")
    if openers > _MOST_OPENERS:
        raise Malformed("too deep, or too much")
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Malformed("not JSON") from error


def _read_decimal(value: Any, where: str) -> Decimal:
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _DECIMAL.fullmatch(text):
        raise Malformed(f"{where} is not a decimal")
    return Decimal(text)


def _read_unsigned(value: Any, where: str) -> int:
    """A 64-bit id: a decimal string by the schema; a JSON integer is taken too."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _DIGITS.fullmatch(text) or int(text) >= 1 << 64:
        raise Malformed(f"{where} is not an unsigned 64-bit integer")
    return int(text)


def _read_integer(value: Any, where: str) -> int:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _INTEGER.fullmatch(text) or not -(1 << 63) <= int(text) < 1 << 63:
        raise Malformed(f"{where} is not an integer")
    return int(text)


def _read_hex(value: Any, where: str) -> str:
    if isinstance(value, str) and (value == "0" or _HEX.fullmatch(value)):
        return value.lower()
    raise Malformed(f"{where} is not a hex string")


def _read_text(value: Any, where: str) -> str:
    if isinstance(value, str) and len(value) <= 4096:
        return value
    raise Malformed(f"{where} is not a string")


def _read_flag(value: Any, where: str) -> bool:
    if isinstance(value, bool):
        return value
    raise Malformed(f"{where} is not a boolean")


def _read_broker(value: Any, where: str) -> str:
    """Any tag is taken (hummingbot sends one of its own); only those of the enum are echoed, as typed clients insist."""
    tag = _read_text(value, where)
    return tag if tag in ENUMS["BrokerTag"] else "UNSPECIFIED"


_READERS: Final[dict[str, Callable[[Any, str], Any]]] = {
    "str": _read_text,
    "dec": _read_decimal,
    "u64": _read_unsigned,
    "i64": _read_integer,
    "ns": _read_integer,
    "int": _read_integer,
    "hex": _read_hex,
    "addr": _read_hex,
    "bool": _read_flag,
    "broker": _read_broker,
}


def _is_text_of(pattern: str) -> Callable[[Any], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


_SENT: Final[dict[str, Callable[[Any], bool]]] = {
    "str": _is_text_of(r"[^\x00-\x1f]*"),
    "dec": _is_text_of(r"-?\d+(\.\d+)?"),
    "u64": _is_text_of(r"\d{1,20}"),
    "i64": _is_text_of(r"-?\d{1,19}"),
    "ns": _is_text_of(r"\d{1,19}"),
    "hex": _is_text_of(r"0x[0-9a-f]+"),
    "addr": _is_text_of(r"0x([0-9a-f]{40}|00)"),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "bool": lambda value: isinstance(value, bool),
    "broker": lambda value: value in ENUMS["BrokerTag"],
}
"""What a value the exchange sends must look like."""
