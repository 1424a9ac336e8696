"""Finds what in a state cannot be pickled, and names its place: the error of pickle names only a type."""

from __future__ import annotations

import copyreg
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any

OBJECTS_MAX = 1_000_000

_PLAIN = (int, float, complex, str, bytes, bytearray, bool, type(None), type, ModuleType, range, slice)

Reducers = Mapping[type, Callable[[Any], Any]]


def first_unpicklable(state: object, reducers: Reducers) -> str | None:
    """The path from `state` to the nearest object that refuses to be pickled, such as ``state[0].actors[1].file``;
    None when it is not among the first `OBJECTS_MAX` objects.
    """
    waiting: deque[tuple[str, Any]] = deque([("state", state)])
    seen: dict[int, Any] = {}  # holds the objects, so that no id is used twice
    while waiting and len(seen) < OBJECTS_MAX:
        path, value = waiting.popleft()
        if isinstance(value, _PLAIN) or id(value) in seen:
            continue
        seen[id(value)] = value
        try:
            waiting.extend(_parts(path, value, reducers))
        except Exception:
            return f"{path} ({type(value).__name__})"
    return None


def _parts(path: str, value: Any, reducers: Reducers) -> Iterator[tuple[str, Any]]:
    """What `value` consists of, each with its path. Raises what `value` raises when it is pickled."""
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return iter([(f"{path}[{index}]", item) for index, item in enumerate(value)])
    if isinstance(value, dict):
        items = [(f"{path}[{key!r}]", item) for key, item in value.items()]
        return iter([*items, *((f"{path}[{key!r}] (key)", key) for key in value)])
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return iter([(f"{path} closure", item) for item in cells])
    reducer = reducers.get(type(value)) or copyreg.dispatch_table.get(type(value))
    reduced = reducer(value) if reducer is not None else value.__reduce_ex__(5)
    return iter(_of_reduced(path, reduced))


def _of_reduced(path: str, reduced: Any) -> list[tuple[str, Any]]:
    if isinstance(reduced, str):
        return []
    _, args, state, items, pairs = (*reduced, None, None, None)[:5]
    found = [(f"{path}({index})", item) for index, item in enumerate(args)]
    states = state if isinstance(state, tuple) and len(state) == 2 else (state,)
    for part in states:
        if isinstance(part, dict):
            found += [(f"{path}.{name}", item) for name, item in part.items()]
        elif part is not None:
            found.append((f"{path} state", part))
    found += [(f"{path}[{index}]", item) for index, item in enumerate(items or ())]
    return found + [(f"{path}[{key!r}]", item) for key, item in pairs or ()]
