"""A supervisor as a process of its own, with services that need no engine: what `fleet up` starts, for tests."""

from __future__ import annotations

import sys
from pathlib import Path

from nautilus_fleet.stack import STACK_FOLDER, LocalStack, StackSettings
from nautilus_fleet.stack.daemon import supervise

FAKE = (sys.executable, str(Path(__file__).with_name("fake_service.py")))

if __name__ == "__main__":
    project = Path(sys.argv[1])
    stack = LocalStack(project / STACK_FOLDER, services=("risk", "portfolio"), project=project, serve=FAKE)
    supervise(stack, StackSettings(), on_ready=lambda: print("ready", flush=True))
