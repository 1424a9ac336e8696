"""A stack on this machine: servers, services, and the supervisor that keeps them alive.

    with LocalStack(folder, together=[["risk", "portfolio"]]) as stack:
        ... stack.environment(), stack.kill("risk"), stack.wait_ready() ...

`fleet up` is this object in a process of its own; `fleet verify --over nats`, `fleet drill`, tests and load tests make
one each. Supervision is a thread: each 50 ms it looks at every process, starts what has died after its back-off, and
writes `stack.json` when something has changed. Servers come first, services when all servers answer; at the end
services are drained first. When the process of the supervisor is killed, all of its children die with it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from nautilus_common.bus.layout import layout_folder
from nautilus_common.servers import NatsServer, Postgres, Server, Valkey
from nautilus_common.servers.base import tail_of

from nautilus_fleet.errors import FleetError, UsageError
from nautilus_fleet.stack.logs import LOG_BYTES_MAX, rotate
from nautilus_fleet.stack.member import BackOff, Member
from nautilus_fleet.stack.service import ServiceProcess, inherited_environment
from nautilus_fleet.stack.settings import DEFAULT_SERVICES, processes_of, role_of
from nautilus_fleet.stack.state import MemberState, StackLock, StackState, write_state

STEP_SECONDS = 0.05
READY_SECONDS = 60.0
DRAIN_SECONDS = 15.0
# That many times in a row without once being ready: it cannot start, and waiting longer helps nobody.
STILLBORN_MAX = 4
# -P: a folder `services` in somebody's project is not ours.
SERVE = (sys.executable, "-P", "-m", "nautilus_fleet", "serve")


class LocalStack:
    """Servers and services in one folder. Start it, use it, stop it; not to be started again."""

    def __init__(
        self,
        folder: str | Path,
        *,
        services: Sequence[str] = DEFAULT_SERVICES,
        together: Sequence[Sequence[str]] = (),
        postgres: bool = True,
        valkey: bool = True,
        env: str = "live",
        project: str | Path = ".",
        ports: Mapping[str, int] | None = None,
        extra: Mapping[str, str] | None = None,
        serve: Sequence[str] = SERVE,
        back_off: BackOff | None = None,
        log_bytes_max: int = LOG_BYTES_MAX,
        on_event: Callable[[str], None] | None = None,
    ) -> None:
        """`extra`: variables for every service beside the stack's own. `serve`: what starts one; its roles follow."""
        self.folder = Path(folder).resolve()
        self.project = Path(project).resolve()
        self._env = env
        self._extra = dict(extra or {})
        self._log_bytes_max = log_bytes_max
        self._on_event = on_event
        self._lock: StackLock | None = None
        # Guards the members: supervision and callers take turns.
        self._turn = threading.RLock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._started_ns = 0
        self._written: StackState | None = None
        back_off = back_off or BackOff()
        self._servers = self._make_servers(postgres, valkey, dict(ports or {}))
        self._services = {
            name: ServiceProcess(name, [*serve, *map(role_of, roles)], self.folder, self.log_path(name), self.project)
            for name, roles in processes_of(services, together, has_database=postgres or valkey).items()
        }
        self._members = [Member(n, "server", s, back_off) for n, s in self._servers.items()]
        self._members += [Member(n, "service", s, back_off) for n, s in self._services.items()]

    def _make_servers(self, postgres: bool, valkey: bool, ports: dict[str, int]) -> dict[str, Server]:
        control, data = ports.get("nats_control", 0), ports.get("nats_data", 0)
        told = (layout_folder() / "local.conf").read_text("utf-8")  # lets `fleet bus check` see how they write to disk
        servers: dict[str, Server] = {
            "nats_control": NatsServer(self.folder / "nats_control", control, sync_always=True, config_extra=told),
            "nats_data": NatsServer(self.folder / "nats_data", data, config_extra=told),
        }
        if valkey:
            servers["valkey"] = Valkey(self.folder / "valkey", ports.get("valkey", 0))
        if postgres:
            servers["postgres"] = Postgres(self.folder / "postgres", ports.get("postgres", 0))
        for name, server in servers.items():
            server.log_path = self.log_path(name)
        return servers

    # --- its life

    def start(self) -> Self:
        """Take the folder and begin to start everything; `wait_ready` waits for it. Raises FleetError."""
        assert self._lock is None, "a stack is started once"
        self._lock = StackLock(self.folder)
        for name in ("logs", "run"):
            (self.folder / name).mkdir(exist_ok=True)
        self._started_ns = time.time_ns()
        self._event(f"supervisor: pid {os.getpid()}, {', '.join(m.name for m in self._members)}")
        self._thread = threading.Thread(target=self._supervise, name="stack", daemon=True)
        self._thread.start()
        return self

    def stop(self, drain_s: float = DRAIN_SECONDS) -> None:
        """Drain the services, then stop the servers; by force what takes longer. Twice is once."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._lock is None:
            return
        try:
            with self._turn:
                self._write_state("stopping")
                self._stop_services(drain_s)
                for server in reversed(self._servers.values()):
                    server.stop()
                for member in self._members:
                    member.state = "stopped"
                self._event("supervisor: stopped")
                self._write_state("stopped")
        finally:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        """Start and wait until all are ready."""
        self.start()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()

    def wait_ready(
        self,
        timeout_s: float = READY_SECONDS,
        on_progress: Callable[[list[str]], None] | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        """Wait until every process (or those of `names`) is alive and says that it is ready.

        Raises FleetError with the reason. `on_progress` is called with those that are still waited for.
        """
        deadline = time.monotonic() + timeout_s
        members = [self._member(name) for name in (self.names if names is None else names)]
        services = [self._services[member.name] for member in members if member.kind == "service"]
        while True:
            self.check()
            with self._turn:
                waiting = [m for m in members if m.state != "ready" or m.process.ended() is not None]
                hopeless = [m for m in waiting if m.stillborn >= STILLBORN_MAX or m.state == "failed"]
            if on_progress is not None:
                on_progress([member.name for member in waiting])
            if not waiting and all(service.ready() for service in services):
                return
            if hopeless or time.monotonic() > deadline:
                raise self._not_ready(hopeless or waiting, timeout_s)
            time.sleep(STEP_SECONDS)

    def check(self) -> None:
        """Raises FleetError when the supervision itself has failed."""
        if self._failure is not None:
            raise FleetError(f"the supervisor has failed: {self._failure}", where=str(self.log_path("supervisor")))

    # --- what is in it

    def environment(self) -> dict[str, str]:
        """The variables that tell a process where this stack is. Raises FleetError before all servers have started."""
        if any(server.port == 0 or not server.folder.is_dir() for server in self._servers.values()):
            raise FleetError("the stack has not started its servers yet", remedy="call start() and wait_ready() first")
        told = {
            "FLEET_NATS_CONTROL": self._servers["nats_control"].url,
            "FLEET_NATS_DATA": self._servers["nats_data"].url,
            "FLEET_HOME": str(self.folder),
            "FLEET_PROJECT": str(self.project),
            "FLEET_ENV": self._env,
        }
        for variable, name in (("FLEET_POSTGRES", "postgres"), ("FLEET_VALKEY", "valkey")):
            if name in self._servers:
                told[variable] = self._servers[name].url
        return told

    @property
    def names(self) -> list[str]:
        """Every process: the servers, then the services."""
        return [member.name for member in self._members]

    @property
    def processes(self) -> dict[str, int]:
        """Name -> pid of those that run now."""
        with self._turn:
            return {m.name: pid for m in self._members if (pid := m.process.pid) is not None}

    def url(self, server: str) -> str:
        """Where `nats_control`, `nats_data`, `valkey` or `postgres` is."""
        self._member(server)
        return self._servers[server].url

    def http(self, service: str) -> str | None:
        """`host:port` of a service's /status, /readyz, /metrics; None while it has not told."""
        self._member(service)
        return self._services[service].http()

    def restarts(self, name: str) -> int:
        """How often the supervisor has started it again."""
        return self._member(name).restarts

    def log_path(self, name: str) -> Path:
        """The log of a process, or of the `supervisor`."""
        return self.folder / "logs" / f"{name}.log"

    # --- what tests and drills do to it

    def kill(self, name: str) -> int:
        """SIGKILL; its pid. On return it is gone, and the supervisor will start another. Raises FleetError if it is."""
        with self._running(name) as (member, pid):
            member.process.kill()
            return pid

    def pause(self, name: str) -> int:
        """SIGSTOP: it is there and does nothing. Returns its pid."""
        with self._running(name) as (member, pid):
            member.process.signal(signal.SIGSTOP)
            return pid

    def resume(self, name: str) -> int:
        """SIGCONT. Returns its pid."""
        with self._running(name) as (member, pid):
            member.process.signal(signal.SIGCONT)
            return pid

    @contextmanager
    def _running(self, name: str) -> Iterator[tuple[Member, int]]:
        with self._turn:
            member = self._member(name)
            pid = member.process.pid
            if pid is None:
                raise FleetError(f"{name} does not run now: {member.describe(time.monotonic())}")
            yield member, pid

    def _member(self, name: str) -> Member:
        for member in self._members:
            if member.name == name:
                return member
        raise UsageError(f"no process {name!r} in this stack", remedy=f"there is {', '.join(self.names)}")

    # --- supervision

    def _supervise(self) -> None:
        try:
            while not self._stopping.wait(STEP_SECONDS):
                with self._turn:
                    self._step(time.monotonic())
                for name in ("supervisor", *self.names):
                    rotate(self.log_path(name), self._log_bytes_max)
        except BaseException as error:
            # Whoever waits for the stack, or stops it, must hear of it: nobody is supervised any more.
            self._failure = error
            self._event(f"supervisor: {type(error).__name__}: {error}")

    def _step(self, now_s: float) -> None:
        """Look at everybody once."""
        for member in self._members:
            if member.state == "stopped" and (member.kind == "server" or self._servers_have_answered()):
                if member.kind == "service":
                    self._services[member.name].environment = self._environment_of(member.name)
                member.launch(now_s)
                self._event(member.describe(now_s))
            elif (event := member.step(now_s)) is not None:
                self._event(event)
        self._write_state("ready" if all(m.state == "ready" for m in self._members) else "starting")

    def _servers_have_answered(self) -> bool:
        return all(member.state == "ready" for member in self._members if member.kind == "server")

    def _environment_of(self, service: str) -> dict[str, str]:
        own = {"FLEET_NAME": service, "FLEET_HTTP": "127.0.0.1:0"}
        return {**inherited_environment(), **self._extra, **self.environment(), **own}

    def _stop_services(self, drain_s: float) -> None:
        deadline = time.monotonic() + drain_s
        for service in self._services.values():
            service.signal(signal.SIGTERM)
            service.signal(signal.SIGCONT)
        for name, service in self._services.items():
            if not service.wait(max(0.0, deadline - time.monotonic())):
                self._event(f"{name}: not drained within {drain_s:g} s, killed")
                service.kill()

    def _event(self, text: str) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        # A full disk must not be the end of supervision.
        with suppress(OSError), self.log_path("supervisor").open("a", encoding="utf-8") as log:
            log.write(f"{stamp} {text}\n")
        if self._on_event is not None:
            self._on_event(text)

    def _write_state(self, state: str) -> None:
        members = [
            MemberState(
                name=member.name,
                kind=member.kind,
                pid=member.process.pid,
                state=member.state,
                restarts=member.restarts,
                last_end=member.last_end,
                log=str(self.log_path(member.name)),
                port=self._servers[member.name].port if member.kind == "server" else None,
            )
            for member in self._members
        ]
        environment = self.environment() if self._servers_have_answered() else {}
        if self._written is not None:
            environment = environment or self._written.environment
        told = StackState(os.getpid(), self._started_ns, state, environment, members)
        if told != self._written:
            # What could not be written is tried again at the next step.
            with suppress(OSError):
                write_state(self.folder, told)
                self._written = told

    def _not_ready(self, members: list[Member], timeout_s: float) -> FleetError:
        """Why: the first of them in full, the others by name."""
        if not members:
            return FleetError(f"a service was not ready again within {timeout_s:g} s", where=str(self.folder / "logs"))
        first = members[0]
        if first.stillborn or first.state == "failed":
            why = f"{first.name} does not start: {first.last_end} ({first.stillborn} times)"
        elif isinstance(first.process, ServiceProcess) and first.process.pid is not None:
            why = f"{first.name} is not ready within {timeout_s:g} s: {first.process.why_not_ready()}"
        else:
            why = f"{first.name} is not ready within {timeout_s:g} s: {first.state}"
        others = f"; nor are {', '.join(m.name for m in members[1:])}" if members[1:] else ""
        tail = tail_of(self.log_path(first.name), 12)
        said = "\n  it said:\n    " + tail.replace("\n", "\n    ") if tail else ""
        return FleetError(why + others + said, where=str(self.log_path(first.name)), remedy="fleet logs shows more")
