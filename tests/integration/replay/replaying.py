"""A configuration as a backtest and as a replay through a stack."""

from __future__ import annotations

import itertools
import os
from functools import cache
from pathlib import Path
from typing import Any

from nautilus_fleet.config_source import LoadedConfig, load_config
from nautilus_fleet.market import load_market
from nautilus_fleet.replays import drive, prepare
from nautilus_fleet.runner import build_engine
from nautilus_fleet.stack.local import LocalStack
from nautilus_fleet.strategies import load_strategies

ROOT = Path(__file__).resolve().parents[3]
MAKERS = "examples/market_maker/backtest.toml"
# Two hours of the market makers, closer to the market: 1,224 orders.
SHORT = (
    "data.sample={seed=7,days=1}",
    "run.end=2024-01-01T02:00:00Z",
    "strategies.0.params.half_spread=100",
    "strategies.0.params.move=100",
    "strategies.1.params.half_spread=1",
    "strategies.1.params.move=2",
)
_NUMBERS = itertools.count(1)


class Silent:
    """Progress that nobody sees."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None


def load(config: str, *overrides: str, data: Path | None = None) -> LoadedConfig:
    environ = {**os.environ, "FLEET_DATA": str(data)} if data is not None else None
    return load_config(ROOT / config, overrides, environ)


@cache
def backtest_digest(config: str, overrides: tuple[str, ...] = (), data: Path | None = None) -> str:
    """The digest of the run in one process."""
    loaded = load(config, *overrides, data=data)
    engine = build_engine(loaded, load_market(loaded, Silent()), load_strategies(loaded), None, Silent())  # type: ignore[arg-type]
    engine.run(start=loaded.model.run.start, end=loaded.model.run.end)
    return str(engine.digest)


def replay(stack: LocalStack, loaded: LoadedConfig, on_pid: Any = None, on_progress: Any = None, **options: Any) -> Any:
    """The result of a replay through the processes of `stack`."""
    env = f"r-test{os.getpid()}-{next(_NUMBERS)}"
    folder = stack.folder / env
    prepare(loaded, folder, ROOT, Silent(), env=env, **options)
    shown = on_progress or (lambda what: None)
    return drive(folder, stack.environment(), shown, on_pid) | {"folder": folder}
