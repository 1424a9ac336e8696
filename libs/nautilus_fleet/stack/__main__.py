"""The supervisor's own process: `python -m nautilus_fleet.stack PROJECT SETTINGS`, started by `fleet up`."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from nautilus_fleet.errors import FleetError
from nautilus_fleet.stack.daemon import make_stack, supervise
from nautilus_fleet.stack.settings import StackSettings


def main(project: str, settings_text: str) -> int:
    """Supervise until told to stop; the exit code."""
    settings = msgspec.json.decode(settings_text, type=StackSettings)
    try:
        supervise(make_stack(Path(project), settings), settings)
    except FleetError as error:
        print(f"\nerror: {error.what}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
