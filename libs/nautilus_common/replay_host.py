"""A process in replays: takes the numbered requests of any number of replays, each in its env, and answers them.

Answers leave as soon as the engines have spoken. What they said also goes to the env's control stream, in batches, for
whoever listens; it can be said again from the requests, so the answer does not wait for the disk. The last request of a
run does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec
import nats.errors

from nautilus_common import snapshot, trips
from nautilus_common.bus.publisher import Publisher, PublishError
from nautilus_common.bus.reader import StreamReader
from nautilus_common.errors import FleetError
from nautilus_common.faults import NO_FAULTS, Faults
from nautilus_common.hosting import Builder, HostedRun, HostingError, build_group
from nautilus_common.messages import subjects
from nautilus_common.messages.blocks import Block, decode_block
from nautilus_common.plan import PlanError, decode_plan

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

    from nautilus_common.health import Health

BLOCKS_AHEAD = 64
"""Blocks of a replay that are held before they are shown."""

log = logging.getLogger("fleet")


class ReplayHost:
    """Serves replays with the engines that `builders` (role -> builder) can make."""

    def __init__(
        self,
        control: Client,
        data: Client,
        process: str,
        epoch: str,
        builders: dict[str, Builder],
        health: Health,
        home: Path,
        delay: Callable[[], float] | None = None,
        faults: Faults = NO_FAULTS,
    ) -> None:
        self._control = control
        self._data = data
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
        subject = subjects.subject("*", subjects.trip(self.process))
        await self._control.subscribe(subject, cb=self._on_trip, pending_msgs_limit=0, pending_bytes_limit=0)

    async def close(self) -> None:
        """Finish what is being carried out, then stop."""
        for env in list(self.envs.values()):
            await env.close()

    async def _on_trip(self, message: Msg) -> None:
        if self.delay is not None:
            await asyncio.sleep(self.delay())
        try:
            outward = trips.decode_outward(message.data)
        except msgspec.MsgspecError as error:
            self.health.rejected.labels("trip").inc()
            await self._control.publish(message.reply, trips.encode(trips.Failed(0, f"not a request: {error}")))
            return
        name = message.subject.split(".")[1]
        env = self.envs.get(name)
        if isinstance(outward, trips.Request):
            if env is None:
                await self._control.publish(message.reply, trips.encode(trips.Missed(-1)))
                return
            await env.take(outward, message.reply)
        elif isinstance(outward, trips.Open):
            await self._control.publish(message.reply, trips.encode(await self._open(name, outward)))
        else:
            if env is not None:
                del self.envs[name]
                await env.close()
                env.forget()
            await self._control.publish(message.reply, trips.encode(trips.Opened(-1)))

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
        run = restore(path, request.run_id) or HostedRun(request.run_id, plan, group)
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
        self._publisher = Publisher(control, env, tuple(host.builders), host.process, host.epoch, host.faults)
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
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._reader is not None:
            await self._reader.close()
        await self._publisher.close()

    async def take(self, request: trips.Request, reply: str) -> None:
        """Carry a request out now if nothing is in its way, else as soon as that is so."""
        self._queue.append((request, reply))
        if not self._busy:
            self._busy = True
            if not await self._work():
                self._tasks = [task for task in self._tasks if not task.done()]
                self._tasks.append(asyncio.create_task(self._wait_and_work()))

    async def _wait_and_work(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            if await self._work():
                return

    async def _work(self) -> bool:
        """Carry out what is queued; False when it has to wait for a block."""
        while self._queue:
            request, reply = self._queue[0]
            known = self._failed or self.run.known(request.number)
            if known is not None:
                self._queue.popleft()
                await self._answer(reply, known)
                continue
            if not await self._has_blocks(request):
                return False
            self._queue.popleft()
            await self._carry_out(request, reply)
        self._busy = False
        return True

    async def _has_blocks(self, request: trips.Request) -> bool:
        wanted = {n for call in request.calls if isinstance(call, trips.Feed) for n in call.numbers}
        missing = wanted - self._blocks.keys()
        if not missing:
            return True
        self._wanted = missing
        if self._reader is None:
            self._reader = StreamReader(
                self._data, subjects.data_stream(self.env), self.run.fed + 1, batch=BLOCKS_AHEAD
            )
            await self._reader.start()
            self._tasks.append(asyncio.create_task(self._take_blocks(self._reader)))
        self._room.set()
        return False

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

    async def _carry_out(self, request: trips.Request, reply: str) -> None:
        started = perf_counter()
        self._faults.reach("request taken")
        try:
            data, records = self.run.carry_out(request, self._blocks)
        except Exception as error:
            notes = "; ".join(getattr(error, "__notes__", ()))
            self._fail(f"{type(error).__name__}: {error}", notes)
            log.debug("traceback", exc_info=error)
            assert self._failed is not None
            await self._answer(reply, self._failed)
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
        calls = request.calls
        if calls and isinstance(calls[-1], trips.Finish | trips.Keep):
            await self._make_durable(calls[-1])
        elif self._publisher.waiting:
            await self._drained()
        await self._answer(reply, self._failed or data)
        self._faults.reach("answered")

    async def _drained(self) -> None:
        try:
            await self._publisher.drained()
        except Exception as error:
            self._fail(str(error), "")

    async def _make_durable(self, call: trips.Finish | trips.Keep) -> None:
        """What was said is durable before anything is answered that builds on it: the end, and a snapshot."""
        try:
            await self._publisher.flush()
            self._faults.reach("flushed")
            if isinstance(call, trips.Keep):
                data = snapshot.dump(self.run, self.run.run_id)
                self._faults.reach("snapshot dumped")
                snapshot.save(self._snapshot_path, data)
                self._faults.reach("snapshot saved")
        except snapshot.SnapshotError as error:
            # The journal still has everything: a restart begins further back.
            log.warning("no snapshot", extra={"env": self.env, "error": str(error)})
        except Exception as error:
            self._fail(str(error), "")

    def forget(self) -> None:
        """The run is over: its snapshot has no use any more."""
        self._snapshot_path.unlink(missing_ok=True)

    async def _answer(self, reply: str, data: bytes) -> None:
        if len(data) > self._control.max_payload:
            self._fail(f"an answer of {len(data)} bytes, more than the server takes ({self._control.max_payload})", "")
            assert self._failed is not None
            data = self._failed
        with contextlib.suppress(nats.errors.Error, OSError):  # the replay asks again, and the answer is kept
            await self._control.publish(reply, data)
