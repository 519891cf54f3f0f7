"""Compiling with numba, typed: the decorators keep a function's signature for mypy.

Compiled code is kept on disk beside the source (or in the user's cache where that is not writable), so that only the first
run ever waits for the compiler. numba judges by one file whether it is still valid, but a function contains what it calls
and the constants it names: so it is judged by everything in this package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def sources() -> str:
    """Return what names the sources of this package."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_SOURCES = sources()


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile on the first call, or load what an earlier process compiled. For what Python calls."""
    made: Any = numba.njit(cache=True, nogil=True)(function)
    made._cache._cache_file._source_stamp = _SOURCES
    return cast("Callable[P, R]", made)


def inner(function: Callable[P, R]) -> Callable[P, R]:
    """Compile as a part of the compiled functions that call it."""
    made: Any = numba.njit(nogil=True)(function)
    return cast("Callable[P, R]", made)
