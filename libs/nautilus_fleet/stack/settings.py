"""What a local stack is made of: the table `[stack]` of `fleet.toml`, and which services share a process."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from nautilus_fleet.errors import UsageError

ROLES = ("execution_gateway", "risk", "portfolio", "strategy_host", "data_gateway", "replay", "recorder")
DEFAULT_SERVICES = ("execution_gateway", "risk", "portfolio", "strategy_host", "data_gateway", "recorder")
SERVERS = ("nats_control", "nats_data", "valkey", "postgres")
TOGETHER_ALL = (("all",),)
STANDS_ALONE = "recorder"
"""It serves no engine: it reads what the others have said, and shares a process with none of them."""
FILE_NAME = "fleet.toml"


class StackSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table `[stack]`; each setting has its meaning in docs/how-to/local-stack.md."""

    services: tuple[str, ...] = DEFAULT_SERVICES
    together: tuple[tuple[str, ...], ...] = ()
    postgres: bool = True
    valkey: bool = True
    env: str = "live"
    ports: dict[str, int] = {}
    start_seconds: float = 60.0

    def processes(self) -> dict[str, tuple[str, ...]]:
        """Process name -> the roles that it serves. Raises UsageError."""
        return processes_of(self.services, self.together, has_database=self.postgres or self.valkey)


def read_settings(project: Path) -> StackSettings:
    """`[stack]` of `fleet.toml` in the project; the defaults where there is none. Raises UsageError."""
    path = project / FILE_NAME
    if not path.is_file():
        return StackSettings()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("stack", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"not valid TOML: {error}", where=str(path)) from None
    try:
        settings = msgspec.convert(table, StackSettings)
    except msgspec.ValidationError as error:
        known = ", ".join(StackSettings.__struct_fields__)
        raise UsageError(f"[stack]: {error}", where=str(path), remedy=f"[stack] may hold {known}") from None
    try:
        check_ports(settings)
        settings.processes()
    except UsageError as error:
        raise UsageError(f"[stack]: {error.what}", where=str(path), remedy=error.remedy) from None
    return settings


def check_ports(settings: StackSettings) -> None:
    """Raises UsageError: a port for something that is no server, or no port."""
    for name, port in settings.ports.items():
        if name not in SERVERS:
            raise UsageError(f"ports: no server {name!r}", remedy=f"the servers are {', '.join(SERVERS)}")
        if not 0 <= port <= 65535:
            raise UsageError(f"ports: {port} of {name} is no port", remedy="write 1 to 65535, or 0 for any free one")


def processes_of(
    services: Sequence[str], together: Sequence[Sequence[str]], *, has_database: bool = True
) -> dict[str, tuple[str, ...]]:
    """Process name -> its roles, in the order of `services`; a group stands where its first role would.

    A service is a role, or a role and a name of its own (`strategy_host.fast`): another process that serves the role.
    Without a database there is nowhere to record to, and the recorder is left out.
    """
    if not has_database:
        services = [service for service in services if role_of(service) != STANDS_ALONE]
    for service in services:
        if role_of(service) not in ROLES:
            raise UsageError(f"no service {service!r}", remedy=_did_you_mean(service, ROLES))
        if services.count(service) > 1:
            raise UsageError(f"service {service!r} is named twice", remedy=f"a second one needs a name: {service}.b")
    engines = tuple(service for service in services if role_of(service) != STANDS_ALONE)
    groups = [engines] if tuple(map(tuple, together)) == TOGETHER_ALL else [tuple(g) for g in together if g]
    group_of: dict[str, tuple[str, ...]] = {}
    for group in groups:
        for role in group:
            if role not in services:
                raise UsageError(f"together: {role!r} is none of the services", remedy=_did_you_mean(role, services))
            if role_of(role) == STANDS_ALONE and len(group) > 1:
                raise UsageError(f"together: {role!r} is a process of its own", remedy="leave it out of together")
            if role in group_of:
                raise UsageError(f"together: {role!r} is named twice", remedy="a service is in one process")
            group_of[role] = group
        if len({*map(role_of, group)}) < len(group):
            raise UsageError(f"together: {'+'.join(group)} serves a role twice", remedy="a process has each role once")
    alive = {service: group_of.get(service, (service,)) for service in services}
    return {"+".join(group): group for group in alive.values()}


def role_of(service: str) -> str:
    """The role that a service serves: the part of its name before the dot."""
    return service.partition(".")[0]


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return (f"did you mean {near[0]}? " if near else "") + f"there is {', '.join(known)}"
