"""Strategy classes by path, and their typed configuration from the plain values of a file.

`strategies/ema_cross.py:EmaCross` is a file beside the configuration, `pkg.mod:Class` an installed module. The values
of `params` become the fields of the strategy's config class by their annotations: "USD/JPY.SIM" an `InstrumentId`,
"10" an int, "1000000" a Decimal; an unknown name is refused with the nearest right one.
"""

from __future__ import annotations

import difflib
import enum
import hashlib
import importlib
import importlib.util
import inspect
import sys
import types
import typing
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_common.errors import FleetError


def strategy_file(base: Path, path: str) -> Path | None:
    """The file of a strategy path, looked up from the folder `base`, or None for a dotted module."""
    name = path.rpartition(":")[0]
    if not name.endswith(".py"):
        return None
    file = Path(name).expanduser()
    return file if file.is_absolute() else (base / file).resolve()


def import_from(base: Path) -> None:
    """A strategy may import what lies beside its configuration, as a script could."""
    if str(base) not in sys.path:
        sys.path.append(str(base))


def load_class(base: Path, path: str, where: str) -> type:
    """The class that a path names. Errors in the strategy's own file name its line."""
    module_name, colon, class_name = path.rpartition(":")
    if not colon:
        raise FleetError(
            f"strategy {path!r} names no class", where=where, remedy=f'write "{path}:ClassName", e.g. "{path}:EmaCross"'
        )
    file = strategy_file(base, path)
    module = _import_file(file, where) if file is not None else _import_module(module_name, where)
    found = getattr(module, class_name, None)
    if not inspect.isclass(found):
        classes = [n for n, c in vars(module).items() if inspect.isclass(c) and c.__module__ == module.__name__]
        raise FleetError(
            f"{module_name} has no class {class_name}", where=where, remedy=f"it has {', '.join(classes) or 'none'}"
        )
    return found


def _import_file(file: Path, where: str) -> types.ModuleType:
    if not file.is_file():
        near = sorted(p.name for p in file.parent.glob("*.py")) if file.parent.is_dir() else []
        remedy = (
            f"{file.parent} has {', '.join(near)}" if near else "the path is relative to the configuration's folder"
        )
        raise FleetError(f"no strategy file {file}", where=where, remedy=remedy)
    # One module a file, however often it is configured; the name is a function of the path, so that runs do not mix.
    name = f"fleet_strategy_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _broken_module(error, file) from error
    return module


def _import_module(name: str, where: str) -> types.ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise FleetError(
            f"no module {error.name} for strategy {name}",
            where=where,
            remedy='name a file ("strategies/mine.py:Mine") or install the module in this environment',
        ) from None


def _broken_module(error: Exception, file: Path) -> FleetError:
    line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    where = f"{file}:{line}" if line else str(file)
    return FleetError(f"the strategy's file cannot be imported: {type(error).__name__}: {error}", where=where)


def config_class(cls: type) -> type | None:
    """The config class of a strategy: the annotation of `config` in its constructor, else `<Name>Config` beside it."""
    owner = next((base for base in cls.__mro__ if "__init__" in vars(base)), cls)
    hints: dict[str, Any] = {}
    if owner is not object:
        try:
            hints = typing.get_type_hints(owner.__init__)  # type: ignore[misc]
        except (NameError, TypeError):
            hints = {}
    for candidate in _members(hints.get("config")):
        if inspect.isclass(candidate) and hasattr(candidate, "__struct_fields__"):
            beside = _beside(cls)
            return beside if beside is not None and issubclass(beside, candidate) else candidate
    return _beside(cls)


def _beside(cls: type) -> type | None:
    found = getattr(sys.modules.get(cls.__module__), f"{cls.__name__}Config", None)
    return found if inspect.isclass(found) else None


def instance(cls: Any, values: dict[str, Any], where: Callable[[str], str]) -> Any:
    """A strategy with its configuration made of plain values. Raises FleetError; `where` names a field's place."""
    kind = config_class(cls)
    if kind is None:
        if values:
            raise FleetError(f"{cls.__name__} takes no parameters", where=where(""), remedy="remove params")
        return cls()
    return cls(build_config(kind, values, where))


class ParameterError(ValueError):
    """A parameter that a config class does not take as given: its name, what is wrong, and what to do.

    `text` names the class as well, for who has no place in a file to show.
    """

    def __init__(self, text: str, name: str, what: str, remedy: str = "") -> None:
        super().__init__(f"{text}: {remedy}" if remedy else text)
        self.name = name
        self.what = what
        self.remedy = remedy


def convert_params(kind: type, values: dict[str, Any]) -> Any:
    """A config from plain values. Raises `ParameterError` naming the field."""
    import msgspec

    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    hints = typing.get_type_hints(kind)
    converted: dict[str, Any] = {}
    for name, value in values.items():
        if name not in fields:
            near = difflib.get_close_matches(name, list(fields), n=1, cutoff=0.55)
            own = [f for f in fields if f in kind.__annotations__]
            remedy = f"did you mean {near[0]}?" if near else f"it has {', '.join(own or fields)}"
            text = f"{kind.__name__} has no field {name}"
            raise ParameterError(text, name, f"unknown parameter {name} of {kind.__name__}", remedy)
        try:
            converted[name] = convert(value, hints[name])
        except (ValueError, TypeError, KeyError) as error:
            raise ParameterError(f"{kind.__name__}.{name}: {error}", name, f"parameter {name}: {error}") from None
    missing = [n for n, f in fields.items() if f.required and n not in converted]
    if missing:
        remedy = f"add {missing[0]} = ... under [params]"
        text = f"{kind.__name__} needs {', '.join(missing)}"
        raise ParameterError(text, "", text, remedy)
    return kind(**converted)


def build_config(kind: type, values: dict[str, Any], where: Callable[[str], str]) -> Any:
    """The strategy's config from the values of a file; each mistake names the setting's place."""
    try:
        return convert_params(kind, values)
    except ParameterError as error:
        raise FleetError(error.what, where=where(error.name), remedy=error.remedy) from None


def convert(value: Any, hint: Any) -> Any:
    """A plain value of TOML as the type of an annotation. Raises ValueError or TypeError saying what was expected."""
    members = _members(hint)
    if Any in members:
        return value
    origin = typing.get_origin(members[0]) if len(members) == 1 else None
    if origin in (list, tuple) and isinstance(value, list):
        inner = (typing.get_args(members[0]) or (Any,))[0]
        return origin(convert(entry, inner) for entry in value)
    if origin is dict and isinstance(value, dict):
        inner = (typing.get_args(members[0]) or (Any, Any))[1]
        return {key: convert(entry, inner) for key, entry in value.items()}
    errors = []
    for member in members:
        try:
            return _convert_plain(value, member)
        except (ValueError, TypeError, KeyError) as error:
            errors.append(error)
    raise errors[0]


def _convert_plain(value: Any, kind: Any) -> Any:
    text = getattr(value, "text", value)
    if kind is bool:
        return _exactly(value, bool, "true or false")
    if kind is int:
        if isinstance(value, str):
            return int(value)
        return _exactly(value, int, "a whole number")
    if kind is float:
        if isinstance(value, bool):
            raise TypeError("expected a number, not true or false")
        return float(value)
    if kind is Decimal:
        if type(value) is float:
            raise TypeError(f'a float is not exact; write it as a string: "{value!r}"')
        return Decimal(str(text))
    if kind is str:
        return str(text) if not isinstance(value, str) else value
    if inspect.isclass(kind) and issubclass(kind, enum.Enum):
        return kind[value] if isinstance(value, str) else kind(value)
    if hasattr(kind, "from_str"):
        return kind.from_str(str(text))
    if inspect.isclass(kind) and isinstance(value, str):
        identifier: Any = kind
        return identifier(value)
    raise TypeError(f"{value!r} cannot be given in a file; the strategy wants {getattr(kind, '__name__', kind)}")


def _exactly(value: Any, kind: type, wanted: str) -> Any:
    if type(value) is not kind:
        raise TypeError(f"expected {wanted}, not {value!r}")
    return value


def _members(hint: Any) -> list[Any]:
    """The members of a union but None; `Annotated` gives what it annotates."""
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return _members(typing.get_args(hint)[0])
    if origin in (typing.Union, types.UnionType):
        return [m for arg in typing.get_args(hint) if arg is not type(None) for m in _members(arg)]
    return [hint]
