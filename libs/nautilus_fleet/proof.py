"""The promise of the fleet, as a measurement: the same bytes from separate processes, whatever dies meanwhile."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Any

from nautilus_fleet.errors import FleetError
from nautilus_fleet.replays import drive, prepare

if TYPE_CHECKING:
    from nautilus_fleet.config_source import LoadedConfig
    from nautilus_fleet.stack.local import LocalStack

ENGINES = ("execution_gateway", "risk", "portfolio")
SERVERS = ("nats_control", "nats_data")
GAP_SECONDS = (0.02, 0.6)
READY_SECONDS = 60.0


@dataclass
class Comparison:
    """A backtest, and what the same run gave over processes."""

    run_id: str
    equal: bool
    digest: str
    digest_over_nats: str
    events: int
    orders: int
    seconds: float
    ticks_per_second: float
    us_per_order: float | None
    processes: dict[str, list[str]]
    first_difference: dict[str, Any] | None = None


@dataclass
class Death:
    """One process that was killed or stopped, and how long it was away."""

    process: str
    what: str
    at_seconds: float
    recovery_seconds: float | None = None


@dataclass
class Drill:
    """What a drill has shown."""

    seed: int
    replays: list[Comparison] = field(default_factory=list)
    deaths: list[Death] = field(default_factory=list)
    audit: dict[str, Any] | None = None

    @property
    def equal(self) -> bool:
        return all(replay.equal for replay in self.replays) and (self.audit is None or bool(self.audit["ok"]))

    def to_json(self) -> dict[str, Any]:
        return {"equal": self.equal, **asdict(self)}


def services_of(loaded: LoadedConfig) -> list[str]:
    """A process for each engine of the configuration: one strategy host for each `host` that it names."""
    hosts = list(dict.fromkeys(section.host for section in loaded.model.all_strategies()))
    names = [f"strategy_host.{host}" if host else "strategy_host" for host in hosts]
    return [*ENGINES, *(names if len(names) > 1 else ["strategy_host"])]


@contextlib.contextmanager
def own_stack(
    loaded: LoadedConfig,
    together: list[list[str]],
    *,
    databases: bool = False,
    extra: Mapping[str, str] | None = None,
) -> Iterator[LocalStack]:
    """A stack for one proof, in a folder of its own that is gone afterwards."""
    from nautilus_fleet.stack.local import LocalStack

    folder = Path(tempfile.mkdtemp(prefix="fleet-proof-"))
    services = services_of(loaded) + (["recorder"] if databases else [])
    stack = LocalStack(
        folder,
        services=services,
        together=together,
        postgres=databases,
        valkey=databases,
        env="proof",
        project=loaded.base,
        extra=extra,
    )
    try:
        with stack:
            yield stack
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def compare(
    loaded: LoadedConfig,
    reference: Mapping[str, Any],
    events: Path,
    stack: LocalStack,
    progress: Any,
    on_pid: Callable[[int], None] | None = None,
    **options: Any,
) -> Comparison:
    """Run the configuration through the processes of `stack`, and compare with a backtest and its event log."""
    from nautilus_common.journal import first_difference

    folder = Path(tempfile.mkdtemp(prefix="replay-", dir=stack.folder))
    number = folder.name.rpartition("-")[2]
    prepare(loaded, folder, loaded.base, progress, env=f"r-{number}", **options)
    result = run_folder(folder, stack.environment(), progress, on_pid)
    equal = result["digest"] == reference["digest"]
    orders = int(reference.get("orders") or 0)
    return Comparison(
        run_id=str(reference["run_id"]),
        equal=equal,
        digest=str(reference["digest"]),
        digest_over_nats=result["digest"],
        events=result["events"],
        orders=orders,
        seconds=result["seconds"],
        ticks_per_second=round(result["rows"] / max(result["seconds"], 1e-9), 1),
        us_per_order=round(result["seconds"] / orders * 1e6, 1) if orders else None,
        processes=result["processes"],
        first_difference=None if equal else first_difference(events, folder / "events"),
    )


def run_folder(
    folder: Path, environ: Mapping[str, str], progress: Any, on_pid: Callable[[int], None] | None = None
) -> dict[str, Any]:
    """Drive the replay in `folder` with a bar; its result."""
    import json

    rows = json.loads((folder / "job.json").read_text())["rows"]

    def show(what: dict[str, Any]) -> None:
        stage = what.get("stage")
        if stage == "run":
            progress.stage("replay", rows)
            progress.advance(what["rows"])
        elif stage == "wait":
            progress.stage(f"waiting for {', '.join(what['for'])}")

    return drive(folder, environ, show, on_pid)


class Killer:
    """Kills and stops the processes of a stack by a seeded schedule, while a replay runs through them."""

    def __init__(self, stack: LocalStack, victims: list[str], drill: Drill, kills: int, stops: int, stop_s: float):
        self._stack = stack
        self._drill = drill
        self._random = Random(drill.seed)
        self._plan = self._schedule(victims, kills, stops)
        self._stop_seconds = stop_s
        self._over = threading.Event()
        self._started = monotonic()
        self.replay_pid = 0
        self.failure: BaseException | None = None

    def _schedule(self, victims: list[str], kills: int, stops: int) -> list[tuple[str, str]]:
        """Everybody dies about as often as everybody else, in an order drawn from the seed."""
        plan = []
        for what, count in (("SIGKILL", kills), ("SIGSTOP", stops)):
            chosen = [victims[number % len(victims)] for number in range(count)]
            self._random.shuffle(chosen)
            plan += [(victim, what) for victim in chosen]
        self._random.shuffle(plan)
        return plan

    @property
    def is_done(self) -> bool:
        return not self._plan

    def run(self) -> None:
        """For a thread of its own: go on with the schedule until it is done or `end` is called."""
        try:
            while self._plan and not self._over.wait(self._random.uniform(*GAP_SECONDS)):
                victim, what = self._plan[-1]
                if self._strike(victim, what):
                    self._plan.pop()
        except Exception as error:
            self.failure = error

    def end(self) -> None:
        self._over.set()

    def _strike(self, victim: str, what: str) -> bool:
        death = Death(victim, what, round(monotonic() - self._started, 3))
        begun = monotonic()
        if victim == "replay":
            if not self._strike_replay(what):
                return False
        elif what == "SIGKILL":
            self._stack.kill(victim)
            self._stack.wait_ready(READY_SECONDS, names=[victim])
        else:
            self._stack.pause(victim)
            self._over.wait(self._stop_seconds)
            self._stack.resume(victim)
            self._stack.wait_ready(READY_SECONDS, names=[victim])
        death.recovery_seconds = round(monotonic() - begun, 3)
        self._drill.deaths.append(death)
        return True

    def _strike_replay(self, what: str) -> bool:
        pid = self.replay_pid
        if not pid:
            return False
        with contextlib.suppress(ProcessLookupError):
            if what == "SIGKILL":
                self.replay_pid = 0
                os.kill(pid, signal.SIGKILL)
                deadline = monotonic() + READY_SECONDS
                while not self.replay_pid and not self._over.wait(0.005):
                    if monotonic() > deadline:
                        raise FleetError("the replay was killed and has not come back")
            else:
                os.kill(pid, signal.SIGSTOP)
                self._over.wait(self._stop_seconds)
                os.kill(pid, signal.SIGCONT)
        return True


def run_drill(
    loaded: LoadedConfig,
    reference: Mapping[str, Any],
    events: Path,
    drill: Drill,
    stack: LocalStack,
    progress: Any,
    *,
    kills: int,
    stops: int,
    stop_seconds: float,
) -> None:
    """Replay again and again until the schedule is done; each replay is compared."""
    victims = [*(name for name in stack.names if name != "replay"), "replay"]
    killer = Killer(stack, victims, drill, kills, stops, stop_seconds)
    thread = threading.Thread(target=killer.run, name="drill", daemon=True)

    def on_pid(pid: int) -> None:
        killer.replay_pid = pid

    thread.start()
    try:
        while True:
            drill.replays.append(compare(loaded, reference, events, stack, progress, on_pid))
            if killer.failure is not None:
                raise FleetError(f"the drill cannot go on: {killer.failure}") from killer.failure
            if killer.is_done or not drill.replays[-1].equal:
                return
    finally:
        killer.end()
        thread.join(READY_SECONDS)
