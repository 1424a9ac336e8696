"""The settings of a process, from its environment; docs/explain/processes.md lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class SettingsError(ValueError):
    """A variable of the environment cannot be used: names it, its value and what to write."""


@dataclass(frozen=True)
class ProcessSettings:
    """Where the servers are, where this process keeps its state, and how it is called."""

    name: str
    roles: tuple[str, ...]
    env: str = "live"
    nats_control: str = "nats://127.0.0.1:4222"
    nats_data: str = "nats://127.0.0.1:4223"
    postgres: str | None = None
    valkey: str | None = None
    home: Path = Path(".fleet")
    project: Path = Path(".")
    http: tuple[str, int] = ("127.0.0.1", 0)
    log_level: str = "INFO"

    @classmethod
    def from_environ(cls, roles: tuple[str, ...], environ: Mapping[str, str]) -> ProcessSettings:
        """The settings of a process that serves `roles`. Raises SettingsError."""
        host, _, port = environ.get("FLEET_HTTP", "127.0.0.1:0").rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:
            raise SettingsError(f"FLEET_HTTP is {environ['FLEET_HTTP']!r}; write host:port, such as 127.0.0.1:8080")
        level = environ.get("FLEET_LOG_LEVEL", "INFO").upper()
        if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise SettingsError(f"FLEET_LOG_LEVEL is {level!r}; write DEBUG, INFO, WARNING or ERROR")
        env = environ.get("FLEET_ENV", "live")
        if not env or not all(c.isascii() and (c.isalnum() or c in "-_") for c in env):
            raise SettingsError(f"FLEET_ENV is {env!r}; write letters, digits, '-' and '_' only")
        return cls(
            name=environ.get("FLEET_NAME") or "+".join(roles),
            roles=roles,
            env=env,
            nats_control=environ.get("FLEET_NATS_CONTROL", cls.nats_control),
            nats_data=environ.get("FLEET_NATS_DATA", cls.nats_data),
            postgres=environ.get("FLEET_POSTGRES") or None,
            valkey=environ.get("FLEET_VALKEY") or None,
            home=Path(environ.get("FLEET_HOME", ".fleet")),
            project=Path(environ.get("FLEET_PROJECT", ".")),
            http=(host, int(port)),
            log_level=level,
        )
