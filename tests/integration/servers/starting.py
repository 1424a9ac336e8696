"""Started as a process of its own by the tests: starts every server, tells their pids, and waits to be killed."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from nautilus_common.servers import NatsServer, Postgres, Valkey

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    servers = [NatsServer(folder / "nats").start(), Valkey(folder / "valkey").start(), Postgres(folder / "pg").start()]
    print(*(server.pid for server in servers), flush=True)
    signal.pause()
