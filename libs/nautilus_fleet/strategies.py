"""The strategies that a configuration names.

How a class is found and configured is `services/strategy_host/loading.py`, since strategy hosts do it too.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.strategy_host import loading

if TYPE_CHECKING:
    from nautilus_fleet.config import StrategySection
    from nautilus_fleet.config_source import LoadedConfig


def strategy_file(loaded: LoadedConfig, path: str) -> Path | None:
    """The file of a strategy path, or None for a dotted module."""
    return loading.strategy_file(loaded.base, path)


def load_strategies(loaded: LoadedConfig) -> list[Any]:
    """One instance per configured strategy, in order."""
    single = loaded.model.run.strategy is not None
    loading.import_from(loaded.base)
    out = []
    for index, section in enumerate(loaded.model.all_strategies()):
        keys: tuple[str | int, ...] = ("run", "strategy") if single else ("strategies", index)
        params: tuple[str | int, ...] = ("params",) if single else ("strategies", index, "params")
        cls = loading.load_class(loaded.base, section.path, loaded.where(*keys))

        def where(name: str, keys: tuple[str | int, ...] = params) -> str:
            return loaded.where(*keys, name) if name else loaded.where(*keys)

        out.append(loading.instance(cls, strategy_values(section), where))
    return out


def strategy_values(section: StrategySection) -> dict[str, Any]:
    """The values of a strategy's configuration: its params, and the ids that have a key of their own."""
    own = {"strategy_id": section.id, "order_id_tag": section.order_id_tag}
    return dict(section.params) | {name: value for name, value in own.items() if value is not None}
