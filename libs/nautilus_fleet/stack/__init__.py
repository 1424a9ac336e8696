"""The local stack: real servers and the services under a supervisor, in one folder of the project.

`LocalStack` is the object; `fleet up`, `status`, `logs` and `down` are its commands; `running_state` finds the stack of
a project from another process.
"""

from nautilus_fleet.stack.local import LocalStack
from nautilus_fleet.stack.member import BackOff
from nautilus_fleet.stack.settings import DEFAULT_SERVICES, ROLES, StackSettings, read_settings
from nautilus_fleet.stack.state import STACK_FOLDER, StackState, running_state

__all__ = [
    "DEFAULT_SERVICES",
    "ROLES",
    "STACK_FOLDER",
    "BackOff",
    "LocalStack",
    "StackSettings",
    "StackState",
    "read_settings",
    "running_state",
]
