"""`fleet serve`: one process of the fleet, with one role or several."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from nautilus_fleet.errors import UsageError

# role -> (module, function that takes the settings and gives the builder)
ROLES: dict[str, tuple[str, str]] = {
    "execution_gateway": ("services.execution_gateway.config", "build"),
    "risk": ("services.risk.config", "build"),
    "portfolio": ("services.portfolio.config", "build"),
    "strategy_host": ("services.strategy_host.config", "builder"),
}
GATEWAY = "data_gateway"  # hosts no engine: it brings market data to live sessions


def serve(*roles: str) -> int:
    """Run one process of the fleet until it is told to stop (SIGTERM, ctrl-c).

    Usage: fleet serve ROLE...

      ROLE       execution_gateway, risk, portfolio, strategy_host, data_gateway; or recorder alone

    Several roles share the process, and its one bus: topology is a setting, results do not depend on it. Where the
    servers are, and the process's name and home, come from the environment (docs/explain/processes.md); `fleet up`
    sets all of it for a stack on this machine.

    Example:
      FLEET_NATS_CONTROL=nats://127.0.0.1:4222 FLEET_NATS_DATA=nats://127.0.0.1:4223 fleet serve risk portfolio
    """
    known = ", ".join([*ROLES, GATEWAY, "recorder"])
    if not roles:
        raise UsageError("no role to serve", remedy=f"name one or more of {known}")
    for role in roles:
        if role not in (*ROLES, GATEWAY, "recorder"):
            raise UsageError(f"no role {role!r}", remedy=f"there is {known}")
    if "recorder" in roles:
        if len(roles) > 1:
            raise UsageError("the recorder is a process of its own", remedy="start it by itself: fleet serve recorder")
        from services.recorder.shell import main

        return main()
    from nautilus_common.service import run_service

    makers = {role: role_maker(role) for role in roles if role != GATEWAY}
    if GATEWAY not in roles:
        return run_service(makers)
    from services.data_gateway.shell import open_gateway

    return run_service(makers, open_gateway)


def role_maker(role: str) -> Callable[[Any], Any]:
    """A function that takes the settings of a process and gives the builder of the role's engines."""
    module, name = ROLES[role]

    def make(settings: Any) -> Any:
        function = getattr(import_module(module), name)
        return function(settings) if name == "builder" else function

    return make
