"""The recorder as a process of the fleet: it follows the streams, says how it stands, and is asked whether it has all.

It records the environment of FLEET_ENV and every replay, from when their control stream is there until it is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Coroutine, Iterator
from typing import Any

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nautilus_common.bus.errors import BusError
from nautilus_common.bus.recorded import Recorded, decode_question
from nautilus_common.bus.tasks import end_tasks
from nautilus_common.messages import subjects
from nautilus_common.process import Process, run_process
from nautilus_common.settings import ProcessSettings
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.recorder.config import RecorderConfig
from services.recorder.market import folder_instruments
from services.recorder.recorder import Recorder

LOG = logging.getLogger("fleet.recorder")

FOLLOW_SECONDS = 1.0
QUESTIONS_MAX = 64
"""Questions that wait for their answer; whoever asks beyond that is told to ask again."""


class RecorderProcess(Process):
    """One process that records."""

    def __init__(self, settings: ProcessSettings, config: RecorderConfig) -> None:
        """Raises SettingsError when there is no database to write to."""
        super().__init__(settings)
        instruments = folder_instruments(config.instruments or settings.project / "catalog")
        self.recorder = Recorder(settings, config, instruments=instruments)
        self._tasks: set[asyncio.Task[None]] = set()
        self._questions = 0
        self._trouble = ""

    async def start(self, control: Client, data: Client) -> None:
        recorder, health = self.recorder, self.health
        await recorder.start(control, data)
        await self._follow()
        self._keep(self._follow_for_ever())
        await control.subscribe(subjects.subject("*", subjects.RECORDED), cb=self._on_question)
        health.work = self._work
        health.envs = lambda: recorder.envs
        health.lag = lambda: int(recorder.status()["lag"])
        health.more = lambda: {"worlds": recorder.status()["worlds"]}
        health.registry.register(_Figures(recorder))

    async def close(self) -> None:
        await end_tasks(*self._tasks)
        await self.recorder.stop()

    def _work(self) -> tuple[str, str]:
        status = self.recorder.status()
        self.health.last_message_ns = status["last_message_ns"] or None
        if self._trouble:
            return "waiting", self._trouble
        return status["state"], status["detail"]

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- what is on the bus ------------------------------------------------------------------------------------------

    async def _follow_for_ever(self) -> None:
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            await self._follow()

    async def _follow(self) -> None:
        """Nothing is known to be gone while the bus cannot be asked."""
        try:
            await self.recorder.follow()
            self._trouble = ""
        except (BusError, nats.errors.Error, OSError) as error:
            self._trouble = f"NATS: {str(error) or type(error).__name__}"

    # -- questions ---------------------------------------------------------------------------------------------------

    async def _on_question(self, message: Msg) -> None:
        if not message.reply:
            return
        if self._questions >= QUESTIONS_MAX:
            await self._answer(message, Recorded(False, f"{self._questions} others are waiting for an answer"))
        else:
            self._keep(self._take_question(message))

    async def _take_question(self, message: Msg) -> None:
        self._questions += 1
        try:
            sequence = decode_question(message.data)
            answer = await self.recorder.recorded(message.subject.split(".")[1], sequence)
        except msgspec.MsgspecError as error:
            answer = Recorded(False, f"the question is no sequence: {error}", is_final=True)
        except (BusError, nats.errors.Error, OSError) as error:
            answer = Recorded(False, f"NATS: {str(error) or type(error).__name__}")
        finally:
            self._questions -= 1
        await self._answer(message, answer)

    async def _answer(self, message: Msg, answer: Recorded) -> None:
        with contextlib.suppress(nats.errors.Error, OSError):  # who asks will ask again
            await message.respond(msgspec.msgpack.encode(answer))


class _Figures(Collector):
    """How far each database has come in each environment, for Prometheus."""

    NAMES = ("stream_seq", "records", "rejected", "backlog_messages", "backlog_bytes")

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def collect(self) -> Iterator[GaugeMetricFamily]:
        worlds = self._recorder.status()["worlds"]
        for name in self.NAMES:
            family = GaugeMetricFamily(
                f"fleet_recorder_{name}", f"Of each database: {name}", labels=["env", "database"]
            )
            for env, world in worlds.items():
                for database in ("postgres", "valkey"):
                    if database in world:
                        family.add_metric([env, database], world[database][name])
            yield family


def main() -> int:
    """Run until SIGTERM or SIGINT; the exit code."""
    return run_process(
        ("recorder",), lambda settings: RecorderProcess(settings, RecorderConfig.from_environ(os.environ))
    )
