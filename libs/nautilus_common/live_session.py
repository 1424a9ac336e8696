"""The shell of a process in one live session: brings what arrives to its engines, and makes durable what they say.

What arrives is taken where it arrives, in the callback of the subscription: a task between them would only cost time.
Inputs on which something was said are durable with what was said before anybody hears it; inputs on which nothing was
said wait for the next that speaks, or a quarter of a second: if they are lost with the process they are taken again,
and nobody can tell.
"""

from __future__ import annotations

import asyncio
import logging
from math import ceil
from pathlib import Path
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any

import msgspec

from nautilus_common import snapshot
from nautilus_common.bus.publisher import WAITING_MAX, FencedError, Publisher
from nautilus_common.bus.reader import StreamBroken, StreamReader
from nautilus_common.bus.tasks import end_tasks
from nautilus_common.hosting import Builder
from nautilus_common.live_log import log_subject
from nautilus_common.live_run import LiveRun, Taken
from nautilus_common.messages import subjects
from nautilus_common.plan import decode_plan
from nautilus_common.retrace import Retrace
from nautilus_common.session import Progress, Session, words_subject

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

    from nautilus_common.health import Health

SILENT_MAX = 4_096
SILENT_SECONDS = 0.25
TURN_INPUTS = 64  # inputs in one go before others in this process have theirs
SNAPSHOT_INPUTS = 50_000  # between two snapshots, at least
DRAIN_SECONDS = 10.0
AGAIN_SECONDS = 0.001
TIMER_SECONDS_MAX = 86_400.0

log = logging.getLogger("fleet")


class LiveSession:
    """One process in one session, from its open word to its end word."""

    def __init__(
        self,
        control: Client,
        data: Client,
        env: str,
        process: str,
        epoch: str,
        health: Health,
        home: Path,
    ) -> None:
        self._control = control
        self._data = data
        self._env = env
        self._process = process
        self._epoch = epoch
        self._health = health
        self._snapshots = home / "snapshots"
        self._run: LiveRun | None = None
        self._publisher: Publisher | None = None
        self._log: StreamReader | None = None
        self._blocks: StreamReader | None = None
        self._silent: list[Any] = []
        self._clock = 0
        self._paused = True
        self._timer: asyncio.TimerHandle | None = None
        self._flusher: asyncio.TimerHandle | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._inputs = 0  # since this process has joined
        self._since_snapshot = 0
        self._rejected: dict[str, int] = {}
        self._over = asyncio.Event()
        self.failure: Exception | None = None

    # -- its life ------------------------------------------------------------------------------------------------------

    async def run(self, session: Session, opened: int, builders: dict[str, Builder]) -> None:
        """Take part from wherever this process left off, until the session ends. Raises what has stopped it."""
        try:
            await self._begin(session, opened, builders)
            assert self._publisher is not None
            self._watch = asyncio.create_task(self._watch_publisher(self._publisher))
            await self._over.wait()
            if self.failure is not None:
                raise self.failure
            await self._publish_rest()
            self._path(session).unlink(missing_ok=True)
        except Exception as error:
            self.failure = error
            raise
        finally:
            await self._close()

    async def drain(self) -> None:
        """Stop taking inputs, make durable what was said, and keep a snapshot."""
        run = self._run
        if run is None or self._paused or self.failure is not None:
            return
        self._paused = True
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._publish_rest()
            await self._keep(run)
        except Exception as error:  # the journal has all that was said: the next start says the rest
            log.warning("not drained", extra={"error": f"{type(error).__name__}: {error}"})

    @property
    def lag(self) -> int:
        """Messages that are there and were not taken."""
        return sum(reader.lag for reader in (self._log, self._blocks) if reader is not None)

    def progress(self) -> Progress:
        """How far this process is."""
        run, publisher = self._run, self._publisher
        failure = "" if self.failure is None else str(self.failure)
        if run is None or publisher is None:
            return Progress(self._process, "", 0, {}, 0, idle=False, stopped=False, failure=failure)
        idle = not self._paused and not self.lag and run.live.is_idle and publisher.is_idle
        numbers = dict(run.check.numbers)
        stopped = run.state in ("stopped", "ended")
        return Progress(
            self._process, run.session.id, publisher.number, numbers, run.data_position, idle, stopped, failure
        )

    async def _begin(self, session: Session, opened: int, builders: dict[str, Builder]) -> None:
        placed = session.placing[self._process]
        roles = tuple(placed.roles)
        publisher = self._publisher = Publisher(self._control, self._env, roles, self._process, self._epoch)
        last = await publisher.start()
        number = session.numbers.get(self._process, 0)
        run = LiveRun(self._env, self._process, session, opened, builders, number)
        run = self._restored(run, publisher.number)
        self._run = run
        self._blocks = await self._read_blocks(session, run)
        if last is not None and publisher.number > run.number:
            await self._retrace(run, publisher)
        if run.state == "ended":
            self._over.set()
            return
        others = [
            log_subject(self._env, tuple(other.roles), name)
            for name, other in session.placing.items()
            if name != self._process
        ]
        filters = (words_subject(self._env), *others)
        stream = subjects.control_stream(self._env)
        self._log = StreamReader(self._control, stream, run.log_position + 1, filters, on_ready=self._take_all)
        self._clock = run.live.clock
        self._paused = False
        self._health.set("ready")
        await self._log.start()
        self._take_all()

    async def _read_blocks(self, session: Session, run: LiveRun) -> StreamReader:
        plan = decode_plan(session.plan)
        filters = sorted(
            {
                subjects.subject(
                    self._env,
                    subjects.market_data(s.instrument_id.venue.value, s.instrument_id.symbol.value, s.kind),
                )
                for s in plan.streams
            }
        )
        stream = subjects.data_stream(self._env)
        reader = StreamReader(self._data, stream, run.data_position + 1, tuple(filters), on_ready=self._take_all)
        reader.created = session.data_created
        await reader.start()
        return reader

    async def _retrace(self, run: LiveRun, publisher: Publisher) -> None:
        """Go through our own journal up to the last entry; what a death has cut off is said now."""
        assert self._blocks is not None
        started = perf_counter()
        placing = run.session.placing
        filters = [words_subject(self._env)]
        filters += [log_subject(self._env, tuple(other.roles), name) for name, other in placing.items()]
        reader = StreamReader(
            self._control, subjects.control_stream(self._env), run.log_position + 1, tuple(filters), batch=2_000
        )
        await reader.start()
        try:
            way = Retrace(run, reader, self._blocks)
            rest = await way.to(publisher.number)
        finally:
            await reader.close()
        publisher.say(rest, [], run.live.clock)
        log.info(
            "journal gone through",
            extra={"session": run.session.id, "inputs": way.inputs, "seconds": round(perf_counter() - started, 3)},
        )

    async def _publish_rest(self) -> None:
        assert self._publisher is not None
        self._flush_silent()
        await self._publisher.flush()

    async def _close(self) -> None:
        self._paused = True
        for handle in (self._timer, self._flusher):
            if handle is not None:
                handle.cancel()
        await end_tasks(self._keeping, self._watch)
        for part in (self._log, self._blocks, self._publisher):
            if part is not None:
                await part.close()

    async def _watch_publisher(self, publisher: Publisher) -> None:
        """What stops the publisher stops us, also when nothing arrives."""
        await publisher.ended()
        self._fail(publisher.failure or RuntimeError("the publisher has ended"))

    # -- inputs --------------------------------------------------------------------------------------------------------

    def _take_all(self) -> None:
        """Take what is there: the log before market data, market data before time."""
        if self._paused:
            return
        assert self._run is not None
        assert self._publisher is not None
        run, publisher = self._run, self._publisher
        try:
            if publisher.failure is not None:
                raise publisher.failure
            for _ in range(TURN_INPUTS):
                if publisher.waiting > WAITING_MAX:
                    self._set_timer(AGAIN_SECONDS)
                    return
                started = perf_counter()
                arrived, taken = self._take_next(run)
                if not arrived:
                    break
                if taken is not None:
                    self._say(run, publisher, taken)
                    self._health.turn_seconds.observe(perf_counter() - started)
                if run.state == "ended":
                    self._paused = True
                    self._over.set()
                    return
            else:
                self._set_timer(0)
                return
            self._tell_rejections(run)
            self._set_timer(max(0.0, (run.live.wake_ns - time_ns()) / 1e9))
        except Exception as error:
            self._fail(error)

    def _take_next(self, run: LiveRun) -> tuple[bool, Taken | None]:
        assert self._log is not None
        assert self._blocks is not None
        item = self._log.take_nowait()
        now = time_ns()
        if item is not None:
            return True, run.take_log(item.sequence, item.subject, item.data, now)
        if run.state == "new":
            self._raise_failure(self._log)
            return False, None
        item = self._blocks.take_nowait()
        if item is not None:
            return True, run.take_data(item.sequence, item.subject, item.data, now)
        self._raise_failure(self._log)
        self._raise_failure(self._blocks)
        if run.live.wake_ns <= now:
            return True, run.advance(now)
        return False, None

    def _raise_failure(self, reader: StreamReader) -> None:
        if reader.failure is not None:
            raise reader.failure

    def _say(self, run: LiveRun, publisher: Publisher, taken: Taken) -> None:
        self._inputs += 1
        self._since_snapshot += 1
        self._clock = run.live.clock
        self._health.messages.inc()
        self._health.last_message_ns = self._clock
        self._silent.append(taken.input)
        if taken.records:
            self._health.records.inc(len(taken.records))
            inputs, self._silent = self._silent, []
            publisher.say(taken.records, inputs, self._clock)
        elif len(self._silent) >= SILENT_MAX:
            self._flush_silent()
        elif self._flusher is None:
            self._flusher = asyncio.get_running_loop().call_later(SILENT_SECONDS, self._flush_silent)
        due = snapshot.until_next(self._inputs, SNAPSHOT_INPUTS)
        if self._since_snapshot >= due and self._keeping is None:
            self._since_snapshot = 0
            self._keeping = asyncio.create_task(self._pause_and_keep(run))

    def _flush_silent(self) -> None:
        if self._flusher is not None:
            self._flusher.cancel()
            self._flusher = None
        if self._silent and self._publisher is not None:
            inputs, self._silent = self._silent, []
            self._publisher.say([], inputs, self._clock)

    def _set_timer(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # Whole milliseconds, upwards: an event loop has no finer ones, and one that wakes too early spins.
        delay = ceil(min(seconds, TIMER_SECONDS_MAX) * 1000) / 1000
        self._timer = asyncio.get_running_loop().call_later(delay, self._take_all)

    def _fail(self, error: Exception) -> None:
        """Take nothing more: what follows would be built on what is not so."""
        self._paused = True
        self.failure = error
        self._over.set()

    def _tell_rejections(self, run: LiveRun) -> None:
        check = run.check
        if not check.rejections:
            return
        for reason, count in check.rejected.items():
            self._health.rejected.labels(reason).inc(count - self._rejected.get(reason, 0))
            self._rejected[reason] = count
        for reason, detail in check.rejections:
            log.warning("rejected", extra={"reason": reason, "detail": detail})
        check.rejections.clear()

    # -- snapshots -----------------------------------------------------------------------------------------------------

    async def _pause_and_keep(self, run: LiveRun) -> None:
        """A snapshot between two inputs, when all that was said before is durable."""
        self._paused = True
        try:
            await self._publish_rest()
            await self._keep(run)
        except Exception as error:
            self._fail(error)
            return
        finally:
            self._keeping = None
        if self.failure is None and not self._over.is_set():
            self._paused = False
            self._take_all()

    async def _keep(self, run: LiveRun) -> None:
        assert self._publisher is not None
        run.number = self._publisher.number
        try:
            snapshot.save(self._path(run.session), snapshot.dump(run, self._bound_to(run.session)))
        except snapshot.SnapshotError as error:  # the journal has everything: a restart takes longer
            log.warning("no snapshot", extra={"error": str(error)})

    def _restored(self, made: LiveRun, number: int) -> LiveRun:
        """The run as its last snapshot has it, if there is one that can be used; else as it was made."""
        path = self._path(made.session)
        try:
            data = snapshot.read(path)
            if data is None:
                return made
            found: LiveRun = snapshot.load(data, self._bound_to(made.session))
        except snapshot.SnapshotError as error:
            log.warning("snapshot not used", extra={"path": str(path), "error": str(error)})
            return made
        if found.number > number:
            raise StreamBroken(
                f"{self._process} had written {found.number} entries, and the log has {number}: it was made anew"
            )
        self._rejected = dict(found.check.rejected)
        found.group.log_as(made.group)
        return found

    def _path(self, session: Session) -> Path:
        return self._snapshots / f"{self._env}.{subjects.escape(self._process)}.snapshot"

    def _bound_to(self, session: Session) -> str:
        return f"{session.id} {self._process} {','.join(session.placing[self._process].engines)}"


async def answer_query(session: LiveSession | None, message: Msg, process: str) -> None:
    """Tell whoever asks how far this process is."""
    nothing = Progress(process, "", 0, {}, 0, idle=True, stopped=True)
    await message.respond(msgspec.msgpack.encode(nothing if session is None else session.progress()))


__all__ = ["FencedError", "LiveSession", "answer_query"]
