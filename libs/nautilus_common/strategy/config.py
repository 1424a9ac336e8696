"""Typed, frozen configurations of strategies and actors."""

from __future__ import annotations

from typing import Any

import msgspec

from nautilus_common.model.identifiers import ComponentId, Identifier, InstrumentId, StrategyId


class ComponentConfig(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The base of all configurations of what users write."""

    @classmethod
    def parse(cls, values: dict[str, Any]) -> ComponentConfig:
        """Build from plain values (of TOML, JSON or the command line), converted to the fields' types.

        Raises `msgspec.ValidationError` that names the field.
        """
        return msgspec.convert(values, cls, strict=False, dec_hook=_from_text)

    def dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__struct_fields__}


class ActorConfig(ComponentConfig, kw_only=True, frozen=True):
    """What every actor may be given."""

    component_id: ComponentId | None = None
    log_events: bool = True
    log_commands: bool = True


class StrategyConfig(ComponentConfig, kw_only=True, frozen=True):
    """What every strategy may be given; subclass it with ``class MyConfig(StrategyConfig, frozen=True)``."""

    strategy_id: StrategyId | None = None
    order_id_tag: str | None = None
    use_hyphens_in_client_order_ids: bool = True
    oms_type: str | None = None
    external_order_claims: list[InstrumentId] | None = None
    manage_gtd_expiry: bool = False
    log_events: bool = True
    log_commands: bool = True


def _from_text(kind: type, value: Any) -> Any:
    raise NotImplementedError(f"cannot make a {kind.__name__} of {value!r}")


def convert_params(config_class: type[ComponentConfig], params: dict[str, Any]) -> ComponentConfig:
    """`params` as a configuration; texts become identifiers, bar types, prices and quantities where fields ask for them.

    Raises ValueError naming the field and what it needs.
    """
    import difflib
    import typing

    hints = typing.get_type_hints(config_class)
    values: dict[str, Any] = {}
    for name, value in params.items():
        if name not in config_class.__struct_fields__:
            near = difflib.get_close_matches(name, config_class.__struct_fields__, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(config_class.__struct_fields__)}"
            raise ValueError(f"{config_class.__name__} has no field {name!r}{hint}")
        try:
            values[name] = _convert(hints[name], value)
        except (ValueError, TypeError, msgspec.ValidationError) as error:
            raise ValueError(f"{config_class.__name__}.{name}: {error}") from None
    try:
        return config_class(**values)
    except TypeError as error:
        raise ValueError(f"{config_class.__name__}: {error}") from None


def _convert(hint: Any, value: Any) -> Any:
    import typing
    from decimal import Decimal

    if isinstance(value, str):
        for option in typing.get_args(hint) or (hint,):
            from_str = getattr(option, "from_str", None)
            if from_str is not None:
                return from_str(value)
            if isinstance(option, type) and issubclass(option, Identifier):
                return option(value)
    if Decimal in (typing.get_args(hint) or (hint,)) and isinstance(value, int | str):
        return Decimal(value)
    return msgspec.convert(value, hint, strict=False)
