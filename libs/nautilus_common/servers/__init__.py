"""Real servers from Python wheels: NATS with JetStream, Valkey, PostgreSQL. For tests, load tests and the local stack.

    with NatsServer(folder / "nats", sync_always=True) as server:
        ... server.url ...

Each keeps everything under its folder, listens on 127.0.0.1 only, finds a free port and keeps it over restarts, and
dies with the process that started it (`launcher.py`: on Linux at once and always; elsewhere only if that process could
still say goodbye). The lock of the folder is inherited by the server itself, so a folder is free again exactly when the
last process of its server is gone: two servers never write the same data, whoever was killed.

Everything is synchronous. `start` waits until the server answers; a supervisor, which must not wait, uses `launch`,
`ready` and `ended`.
"""

from nautilus_common.servers.base import Server, ServerError
from nautilus_common.servers.nats import NatsServer
from nautilus_common.servers.postgres import Postgres
from nautilus_common.servers.valkey import Valkey

__all__ = ["NatsServer", "Postgres", "Server", "ServerError", "Valkey"]
