"""A small deterministic TOML writer: the same configuration always gives the same bytes.

Keys keep their order, plain values before tables, as TOML wants. None is left out, since TOML has no null.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}


def toml_text(document: Mapping[str, Any]) -> str:
    """The document as TOML. Decimals, paths and enums become strings. Raises TypeError for what TOML cannot hold."""
    lines: list[str] = []
    _write_table(document, (), lines)
    return "\n".join(lines).strip("\n") + "\n" if lines else ""


def _write_table(table: Mapping[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    items = [(str(key), value) for key, value in table.items() if value is not None]
    for key, value in items:
        if not _is_table(value) and not _is_table_array(value):
            lines.append(f"{_key(key)} = {_value(value, (*path, key))}")
    for key, value in items:
        inner = (*path, key)
        heading = ".".join(_key(part) for part in inner)
        if _is_table(value):
            lines.extend(["", f"[{heading}]"])
            _write_table(value, inner, lines)
        elif _is_table_array(value):
            for element in value:
                lines.extend(["", f"[[{heading}]]"])
                _write_table(element, inner, lines)


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_table_array(value: object) -> bool:
    return isinstance(value, (list, tuple)) and len(value) > 0 and all(isinstance(v, Mapping) for v in value)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key)


def _string(text: str) -> str:
    parts = []
    for character in text:
        if character in _ESCAPES:
            parts.append(_ESCAPES[character])
        elif ord(character) < 0x20 or ord(character) == 0x7F:
            parts.append(f"\\u{ord(character):04X}")
        else:
            parts.append(character)
    return '"' + "".join(parts) + '"'


def _value(value: Any, path: tuple[str, ...]) -> str:
    match value:
        case Enum():
            return _string(value.name)
        case bool():
            return "true" if value else "false"
        case int():
            if not -(2**63) <= value < 2**63:
                raise TypeError(f"{'.'.join(path)}: {value} does not fit TOML's 64-bit integers; write it as a string")
            return str(value)
        case float():
            return _float(value)
        case str():
            return _string(value)
        case Decimal() | PurePath():
            return _string(str(value))
        case datetime() | date() | time():
            return value.isoformat()
        case list() | tuple():
            return "[" + ", ".join(_value(v, path) for v in value if v is not None) + "]"
        case Mapping():
            inner = ", ".join(f"{_key(str(k))} = {_value(v, path)}" for k, v in value.items() if v is not None)
            return "{" + inner + "}"
        case _:
            raise TypeError(f"{'.'.join(path)}: {type(value).__name__} cannot be written as TOML: {value!r}")


def _float(value: float) -> str:
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return repr(value)
