"""Typed, frozen configurations of strategies and actors."""

from __future__ import annotations

from typing import Any

import msgspec

from nautilus_common.model.identifiers import ComponentId, InstrumentId, StrategyId


class ComponentConfig(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The base of all configurations of what users write."""

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
