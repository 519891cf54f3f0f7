"""Strategies of one's own: a class in a file that a configuration names, `kind = "my_maker.py:MyMaker"`.

A configuration alone names such files (`config.read` makes them whole paths); nothing that comes over the control API or
out of a journal does. The file is run once in each process, as it was then. What is wrong with it is a ConfigError that
names the file, the line and what to do, before anything is started.
"""

from __future__ import annotations

import functools
import re
import sys
import traceback
import types
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from perpmaker.errors import ConfigError
from perpmaker.strategies.api import HOOKS, Strategy, StrategyParams
from perpmaker.strategies.schema import table_schema

_KIND: Final = re.compile(r"(?P<file>.+\.py):(?P<name>[^\W\d]\w*)")
_COMMON_KEYS: Final = ("name", "kind", "account")
"""Keys of every `[[strategy]]` table, read before a strategy sees its own."""


def is_own(kind: str) -> bool:
    """Whether a kind names a class in a file."""
    return _KIND.fullmatch(kind) is not None


def shown_kind(kind: str) -> str:
    """Return a kind as people see it: of a file its name alone."""
    found = _KIND.fullmatch(kind)
    return kind if found is None else f"{Path(found['file']).name}:{found['name']}"


def code_of(kind: str) -> bytes:
    """Return a digest of the file's text as it was read, b"" for a strategy that perpmaker brings."""
    found = _KIND.fullmatch(kind)
    return b"" if found is None else blake2b(_read(Path(found["file"])).encode(), digest_size=16).digest()


@functools.cache
def own_class(kind: str) -> type[Strategy[Any]]:
    """Return the class that a kind names; raise ConfigError when the file or the class is not what it has to be."""
    found = _KIND.fullmatch(kind)
    if found is None:
        raise ConfigError(f"kind = {kind!r}: does not name a class in a file; say FILE.py:CLASS")
    path = Path(found["file"])
    try:
        cls = _class_in(_module(path), found["name"])
        problems = list(_problems(cls))
    except ConfigError as error:
        raise ConfigError(f"kind = {kind!r}: {error}") from error.__cause__
    if problems:
        raise ConfigError("\n".join(f"kind = {kind!r}: {problem}" for problem in problems))
    return cls


@functools.cache
def _read(path: Path) -> str:
    if not path.is_absolute():
        raise ConfigError("the file has to be named by a configuration file, or by its whole path")
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(
            f"there is no such file; a relative name counts from the configuration's folder, {path.parent}"
        ) from error
    except OSError as error:
        raise ConfigError(f"the file cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"the file is not UTF-8 text (byte {error.start})") from error


def _module(path: Path) -> types.ModuleType:
    """Run a file as a module of its own; its text is compiled anew, so that no stale bytecode counts."""
    text = _read(path)
    module = types.ModuleType(f"own_{path.stem}_{blake2b(str(path).encode(), digest_size=4).hexdigest()}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # where annotations are looked up
    try:
        exec(compile(text, str(path), "exec", dont_inherit=True), module.__dict__)  # noqa: S102 (a file of the user's)
    except Exception as error:
        del sys.modules[module.__name__]
        raise ConfigError(_why_not(error, path)) from error
    return module


def _why_not(error: Exception, path: Path) -> str:
    """Say what a file raised, and in which of its lines."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno} is not Python: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    place = f"line {lines[-1]} raised " if lines else ""
    said = f"{place}{type(error).__name__}: {error}"
    if isinstance(error, ModuleNotFoundError):
        said += "; a strategy imports from perpmaker and from installed packages, not from files beside it"
    return said


def _class_in(module: types.ModuleType, name: str) -> type[Strategy[Any]]:
    found = getattr(module, name, None)
    if isinstance(found, type) and issubclass(found, Strategy) and found is not Strategy:
        return found
    there = [
        key
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Strategy) and value.__module__ == module.__name__
    ]
    known = f"it has {', '.join(there)}" if there else "it has none"
    if found is None:
        raise ConfigError(f"the file has no {name}; allowed is a class derived from Strategy: {known}")
    raise ConfigError(f"{name} is not a class derived from Strategy; {known}")


def _problems(cls: type[Strategy[Any]]) -> Iterator[str]:
    """Yield what would only be noticed later, or never: keys that cannot be given, hooks that nobody calls."""
    params = cls.params_type
    named = [
        argument
        for base in getattr(cls, "__orig_bases__", ())
        for argument in get_args(base)
        if isinstance(argument, type) and issubclass(argument, StrategyParams)
    ]
    if named and named[0] is not params:
        yield f"its parameters are {named[0].__name__}: say params_type = {named[0].__name__} in {cls.__name__}"
        return
    if not (isinstance(params, type) and issubclass(params, StrategyParams)):
        yield f"params_type = {params!r}: must be a class derived from StrategyParams"
        return
    fields = {field.name: field for field in msgspec.structs.fields(params)}
    for name in fields.keys() & set(_COMMON_KEYS):
        yield f"{params.__name__}.{name}: is a key of every [[strategy]]; give it another name"
    try:
        table_schema(params)
    except (KeyError, TypeError, AttributeError):
        yield (
            f"{params.__name__}: a key must be a bool, int, float, Decimal, str, a Literal of names or a Table, "
            "as Annotated[TYPE, key(UNIT, MEANING, ...)]"
        )
    known = {*HOOKS, *(name for base in cls.__mro__[1:] for name in vars(base))}
    for name in vars(cls):
        if name.startswith("on_") and name not in known:
            yield f"{cls.__name__}.{name}: is no hook, nothing calls it; hooks are {', '.join(HOOKS)}"
