"""A process in replays: takes the numbered requests of any number of replays, each in its env, and answers them.

Answers leave as soon as the engines have spoken. What they said also goes to the env's control stream, in batches, for
whoever listens; it can be said again from the requests, so the answer does not wait for the disk. The last request of a
run does.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec

from nautilus_common import snapshot, trips
from nautilus_common.bus.direct import DirectClient
from nautilus_common.bus.protocol import Received
from nautilus_common.bus.publisher import WAITING_MAX, Publisher, PublishError
from nautilus_common.bus.reader import StreamReader
from nautilus_common.bus.tasks import end_tasks
from nautilus_common.errors import FleetError
from nautilus_common.faults import NO_FAULTS, Faults
from nautilus_common.hosting import Builder, HostedRun, HostingError, build_group
from nautilus_common.messages import subjects
from nautilus_common.messages.blocks import Block, decode_block
from nautilus_common.plan import PlanError, decode_plan

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from nats.aio.client import Client

    from nautilus_common.health import Health

GATHER_SECONDS = 0.05
"""How long what was said may gather before it is made durable: the answer, which the replay waits for, has left."""

BLOCKS_AHEAD = 16
"""Blocks of a replay that are held before they are shown."""

log = logging.getLogger("fleet")


class ReplayHost:
    """Serves replays with the engines that `builders` (role -> builder) can make."""

    def __init__(
        self,
        control: Client,
        data: Client,
        url: str,
        process: str,
        epoch: str,
        builders: dict[str, Builder],
        health: Health,
        home: Path,
        delay: Callable[[], float] | None = None,
        faults: Faults = NO_FAULTS,
    ) -> None:
        """`url` is that of the control server, to which requests have a connection of their own."""
        self._control = control
        self._data = data
        subject = subjects.subject("*", subjects.trip(process))
        self.trips = DirectClient(url, f"{process}-trips", subject, self._on_trip)
        self._later: deque[Received] = deque()
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.process = process
        self.epoch = epoch
        self.builders = builders
        self.health = health
        self._home = home
        self.delay = delay
        self.faults = faults
        self.envs: dict[str, EnvHost] = {}

    async def start(self) -> None:
        """Listen to the replays of every env."""
        self._task = asyncio.create_task(self._take_later())
        await self.trips.start()

    async def close(self) -> None:
        """Finish what is being carried out, then stop."""
        await end_tasks(self._task)
        for env in list(self.envs.values()):
            await env.close()
        await self.trips.close()

    def _on_trip(self, received: Received) -> None:
        """Take a request at once, unless it takes time, or has to wait for one that does."""
        if self._later or self.delay is not None or self._take(received) is not None:
            self._later.append(received)
            self._more.set()

    async def _take_later(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._later:
                if self.delay is not None:
                    await asyncio.sleep(self.delay())
                received = self._later[0]
                slow = self._take(received)
                if slow is not None:
                    answer = await self._take_slowly(received.subject.split(".")[1], slow)
                    self.trips.publish(received.reply, trips.encode(answer))
                self._later.popleft()

    def _take(self, received: Received) -> trips.Open | trips.Close | None:
        """Take what can be taken without waiting; else what it is."""
        try:
            outward: trips.Outward = trips.decode_outward(received.payload)
        except msgspec.MsgspecError as error:
            self.health.rejected.labels("trip").inc()
            self.trips.publish(received.reply, trips.encode(trips.Failed(0, f"not a request: {error}")))
            return None
        if not isinstance(outward, trips.Request):
            return outward
        env = self.envs.get(received.subject.split(".")[1])
        if env is None:
            self.trips.publish(received.reply, trips.encode(trips.Missed(-1)))
        else:
            env.take(outward, received.reply)
        return None

    async def _take_slowly(self, name: str, outward: trips.Open | trips.Close) -> trips.Opened | trips.Failed:
        if isinstance(outward, trips.Open):
            return await self._open(name, outward)
        env = self.envs.pop(name, None)
        if env is not None:
            await env.close()
            env.forget()
            del env
            gc.collect()  # engines and strategies refer to each other in circles
        return trips.Opened(-1)

    async def _open(self, name: str, request: trips.Open) -> trips.Opened | trips.Failed:
        env = self.envs.get(name)
        if env is not None and env.run.run_id == request.run_id:
            return trips.Opened(env.run.number)
        if env is not None:
            del self.envs[name]
            await env.close()
        try:
            plan = decode_plan(request.plan)
            group = build_group(plan, request.engines, self.builders)
        except (PlanError, HostingError) as error:
            return trips.Failed(0, str(error))
        except FleetError as error:
            return trips.Failed(0, error.what, f"{error.where} {error.remedy}".strip())
        path = self._home / "snapshots" / f"{name}.{self.process}.snapshot"
        run = restore(path, request.run_id)
        if run is None:
            run = HostedRun(request.run_id, group)
        else:
            run.group.log_as(group)
        made = EnvHost(self, name, run, self._control, self._data, path)
        try:
            await made.start()
        except PublishError as error:
            return trips.Failed(0, str(error))
        self.envs[name] = made
        self.faults.reach("opened")
        log.info("replay opened", extra={"env": name, "engines": request.engines, "number": run.number})
        return trips.Opened(made.run.number)


def restore(path: Path, run_id: str) -> HostedRun | None:
    """The run as its last snapshot has it; None when there is none that can be used."""
    try:
        data = snapshot.read(path)
        if data is None:
            return None
        found: HostedRun = snapshot.load(data, run_id)
    except snapshot.SnapshotError as error:
        log.warning("snapshot not used", extra={"path": str(path), "error": str(error)})
        return None
    return found


class EnvHost:
    """One env: its engines, the blocks on their way to them, and what they say on its way to the stream."""

    def __init__(
        self, host: ReplayHost, env: str, run: HostedRun, control: Client, data: Client, snapshot_path: Path
    ) -> None:
        self._snapshot_path = snapshot_path
        self._faults = host.faults
        self._host = host
        self.env = env
        self.run = run
        self._control = control
        self._publisher = Publisher(
            control,
            env,
            tuple(host.builders),
            host.process,
            host.epoch,
            host.faults,
            GATHER_SECONDS,
            on_trouble=host.health.trouble,
        )
        self._reader: StreamReader | None = None
        self._data = data
        self._blocks: dict[int, Block] = {}
        self._wanted: set[int] = set()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._queue: deque[tuple[trips.Request, str]] = deque()
        self._tasks: list[asyncio.Task[None]] = []
        self._busy = False
        self._failed: bytes | None = None

    async def start(self) -> None:
        await self._publisher.start()

    async def close(self) -> None:
        await end_tasks(*self._tasks)
        if self._reader is not None:
            await self._reader.close()
        await self._publisher.close()

    def take(self, request: trips.Request, reply: str) -> None:
        """Carry a request out now if nothing is in its way, else as soon as that is so."""
        self._queue.append((request, reply))
        if not self._busy:
            self._work()

    def _work(self) -> None:
        """Carry out what is queued, up to something that takes time: a task sees to that, and goes on here."""
        self._busy = False
        while self._queue and not self._busy:
            request, reply = self._queue[0]
            known = self._failed or self.run.known(request.number)
            if known is None and self._lacks_blocks(request):
                self._wait_for(self._blocks_arrived())
                return
            self._queue.popleft()
            if known is not None:
                self._answer(reply, known)
            else:
                self._carry_out(request, reply)

    def _wait_for(self, what: Coroutine[None, None, None]) -> None:
        async def wait_and_work() -> None:
            await what
            self._work()

        self._busy = True
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(asyncio.create_task(wait_and_work()))

    def _lacks_blocks(self, request: trips.Request) -> bool:
        wanted = {n for call in request.calls if isinstance(call, trips.Feed) for n in call.numbers}
        self._wanted = wanted - self._blocks.keys()
        if self._wanted:
            self._arrived.clear()
        return bool(self._wanted)

    async def _blocks_arrived(self) -> None:
        """The blocks of `_wanted` are here, or the replay has failed."""
        if self._reader is None:
            stream = subjects.data_stream(self.env)
            self._reader = StreamReader(self._data, stream, self.run.fed + 1, batch=BLOCKS_AHEAD)
            await self._reader.start()
            self._tasks.append(asyncio.create_task(self._take_blocks(self._reader)))
        self._room.set()
        await self._arrived.wait()

    async def _take_blocks(self, reader: StreamReader) -> None:
        while True:
            try:
                item = await reader.take()
                if self._host.delay is not None:
                    await asyncio.sleep(self._host.delay())
                self._blocks[item.sequence] = decode_block(item.data)
                self._faults.reach("block taken")
            except Exception as error:
                self._fail(f"market data of {self.env}: {error}", "")
                return
            self._wanted.discard(item.sequence)
            if not self._wanted:
                self._arrived.set()
                while len(self._blocks) >= BLOCKS_AHEAD and not self._wanted:
                    self._room.clear()
                    await self._room.wait()

    def _fail(self, what: str, where: str) -> None:
        self._failed = trips.encode(trips.Failed(self.run.number, what, where))
        self._arrived.set()
        log.error("replay failed", extra={"env": self.env, "what": what, "where": where})

    def _carry_out(self, request: trips.Request, reply: str) -> None:
        started = perf_counter()
        self._faults.reach("request taken")
        try:
            data, records = self.run.carry_out(request, self._blocks)
        except Exception as error:
            notes = "; ".join(getattr(error, "__notes__", ()))
            self._fail(f"{type(error).__name__}: {error}", notes)
            log.debug("traceback", exc_info=error)
            self._answer(reply, b"")
            return
        self._faults.reach("carried out")
        if len(self._blocks) < BLOCKS_AHEAD:
            self._room.set()
        health = self._host.health
        health.last_message_ns = self.run.last_ns
        health.requests.inc()
        health.records.inc(len(records))
        health.turn_seconds.observe(perf_counter() - started)
        if records:
            self._publisher.say(records, [], self.run.last_ns)
            self._faults.reach("said")
        last = request.calls[-1] if request.calls else None
        if isinstance(last, trips.Finish | trips.Keep):
            self._wait_for(self._make_durable(last, reply, data))
        elif self._publisher.waiting > WAITING_MAX or self._publisher.failure is not None:
            self._wait_for(self._drain(reply, data))
        else:
            self._answer(reply, data)

    async def _drain(self, reply: str, data: bytes) -> None:
        try:
            await self._publisher.drained()
        except Exception as error:
            self._fail(str(error), "")
        self._answer(reply, data)

    async def _make_durable(self, call: trips.Finish | trips.Keep, reply: str, data: bytes) -> None:
        """What was said is durable before anything is answered that builds on it: the end, and a snapshot."""
        try:
            await self._publisher.flush()
            self._faults.reach("flushed")
            if isinstance(call, trips.Keep):
                kept = snapshot.dump(self.run, self.run.run_id)
                self._faults.reach("snapshot dumped")
                snapshot.save(self._snapshot_path, kept)
                self._faults.reach("snapshot saved")
        except snapshot.SnapshotError as error:
            # The journal still has everything: a restart begins further back.
            log.warning("no snapshot", extra={"env": self.env, "error": str(error)})
        except Exception as error:
            self._fail(str(error), "")
        self._answer(reply, data)

    def forget(self) -> None:
        """The run is over: its snapshot has no use any more."""
        self._snapshot_path.unlink(missing_ok=True)

    def _answer(self, reply: str, data: bytes) -> None:
        """Answer, or say what has failed. While the server is away nothing is sent: the replay asks again."""
        size_max = self._host.trips.max_payload
        if self._failed is None and len(data) > size_max:
            self._fail(f"an answer of {len(data)} bytes, more than the server takes ({size_max})", "")
        self._host.trips.publish(reply, self._failed or data)
        self._faults.reach("answered")
