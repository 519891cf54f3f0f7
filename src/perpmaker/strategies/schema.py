"""Parameters that explain themselves: one annotated field says its unit, its allowed range and its meaning.

    half_spread_bps: Annotated[float, key("bps", "Distance of the innermost quote from fair.", ge=0, le=1000)] = 5.0

From the same annotation come the check of a configuration table, its error texts and the reference documentation.
"""

from __future__ import annotations

import difflib
import functools
import math
import re
import types
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from perpmaker.model.ranges import is_usable

UNIT_SUFFIXES: Final = ("_bps", "_pct", "_percent", "_frac", "_ns", "_us", "_ms", "_s", "_min", "_h", "_usd")


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A configuration table; its fields are its keys."""

    def problems(self) -> Sequence[str]:
        """Return what is wrong between keys (a single key's range is in its `key`), one sentence each."""
        return ()


TableT = TypeVar("TableT", bound=Table)


class Key(msgspec.Struct, frozen=True):
    """Unit, meaning and allowed range of one key. `unit` is "" for names and pure numbers."""

    unit: str
    doc: str
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    def allows(self, value: float | Decimal) -> bool:
        return (
            (self.ge is None or value >= self.ge)
            and (self.gt is None or value > self.gt)
            and (self.le is None or value <= self.le)
            and (self.lt is None or value < self.lt)
        )

    def range_text(self) -> str:
        """Return the range in words, "" when every value is allowed."""
        bounds = ((">=", self.ge), (">", self.gt), ("<=", self.le), ("<", self.lt))
        return " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)


def key(
    unit: str,
    doc: str,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
) -> Key:
    """Annotate a field of a `Table`."""
    return Key(unit=unit, doc=doc, ge=ge, gt=gt, le=le, lt=lt)


class KeySchema(msgspec.Struct, frozen=True):
    """One key as people and documents see it; `name` is dotted inside nested tables, `default` None when required."""

    name: str
    type: str
    unit: str
    allowed: str
    required: bool
    default: str | None
    doc: str


def table_schema(table: type[Table], prefix: str = "") -> tuple[KeySchema, ...]:
    """Return every key of a table, nested tables in place, in the order they are declared."""
    rows: list[KeySchema] = []
    for field in _fields(table).values():
        if field.nested is not None:
            rows.extend(table_schema(field.nested, f"{prefix}{field.name}."))
            continue
        rows.append(
            KeySchema(
                name=prefix + field.name,
                type=_type_name(field),
                unit=field.key.unit,
                allowed=_allowed(field),
                required=field.required,
                default=None if field.required else _shown(field.default),
                doc=field.key.doc,
            )
        )
    return tuple(rows)


class SearchKey(msgspec.Struct, frozen=True):
    """One key as a search over parameters sees it. Bounds are the allowed range, None where there is none on that side."""

    name: str
    kind: Literal["integer", "number", "decimal", "flag", "name", "text"]
    low: float | None
    high: float | None
    default: Any
    """None: it has none, or it is none."""
    choices: tuple[str, ...]
    """Of a name."""

    def allows(self, value: float) -> bool:
        """Say whether a number lies within the bounds, the bounds included."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


def search_keys(table: type[Table], prefix: str = "") -> tuple[SearchKey, ...]:
    """Return every key of a table for a search, nested tables in place, in the order they are declared."""
    rows: list[SearchKey] = []
    for field in _fields(table).values():
        if field.nested is not None:
            rows.extend(search_keys(field.nested, f"{prefix}{field.name}."))
            continue
        is_name = get_origin(field.type) is Literal
        low = field.key.ge if field.key.ge is not None else field.key.gt
        high = field.key.le if field.key.le is not None else field.key.lt
        kind: Any = "name" if is_name else _SEARCH_KINDS[field.type]
        default = None if field.required else field.default
        choices = get_args(field.type) if is_name else ()
        rows.append(SearchKey(prefix + field.name, kind, low, high, default, choices))
    return tuple(rows)


_SEARCH_KINDS: Final[Mapping[Any, Any]] = {
    bool: "flag",
    str: "text",
    int: "integer",
    float: "number",
    Decimal: "decimal",
}


def read_table(
    table: type[TableT], values: Mapping[str, Any], prefix: str = ""
) -> tuple[TableT | None, tuple[str, ...]]:
    """Return the table made of `values` and every problem found; the table is None when there is any."""
    problems: list[str] = []
    fields = _fields(table)
    problems.extend(_unknown(name, value, fields, prefix) for name, value in values.items() if name not in fields)
    read: dict[str, Any] = {}
    stems = {_stem(name) for name in values if name not in fields}
    wrong = [name for name, field in fields.items() if _stem(name) in stems and not field.required]
    for field in fields.values():
        name = prefix + field.name
        if field.name not in values:
            if field.required:
                problems.append(f"{name} is missing: it must be {_allowed(field)}")
                wrong.append(field.name)
            continue
        value, found = _read_field(field, values[field.name], name)
        problems.extend(found)
        if found:
            wrong.append(field.name)
        else:
            read[field.name] = value
    if any(fields[name].required for name in wrong):
        return None, tuple(problems)
    made = table(**read)
    problems.extend(f"{prefix}{text}" for text in made.problems() if not _is_about(text, wrong))
    return (None, tuple(problems)) if problems else (made, ())


def _is_about(text: str, names: Sequence[str]) -> bool:
    """Say whether a cross-field problem names a field that is wrong by itself: its default was judged then."""
    return any(re.search(rf"\b{name}\b", text) for name in names)


class _Field(msgspec.Struct, frozen=True):
    name: str
    type: Any
    optional: bool
    nested: type[Table] | None
    key: Key
    required: bool
    default: Any


@functools.cache
def _fields(table: type[Table]) -> dict[str, _Field]:
    return {info.name: _field(info) for info in msgspec.structs.fields(table)}


def _field(info: msgspec.structs.FieldInfo) -> _Field:
    kind, meta = info.type, Key(unit="", doc="")
    if get_origin(kind) is Annotated:
        kind, *extras = get_args(kind)
        meta = next((extra for extra in extras if isinstance(extra, Key)), meta)
    optional = False
    if get_origin(kind) in (Union, types.UnionType):
        members = [member for member in get_args(kind) if member is not type(None)]
        optional, kind = True, members[0]
    kind = getattr(kind, "__supertype__", kind)
    return _Field(
        name=info.name,
        type=kind,
        optional=optional,
        nested=kind if isinstance(kind, type) and issubclass(kind, Table) else None,
        key=meta,
        required=info.required,
        default=None if info.required else _default(info),
    )


def _default(info: msgspec.structs.FieldInfo) -> Any:
    return info.default_factory() if info.default is msgspec.NODEFAULT else info.default


def _read_field(field: _Field, value: Any, name: str) -> tuple[Any, tuple[str, ...]]:
    if field.nested is not None:
        if not isinstance(value, Mapping):
            return None, (f"{name} = {value!r}: must be a table",)
        return read_table(field.nested, value, f"{name}.")
    try:
        read = _converted(field.type, value)
        fits = not isinstance(read, int | float | Decimal) or isinstance(read, bool) or field.key.allows(read)
    except (ValueError, OverflowError):  # an integer too long for a float
        fits = False
    if not fits:
        return None, (f"{name} = {_shown(value)}: must be {_allowed(field)}",)
    return read, ()


def _converted(kind: Any, value: Any) -> Any:
    """Return `value` as `kind`; raise ValueError when it is not one (no text is taken for a number)."""
    if get_origin(kind) is Literal:
        fits = value in get_args(kind) and isinstance(value, str)
    elif kind is bool:
        fits = isinstance(value, bool)
    elif kind is str:
        fits = isinstance(value, str) and value != ""
    elif kind is int:
        fits = isinstance(value, int) and not isinstance(value, bool)
    elif kind is float:
        fits = isinstance(value, int | float | Decimal) and not isinstance(value, bool) and math.isfinite(value)
        value = float(value) if fits else value
    elif kind is Decimal:
        value = _decimal(value)
        fits = is_usable(value)
    else:
        raise TypeError(f"{kind} is not a type a configuration key can have")
    if not fits:
        raise ValueError(value)
    return value


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError(value)
    try:
        return Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation as error:
        raise ValueError(value) from error


def _unknown(name: str, value: Any, fields: Mapping[str, _Field], prefix: str) -> str:
    said = f"{prefix}{name} = {_shown(value)}: unknown key"
    same_stem = [known for known in fields if _stem(known) == _stem(name)]
    near = same_stem or difflib.get_close_matches(name, fields, n=1)
    if not near:
        return f"{said}; known are {', '.join(fields)}"
    meant = fields[near[0]]
    return f"{said}; did you mean {meant.name}, {_allowed(meant)}?"


def _stem(name: str) -> str:
    for suffix in UNIT_SUFFIXES:
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name


_NOUNS: Final = {bool: "true or false", str: "a name", int: "a whole number", float: "a number", Decimal: "a number"}


def _allowed(field: _Field) -> str:
    if field.nested is not None:
        return "a table"
    if get_origin(field.type) is Literal:
        return "one of " + ", ".join(get_args(field.type))
    words = [_NOUNS[field.type], field.key.range_text()]
    text = " ".join(word for word in words if word)
    return f"{text}, in {field.key.unit}" if field.key.unit else text


def _type_name(field: _Field) -> str:
    if get_origin(field.type) is Literal:
        return "name"
    name = {bool: "bool", str: "text", int: "integer", float: "number", Decimal: "decimal"}[field.type]
    return f"{name}, optional" if field.optional else name


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float | Decimal) else repr(value)
