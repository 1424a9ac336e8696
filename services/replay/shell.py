"""The process of a replay: finds who serves the run's engines, drives them through it, and writes what came out.

Everything that it needs is in its folder, so that it can be killed at any moment and started again: it goes through its
own loop with the answers that it has, then on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, perf_counter, process_time, time
from typing import Any

import msgspec
import nats.errors
from nautilus_common import trips
from nautilus_common.bus.api import StreamFacts, ask_jetstream
from nautilus_common.bus.connection import Connection, connect
from nautilus_common.bus.errors import BusUnreachable
from nautilus_common.bus.recorded import NotRecorded, wait_recorded
from nautilus_common.bus.wire import WireError
from nautilus_common.code import code_digest
from nautilus_common.collector import collect_rarely
from nautilus_common.errors import FleetError
from nautilus_common.journal import EventLog
from nautilus_common.messages import subjects
from nautilus_common.settings import ProcessSettings
from nautilus_common.who import Who, ask_who, of_other_code, place

from services.replay.answers import AnswerLog
from services.replay.config import Job, blocks, read_job
from services.replay.control import Pace
from services.replay.link import Link, NeedHistory, Proxy, ReplayError
from services.replay.market import MarketPublisher
from services.replay.scheduler import FleetScheduler

FIND_SECONDS = 60.0
PROGRESS_SECONDS = 0.2
CLOSE_SECONDS = 5.0
RETRY_SECONDS = 0.1
RECORD_SECONDS = 60.0


class Replay:
    """One replay in its folder."""

    def __init__(self, folder: Path, settings: ProcessSettings, tell: Callable[[dict[str, Any]], None]) -> None:
        self.folder = folder
        self.settings = settings
        self.job, self.plan = read_job(folder)
        self._tell = tell
        self._rows = 0
        self._told = 0.0

    def run(self) -> dict[str, Any]:
        """Run to the end. Raises ReplayError."""
        job = self.job
        self._tell({"stage": "find"})
        placed = asyncio.run(self._prepare())
        keep_all: set[str] = set()
        while True:
            try:
                result = self._run_once(job, placed, keep_all)
                asyncio.run(self._clean_up(placed))
                (self.folder / "result.json").write_text(json.dumps(result, indent=1))
                return result
            except NeedHistory as missing:
                keep_all.add(missing.process)
            except WireError as error:
                raise ReplayError(str(error)) from error

    # -- who serves what -----------------------------------------------------------------------------------------------

    async def _prepare(self) -> dict[str, list[str]]:
        """Make the env's streams, and find the processes: process -> engines."""
        from nautilus_common.bus.layout import apply_streams

        control = await connect_patiently(self.settings.nats_control)
        data = await connect_patiently(self.settings.nats_data)
        try:
            await apply_streams(control, data, self.job.env)
            known = self.folder / "processes.json"
            if known.is_file():
                found: dict[str, list[str]] = json.loads(known.read_text())
                return found
            placed = await self._find(control)
            known.write_text(json.dumps(placed, indent=1))
            return placed
        finally:
            await control.close()
            await data.close()

    async def _find(self, control: Any) -> dict[str, list[str]]:
        deadline = monotonic() + FIND_SECONDS
        heard: dict[str, Who] = {}
        seats = self.plan.seats()
        while True:
            heard |= await ask_who(control)
            placed, missing = place(seats, heard.values())
            if not missing:
                self._check_code([heard[name] for name in placed])
                return placed
            if monotonic() > deadline:
                raise ReplayError(
                    f"no process serves {', '.join(missing)}; there are {', '.join(sorted(heard)) or 'none'} "
                    "(fleet up starts them, fleet serve ROLE one)"
                )
            self._tell({"stage": "wait", "for": missing})

    def _check_code(self, found: list[Who]) -> None:
        other = of_other_code(found)
        if other:
            names = ", ".join(f"{who.process} ({who.code})" for who in other)
            raise ReplayError(
                f"{names} run other code than this replay ({code_digest()}): the bytes could not be equal. Start them "
                "again with the installed version (fleet down, fleet up)"
            )

    # -- the run -------------------------------------------------------------------------------------------------------

    def _run_once(self, job: Job, placed: dict[str, list[str]], keep_all: set[str]) -> dict[str, Any]:
        plan_data = (self.folder / "plan.bin").read_bytes()
        env = job.env

        def open_request(proxy: Proxy) -> bytes:
            engines = [seat.engine for seat in proxy.seats]
            return trips.encode(trips.Open(job.run_id, plan_data, engines))

        link = Link(self.settings.nats_control, env, open_request)
        link.on_wait = self._on_wait
        link.connect()
        seats = self.plan.seats()
        proxies = []
        for process, engines in placed.items():
            own = [seat for seat in seats if seat.engine in engines]
            answers = AnswerLog(self.folder / "answers" / f"{process}.log")
            proxies.append(Proxy(link, process, own, answers, process in keep_all))
        proxies.sort(key=lambda proxy: proxy.rank)
        sources = [blocks(self.folder, job, self.plan, rank) for rank in range(len(self.plan.streams))]
        market = MarketPublisher(self.settings.nats_data, env, sources)
        events = (self.folder / "events.part").open("wb")
        try:
            market.connect()
            for proxy in proxies:
                link.join(proxy)
            log = EventLog(events)
            pace = Pace(job, link, self.plan.start_ns)
            scheduler = FleetScheduler(proxies, log, market, len(sources), self._on_feed, pace)
            started, cpu = perf_counter(), process_time()
            self._rows = 0
            scheduler.drive(self.plan.start_ns, job.end_ns, pace.begin)
            result = self._result(scheduler, log, perf_counter() - started, process_time() - cpu)
        finally:
            events.close()
            market.close()
            link.close()
        os.replace(self.folder / "events.part", self.folder / "events")
        return result

    async def _clean_up(self, placed: dict[str, list[str]]) -> None:
        """Let the processes forget the run and, unless it is to be kept, the servers its streams."""
        from nautilus_common.bus.layout import remove_streams

        control = await connect_patiently(self.settings.nats_control)
        data = await connect_patiently(self.settings.nats_data)
        try:
            for process in placed:
                subject = subjects.subject(self.job.env, subjects.trip(process))
                with contextlib.suppress(nats.errors.Error):
                    await control.request(subject, trips.encode(trips.Close()), timeout=CLOSE_SECONDS)
            if self.job.keep:
                return
            with contextlib.suppress(NotRecorded):  # nobody records: there is nothing to wait for
                await self._wait_recorded(control)
            await remove_streams(control, data, self.job.env)
        finally:
            await control.close()
            await data.close()

    async def _wait_recorded(self, control: Connection) -> None:
        """Let a recorder have everything before it is gone, where one is there."""
        info = await ask_jetstream(control, f"STREAM.INFO.{subjects.control_stream(self.job.env)}")
        assert info is not None, "a stream that is not there raises"

        def records(who: Who) -> bool:
            return "recorder" in who.roles

        found = await ask_who(control, enough=records)
        seconds = RECORD_SECONDS if any(map(records, found.values())) else 0.0
        await wait_recorded(control, self.job.env, StreamFacts.of(info).last_seq, seconds)

    def _result(self, scheduler: FleetScheduler, log: EventLog, seconds: float, cpu: float) -> dict[str, Any]:
        digest = log.digest()
        return {
            "run_id": self.job.run_id,
            "env": self.job.env,
            "digest": digest,
            "engine_digests": {str(rank): text for rank, text in log.engine_digests().items()},
            "events": log.count,
            "rows": self._rows,
            "seconds": round(seconds, 6),
            "cpu_seconds": round(cpu, 6),
            "trips": scheduler.trips,
            "processes": {proxy.process: [seat.engine for seat in proxy.seats] for proxy in scheduler.proxies},
        }

    def _on_feed(self, block: Any) -> None:
        self._rows += block.row_count
        now = time()
        if now - self._told > PROGRESS_SECONDS:
            self._told = now
            self._tell({"stage": "run", "rows": self._rows})

    def _on_wait(self, text: str) -> None:
        now = time()
        if now - self._told > PROGRESS_SECONDS:
            self._told = now
            self._tell({"stage": "wait", "for": [text]})


async def connect_patiently(url: str) -> Connection:
    """A connection, when the server is there: it may have been killed a moment ago. Raises BusUnreachable."""
    deadline = monotonic() + FIND_SECONDS
    while True:
        try:
            return await connect(url, "replay")
        except BusUnreachable:
            if monotonic() > deadline:
                raise
            await asyncio.sleep(RETRY_SECONDS)


def main(arguments: list[str]) -> int:
    """`python -m services.replay FOLDER`: run the replay in the folder; progress is JSON lines on stdout."""
    if len(arguments) != 1 or not (Path(arguments[0]) / "job.json").is_file():
        print("usage: python -m services.replay FOLDER   (fleet replay CONFIG makes one)", file=sys.stderr)
        return 2

    def tell(what: dict[str, Any]) -> None:
        print(json.dumps(what), flush=True)

    settings = ProcessSettings.from_environ(("replay",), os.environ)
    collect_rarely()
    try:
        result = Replay(Path(arguments[0]), settings, tell).run()
    except (ReplayError, FleetError, OSError, ValueError, msgspec.MsgspecError) as error:
        tell({"stage": "failed", "what": str(error)})
        return 1
    tell({"stage": "done", "result": result})
    return 0
