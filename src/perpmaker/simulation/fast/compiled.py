"""Compiling with numba, typed: the decorators keep a function's signature for mypy.

Compiled code is kept on disk beside the source (or in the user's cache where that is not writable), so that only the first
run ever waits for the compiler. numba judges by one file whether it is still valid, but a function contains what it calls
and the constants it names: so it is judged by everything in this package.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np import arrayobj as _arrayobj
from numba.np import linalg as _linalg

arrayobj: Any = _arrayobj
unpack_tuple: Any = cgutils.unpack_tuple

P = ParamSpec("P")
R = TypeVar("R")


def sources() -> str:
    """Return what names the sources of this package."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_SOURCES = sources()


def _find_blas_without_scipy() -> None:
    """Have numba believe that scipy has a BLAS, if it is there at all, without importing it.

    numba asks when it first compiles or loads anything, and importing scipy takes longer than all of that. Whoever does
    linear algebra in compiled code asks again; nothing here does.
    """
    linalg: Any = _linalg
    asks, linalg.ensure_blas = linalg.ensure_blas, _ask_for_scipy
    try:
        importlib.import_module("numba.np.arraymath")
    finally:
        linalg.ensure_blas = asks


def _ask_for_scipy() -> None:
    if find_spec("scipy") is None:
        raise ImportError("scipy is not installed")


_find_blas_without_scipy()


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile on the first call, or load what an earlier process compiled. For what Python calls."""
    made: Any = numba.njit(cache=True, nogil=True)(function)
    made._cache._cache_file._source_stamp = _SOURCES
    return cast("Callable[P, R]", made)


def inner(function: Callable[P, R]) -> Callable[P, R]:
    """Compile as a part of the compiled functions that call it."""
    made: Any = numba.njit(nogil=True)(function)
    return cast("Callable[P, R]", made)


def part(function: Callable[P, R]) -> Callable[P, R]:
    """Compile into the compiled functions that call it: for what is called from one place, or is a line or two.

    What is handed to a function that stands for itself is copied, and an array is seven numbers or more.
    """
    made: Any = numba.njit(nogil=True, inline="always")(function)
    return cast("Callable[P, R]", made)


def _ints_at(context: Any, address: Any, shape: Any) -> Any:
    """Make an array of 64-bit integers of what lies at an address; `shape` is a tuple."""
    kind = types.Array(types.int64, shape.count, "C")

    def made(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lengths = unpack_tuple(builder, arguments[1], shape.count)
        width = context.get_constant(types.intp, 8)
        strides = [width]
        for length in lengths[:0:-1]:
            strides.insert(0, builder.mul(strides[0], length))
        array = arrayobj.make_array(kind)(context, builder)
        data = builder.inttoptr(arguments[0], array.data.type)
        arrayobj.populate_array(array, data=data, shape=lengths, strides=strides, itemsize=width, meminfo=None)
        return array._getvalue()

    return kind(types.int64, shape), made


ints_at: Any = intrinsic(_ints_at)
"""(address, shape) -> the array of 64-bit integers that lies there, which its owner keeps alive.

An array that is handed over costs a compiled function far more: to unwrap, and to count references to at every call.
`numba.carray` does the same, and takes two seconds longer to compile.
"""
