"""Errors that a user can mend, and the exit codes of the command.

    FleetError                exit 1: something went wrong that is not the user's typing
    +-- UsageError            exit 2: the command line or the configuration
    |   +-- ConfigError       exit 2: several findings in one configuration, each with its place
    +-- VerifyError           exit 3: a run repeated gave other bytes
    +-- NoDataError           exit 4: no data matched what was asked for

Each says what is wrong, where, and what to do next. `fleet` prints that and nothing else (FLEET_DEBUG=1 adds the
traceback).
"""

from __future__ import annotations

from nautilus_common.errors import FleetError as FleetError

EXIT_OK = 0
EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_DIFFERS = 3
EXIT_NO_DATA = 4


class UsageError(FleetError):
    """The command line or a setting cannot be understood."""

    exit_code = EXIT_USAGE


class ConfigError(UsageError):
    """Everything wrong with one configuration, in one message."""

    def __init__(self, findings: list[FleetError]) -> None:
        assert findings
        super().__init__(findings[0].what, where=findings[0].where, remedy=findings[0].remedy)
        self.findings = findings

    def __str__(self) -> str:
        if len(self.findings) == 1:
            return super().__str__()
        return "\n".join(FleetError.__str__(finding) for finding in self.findings)


class VerifyError(FleetError):
    """The same input gave other bytes."""

    exit_code = EXIT_DIFFERS


class NoDataError(FleetError):
    """Nothing to run on: never reported as a run with no trades."""

    exit_code = EXIT_NO_DATA
