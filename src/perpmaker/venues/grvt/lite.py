"""The lite encoding: the same objects with short keys (protocol page §2).

An object is written once, with its full keys; `lite("oi sa ...")` names its short ones in field order. The type that
decodes and encodes the short form is made from it, is a subclass of it, and so is read by the same code.
"""

from __future__ import annotations

import enum
import functools
import types
from collections.abc import Callable
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin

import msgspec

T = TypeVar("T", bound=msgspec.Struct)

_SHORT_KEYS: Final[dict[type, tuple[str, ...]]] = {}


class Encoding(enum.Enum):
    """Which keys travel. The value is also the path prefix and the last part of the socket's path."""

    FULL = "full"
    LITE = "lite"


def lite(keys: str) -> Callable[[type[T]], type[T]]:
    """Register an object's short keys, one per field, in field order."""
    short = tuple(keys.split())

    def register(cls: type[T]) -> type[T]:
        if len(short) != len(cls.__struct_fields__) or len(set(short)) != len(short):
            raise TypeError(f"{cls.__name__}: {len(cls.__struct_fields__)} fields, short keys {short}")
        _SHORT_KEYS[cls] = short
        return cls

    return register


def short_keys(cls: type[msgspec.Struct]) -> dict[str, str]:
    """Return full key -> short key of a registered object."""
    return dict(zip(cls.__struct_fields__, _SHORT_KEYS[cls], strict=True))


def in_encoding(cls: type[T], encoding: Encoding) -> type[T]:
    """Return the type that speaks `encoding`: the object itself, or its subclass with short keys."""
    return cls if encoding is Encoding.FULL else cast("type[T]", _lite_type(cls))


@functools.cache
def _lite_type(cls: Any) -> Any:
    """Short-key twin of a struct, or of any annotation that contains one."""
    origin = get_origin(cls)
    if cls in _SHORT_KEYS or origin in _SHORT_KEYS:
        return _lite_struct(cls, origin or cls)
    if origin in {list, tuple, dict}:
        return origin[tuple(_lite_type(part) for part in get_args(cls))]
    if origin in {Union, types.UnionType}:
        return Union[tuple(_lite_type(part) for part in get_args(cls))]  # noqa: UP007 (built at run time)
    return cls


def _lite_struct(cls: Any, base: type) -> Any:
    fields: list[tuple[str, Any, Any]] = []
    for short, info in zip(_SHORT_KEYS[base], msgspec.structs.fields(cls), strict=True):
        default: dict[str, Any] = {}
        if info.default is not msgspec.NODEFAULT:
            default = {"default": info.default}
        elif info.default_factory is not msgspec.NODEFAULT:
            default = {"default_factory": info.default_factory}
        fields.append((info.name, _lite_type(info.type), msgspec.field(name=short, **default)))
    config = base.__struct_config__  # type: ignore[attr-defined]
    return msgspec.defstruct(
        f"Lite{base.__name__}",
        fields,
        bases=(base,),
        module=__name__,
        frozen=config.frozen,
        omit_defaults=config.omit_defaults,
        gc=config.gc,
    )
