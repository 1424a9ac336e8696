"""From files, environment and command line to one checked `BacktestConfig`.

Precedence: `--set key=value` > environment `FLEET_<SECTION>__<KEY>` > the file > the default. The layers are merged as
plain dictionaries first; each leaf remembers where it came from, so that whatever is wrong is reported with its place,
in words of ours: what the checker's library says, and its links, are never shown.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nautilus_fleet.errors import ConfigError, FleetError, UsageError

Keys = tuple[str | int, ...]

_PREFIX = "FLEET_"
_HEADER = re.compile(r"^\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(
    r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=(.*)$"""
)
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")


@dataclass(frozen=True)
class LoadedConfig:
    """A checked configuration and what is needed to find things from it and to lock it."""

    path: Path
    base: Path
    document: dict[str, Any]
    model: Any
    places: dict[Keys, str]

    def resolve(self, text: str) -> Path:
        """A path of the file, made absolute from the file's own folder."""
        path = Path(text).expanduser()
        return path if path.is_absolute() else (self.base / path).resolve()

    def where(self, *keys: str | int) -> str:
        """The place of a setting, or of the nearest table around it."""
        return _place(self.places, keys, self.path)


def load_config(
    path: str | Path, overrides: Sequence[str] = (), environ: Mapping[str, str] | None = None
) -> LoadedConfig:
    """Read, merge and check. Raises `UsageError` (no such file) or `ConfigError` (all findings at once)."""
    environ = os.environ if environ is None else environ
    path = find_config(Path(path))
    text = path.read_text(encoding="utf-8")
    document = _parse(text, path)
    lock = document.pop("lock", None)
    base = Path(lock["base"]) if isinstance(lock, dict) and "base" in lock else path.resolve().parent
    places = _locate(text, path)
    _apply_environment(document, places, environ)
    _apply_overrides(document, places, overrides)
    document = _expand(document, base, environ)
    model = _check(document, places, path)
    return LoadedConfig(path=path, base=base, document=document, model=model, places=places)


def find_config(path: Path) -> Path:
    """The file itself, or `backtest.toml` in a folder."""
    if path.is_dir() and (path / "backtest.toml").is_file():
        return path / "backtest.toml"
    if path.is_file():
        return path
    near = sorted(path.parent.glob("*.toml")) if path.parent.is_dir() else []
    names = ", ".join(str(p) for p in near[:5])
    remedy = f"there is {names}" if names else "make a project that runs: fleet init my-desk"
    raise UsageError(f"no configuration at {path}", remedy=remedy)


def _parse(text: str, path: Path) -> dict[str, Any]:
    from nautilus_fleet.config import TextFloat

    try:
        return tomllib.loads(text, parse_float=TextFloat)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        where = f"{path}:{at.group(1)}" if at else str(path)
        what = re.sub(r"\s*\(at .*\)$", "", str(error))
        raise UsageError(
            f"not valid TOML: {what}", where=where, remedy="text belongs in quotes, tables in [brackets]"
        ) from None


def _split_key(text: str) -> list[str]:
    parts = re.findall(r""""([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+)""", text)
    return [a or b or c for a, b, c in parts]


def _locate(text: str, path: Path) -> dict[Keys, str]:
    """Line numbers of tables and keys: tomllib keeps none. Values over several lines count as their first."""
    places: dict[Keys, str] = {}
    counts: dict[Keys, int] = {}
    table: Keys = ()
    depth = 0
    for number, line in enumerate(text.splitlines(), start=1):
        where = f"{path}:{number}"
        header = _HEADER.match(line) if depth == 0 else None
        key = _KEY.match(line) if depth == 0 else None
        if header:
            table = _absolute(tuple(_split_key(header.group(2))), counts)
            if header.group(1) == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            places.setdefault(table, where)
        elif key:
            places[(*table, *_split_key(key.group(1)))] = where
            depth = _open_brackets(key.group(2))
        elif depth > 0:
            depth += _open_brackets(line)
    return places


def _absolute(keys: Keys, counts: dict[Keys, int]) -> Keys:
    """`[data.files.timestamp]` belongs to the last of `[[data.files]]`."""
    out: Keys = ()
    for position, key in enumerate(keys):
        out = (*out, key)
        if position < len(keys) - 1 and out in counts:
            out = (*out, counts[out])
    return out


def _open_brackets(text: str) -> int:
    bare = re.sub(r""""(?:\\.|[^"\\])*"|'[^']*'|#.*$""", "", text)
    return bare.count("[") + bare.count("{") - bare.count("]") - bare.count("}")


def _place(places: Mapping[Keys, str], keys: Sequence[str | int], path: Path) -> str:
    """The place of the setting, of one inside it, or of the nearest table around it."""
    whole = tuple(keys)
    inside = next((where for known, where in places.items() if whole and known[: len(whole)] == whole), None)
    if whole not in places and inside is not None:
        return inside
    for end in range(len(whole), 0, -1):
        if whole[:end] in places:
            return places[whole[:end]]
    return str(path)


def _apply_environment(document: dict[str, Any], places: dict[Keys, str], environ: Mapping[str, str]) -> None:
    for name in sorted(environ):
        if name.startswith(_PREFIX) and "__" in name:
            keys = [part.lower() for part in name[len(_PREFIX) :].split("__")]
            _assign(document, places, keys, environ[name], f"environment variable {name}")


def _apply_overrides(document: dict[str, Any], places: dict[Keys, str], overrides: Sequence[str]) -> None:
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key.strip():
            raise UsageError(
                f"--set {override}: no value", remedy="write --set section.key=value, e.g. --set params.fast=5"
            )
        for keys in _every_strategy(document, _split_key(key)):
            _assign(document, places, keys, value.strip(), f"--set {override}")


def _every_strategy(document: dict[str, Any], keys: list[str]) -> list[list[str]]:
    """`params.x` where there are several strategies: the `params.x` of each of them."""
    strategies = document.get("strategies")
    if keys[0].lower() != "params" or not isinstance(strategies, list):
        return [keys]
    return [["strategies", str(index), *keys] for index in range(len(strategies))]


def _assign(document: dict[str, Any], places: dict[Keys, str], keys: list[str], text: str, where: str) -> None:
    """Set one leaf; names are matched to existing ones without case, as environments are often upper case."""
    node: Any = document
    step: Any
    done: Keys = ()
    for position, key in enumerate(keys):
        last = position == len(keys) - 1
        if isinstance(node, list):
            if not key.isdigit() or int(key) >= len(node):
                raise UsageError(f"{where}: {key} is not one of the {len(node)} entries (0 is the first)", where=where)
            step = int(key)
        elif isinstance(node, dict):
            step = next((known for known in node if known.lower() == key.lower()), key)
        else:
            raise UsageError(f"{where}: {'.'.join(map(str, done))} holds a value, not a table", where=where)
        done = (*done, step)
        if last:
            node[step] = _shell_value(text)
        else:
            node = node[step] if isinstance(node, list) else node.setdefault(step, {})
    places[done] = where


def _shell_value(text: str) -> object:
    """TOML where it is TOML ("5", "true", "[1, 2]"), bare text where it is not."""
    from nautilus_fleet.config import ShellFloat

    if re.fullmatch(r"[+-]?\d[\d_]*\.\d+([eE][+-]?\d+)?", text):
        return ShellFloat(text.replace("_", ""))
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _expand(value: Any, base: Path, environ: Mapping[str, str]) -> Any:
    """`$NAME` and `${NAME}` in texts; FLEET_DATA has a default, any other must be set."""
    if isinstance(value, dict):
        return {key: _expand(item, base, environ) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, base, environ) for item in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        name = match.group(1) or match.group(2)
        if name in environ:
            return environ[name]
        if name == "FLEET_DATA":
            return str(default_data_folder(base))
        raise UsageError(f"${name} is not set", where=f'"{value}"', remedy=f"export {name}=... and run again")

    return _VARIABLE.sub(replace, value)


def default_data_folder(base: Path) -> Path:
    """`../shared/data` beside the project's root: the nearest folder upwards that holds pyproject.toml."""
    for folder in (base, *base.parents):
        if (folder / "pyproject.toml").is_file():
            return folder.parent / "shared" / "data"
    return base / "data"


def _check(document: dict[str, Any], places: Mapping[Keys, str], path: Path) -> Any:
    from pydantic import ValidationError

    from nautilus_fleet.config import BacktestConfig

    try:
        return BacktestConfig.model_validate(document)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=True)
    findings = [_finding(item, document, places, path) for item in found]
    raise ConfigError(findings) from None


def _finding(item: Any, document: dict[str, Any], places: Mapping[Keys, str], path: Path) -> FleetError:
    """One error of the checker in our words, with its place."""
    keys = _keys_in(item["loc"], document)
    dotted = ".".join(str(key) for key in keys) or "the file"
    where = _place(places, keys, path)
    kind = item["type"]
    context = item.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(keys, where)
    if kind == "missing":
        return _missing_key(keys, _place(places, keys[:-1], path))
    if kind == "value_error":
        what = f"{dotted}: {context.get('error', item['msg'])}"
        return FleetError(what, where=where)
    if kind == "literal_error":
        return _not_one_of(dotted, item["input"], str(context.get("expected", "")), where)
    if kind == "union_tag_invalid":
        return _not_one_of(f"{dotted}.type", context.get("tag", ""), str(context.get("expected_tags", "")), where)
    if kind == "union_tag_not_found":
        what = f"{dotted}: says no type"
        return FleetError(
            what, where=where, remedy='add type = "CurrencyPair" (or Equity, CryptoPerpetual, FuturesContract)'
        )
    return FleetError(f"{dotted}: {_plain(item)}", where=where)


_PLAIN = {
    "int_parsing": "expected a whole number",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_parsing": "expected a number",
    "float_type": "expected a number",
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
    "string_type": "expected text in quotes",
    "list_type": "expected a list in [brackets]",
    "dict_type": "expected a table",
    "model_type": "expected a table",
    "model_attributes_type": "expected a table",
    "too_short": "must not be empty",
    "string_pattern_mismatch": 'expected a name and a tag with a hyphen, for example "TRADER-001"',
}
_BOUNDS = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}


def _plain(item: Any) -> str:
    kind, given = item["type"], item.get("input")
    shown = f", not {given!r}" if isinstance(given, (str, int, float, bool)) else ""
    if kind in _BOUNDS:
        words = kind.replace("_", " ").replace("equal", "or equal")
        return f"must be {words} to {item['ctx'][_BOUNDS[kind]]}{shown}".replace("than to", "than")
    return _PLAIN.get(kind, str(item["msg"])) + shown


def _keys_in(loc: Sequence[str | int], document: Any) -> Keys:
    """The error's path without the names of union members, which are not in the file."""
    keys: Keys = ()
    node: Any = document
    for position, step in enumerate(loc):
        if isinstance(node, dict) and step not in node and position < len(loc) - 1:
            continue
        keys = (*keys, step)
        inside = (isinstance(node, dict) and step in node) or (isinstance(node, list) and isinstance(step, int))
        node = node[step] if inside else None
    return keys


def _unknown_key(keys: Keys, where: str) -> FleetError:
    name = str(keys[-1])
    table = ".".join(str(key) for key in keys[:-1])
    known = _known_names(keys[:-1])
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.55)
    if near:
        remedy = f"did you mean {near[0]}?"
    elif known:
        remedy = f"known here: {', '.join(known)}"
    else:
        remedy = "remove it"
    return FleetError(f"unknown setting {name}" + (f" in [{table}]" if table else ""), where=where, remedy=remedy)


def _known_names(keys: Keys) -> list[str]:
    """The names that a table may hold, by walking the models along the path."""
    import typing

    from pydantic import BaseModel

    from nautilus_fleet.config import BacktestConfig

    candidates: list[Any] = [BacktestConfig]
    for key in keys:
        following: list[Any] = []
        for candidate in candidates:
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                if str(key) in candidate.model_fields:
                    following.append(candidate.model_fields[str(key)].annotation)
                continue
            following.extend(typing.get_args(candidate)[-1:])
        candidates = [flat for entry in following for flat in _flatten(entry)]
    models = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
    return sorted({name for model in models for name in model.model_fields})


def _flatten(annotation: Any) -> list[Any]:
    """A union's members, and what `Annotated` holds; containers stay, to be entered by the next key."""
    import types
    import typing

    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _flatten(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [flat for member in typing.get_args(annotation) for flat in _flatten(member)]
    return [annotation]


def _missing_key(keys: Keys, where: str) -> FleetError:
    from nautilus_fleet.config import PERIODS_HELP

    dotted = ".".join(str(key) for key in keys)
    if keys[:1] == ("stats",):
        return FleetError(
            "stats.periods_per_year is required", where=where, remedy=f"under [stats] set it to {PERIODS_HELP}"
        )
    remedies = {
        "venue": 'add [venue.SIM] with starting_balances = ["1000000 USD"]',
        "data": 'add [data] with catalog = "data"',
        "starting_balances": 'add starting_balances = ["1000000 USD"]',
    }
    return FleetError(f"{dotted} is required", where=where, remedy=remedies.get(str(keys[-1]), f"add {keys[-1]} = ..."))


def _not_one_of(dotted: str, given: object, expected: str, where: str) -> FleetError:
    choices = re.findall(r"'([^']+)'", expected)
    near = difflib.get_close_matches(str(given), choices, n=1, cutoff=0.5)
    remedy = (f'did you mean "{near[0]}"? ' if near else "") + f"one of: {', '.join(choices)}"
    return FleetError(f"{dotted}: {given!r} is not known", where=where, remedy=remedy)
