"""How a kernel is compiled: one typed door to `numba.njit`, and the array types that its signatures name.

Every kernel has an explicit signature, so that a read-only column (a view of message bytes, a memory map) and a
writable one share one specialisation, and a strided view is refused with a TypeError instead of being compiled anew.
Never `fastmath`: it changes the last bits.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit, types

_Function = TypeVar("_Function", bound=Callable[..., Any])

I64: Any = types.int64
F64: Any = types.float64
BOOL: Any = types.boolean
COLUMN: Any = types.Array(types.int64, 1, "C", readonly=True)
"""An int64 column that the kernel only reads (it may be writable or not)."""
WORK: Any = types.Array(types.int64, 1, "C")
"""An int64 array that the kernel writes: state."""
TABLE: Any = types.Array(types.int64, 2, "C")
"""Rows of int64 results: one row a field."""
FLOATS: Any = types.Array(types.float64, 1, "C", readonly=True)
FLOAT_WORK: Any = types.Array(types.float64, 1, "C")


def kernel(signature: Any = None) -> Callable[[_Function], _Function]:
    """`@njit(cache=True)` with a signature, typed. With NUMBA_DISABLE_JIT=1 the function is left as it is."""
    if signature is None:
        return cast(Callable[[_Function], _Function], njit(cache=True))
    return cast(Callable[[_Function], _Function], njit(signature, cache=True))
