"""A process and the live sessions of its world: hears of each, takes part in those that name it, one at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec
import nats.errors

from nautilus_common.bus.newest import NoStream, find_newest
from nautilus_common.bus.publisher import FencedError, PublishError
from nautilus_common.bus.reader import StreamBroken, StreamReader
from nautilus_common.bus.tasks import end_tasks
from nautilus_common.errors import FleetError
from nautilus_common.hosting import Builder, HostingError
from nautilus_common.live_log import LogGap
from nautilus_common.live_session import LiveSession, answer_query
from nautilus_common.messages import subjects
from nautilus_common.plan import PlanError
from nautilus_common.retrace import Differs, JournalError
from nautilus_common.session import Session, SessionError, Word, decode_word, query_channel, words_subject

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

    from nautilus_common.health import Health

LOOK_SECONDS = 0.25

_CLEAR = (StreamBroken, PublishError, LogGap, PlanError, HostingError, Differs, JournalError)
"""What is said as it is; anything else is named by its class too."""

log = logging.getLogger("fleet")


class Feed(Protocol):
    """What brings market data to a session; the data gateway is one."""

    async def run(self, session: Session, opened: int) -> None:
        """Publish until cancelled."""


class LiveHost:
    """Takes part in the live sessions of `env`."""

    def __init__(
        self,
        control: Client,
        data: Client,
        env: str,
        process: str,
        epoch: str,
        builders: dict[str, Builder],
        health: Health,
        home: Path,
        feed: Feed | None = None,
        on_fenced: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._control = control
        self._data = data
        self.env = env
        self._process = process
        self._epoch = epoch
        self._builders = builders
        self._health = health
        self._home = home
        self._feed = feed
        self._on_fenced = on_fenced
        self._task: asyncio.Task[None] | None = None
        self._parts: list[asyncio.Task[None]] = []
        self.session: LiveSession | None = None

    async def start(self) -> None:
        """Begin to listen."""
        subject = subjects.subject(self.env, query_channel(self._process))
        await self._control.subscribe(subject, cb=self._on_query)
        self._task = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Finish what is being taken, make it durable, and leave the session; it goes on without us."""
        if self.session is not None:
            await self.session.drain()
        await end_tasks(self._task, *self._parts)

    def lag(self) -> int:
        """Messages that are there and were not taken."""
        return 0 if self.session is None else self.session.lag

    @property
    def envs(self) -> list[str]:
        """The world, while a session of it is hosted here."""
        return [self.env] if self._parts else []

    async def _on_query(self, message: Msg) -> None:
        with contextlib.suppress(nats.errors.Error, OSError):
            await answer_query(self.session, message, self._process)

    # -- sessions ------------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Join what is open, then hear of what comes."""
        while True:
            try:
                await self._follow_stream()
            except StreamBroken as error:
                if self._parts:
                    self._quarantine(error)
                    return
                await asyncio.sleep(LOOK_SECONDS)

    async def _follow_stream(self) -> None:
        sequence, word = await self._newest_word()
        if word is not None and word.state != "end":
            self._join(word.session, word.opened)
        stream = subjects.control_stream(self.env)
        reader = StreamReader(self._control, stream, sequence + 1, (words_subject(self.env),), batch=16)
        await reader.start()
        try:
            while True:
                item = await reader.take()
                try:
                    word, _ = decode_word(item.data)
                except SessionError as error:
                    self._reject(item.sequence, error)
                    continue
                if word.state == "open":
                    await self._leave()
                    self._join(word.session, item.sequence)
                elif self._feed is not None and word.session.feed_process == self._process:
                    await self._stop_feed()
        finally:
            await reader.close()

    async def _newest_word(self) -> tuple[int, Word | None]:
        """(sequence of the last message on their subject, the newest word), as soon as there is a stream."""
        stream, subject = subjects.control_stream(self.env), words_subject(self.env)
        while True:
            try:
                last, sequence, word = await find_newest(self._control, stream, subject, _read_word)
            except NoStream:
                await asyncio.sleep(LOOK_SECONDS)
                continue
            if word is not None and not word.opened:
                word = msgspec.structs.replace(word, opened=sequence)
            return last, word

    def _reject(self, sequence: int, error: Exception) -> None:
        self._health.rejected.labels("word").inc()
        log.warning("rejected", extra={"reason": "word", "detail": f"message {sequence}: {error}"})

    def _join(self, session: Session, opened: int) -> None:
        if self._process in session.placing:
            self._parts.append(asyncio.create_task(self._take_part(session, opened)))
        if self._feed is not None and session.feed_process == self._process:
            self._parts.append(asyncio.create_task(self._bring_data(session, opened), name="feed"))

    async def _leave(self) -> None:
        """Wait until the session before is over here: its end came before the next one's beginning."""
        parts, self._parts = self._parts, []
        await asyncio.gather(*parts, return_exceptions=True)

    async def _stop_feed(self) -> None:
        await end_tasks(*(task for task in self._parts if task.get_name() == "feed"))

    async def _take_part(self, session: Session, opened: int) -> None:
        self._health.set("starting", f"session {session.id}: finding out where we left off")
        made = self.session = LiveSession(
            self._control, self._data, self.env, self._process, self._epoch, self._health, self._home
        )
        with self._quarantining():
            log.info("session joined", extra={"session": session.id, "engines": session.placing[self._process].engines})
            await made.run(session, opened, self._builders)
            log.info("session over", extra={"session": session.id})
            self.session = None
            self._parts = [task for task in self._parts if task is not asyncio.current_task()]

    async def _bring_data(self, session: Session, opened: int) -> None:
        assert self._feed is not None
        with self._quarantining():
            await self._feed.run(session, opened)

    @contextlib.contextmanager
    def _quarantining(self) -> Iterator[None]:
        """What stops a part that we take in a session stops all of them."""
        try:
            yield
        except Exception as error:
            self._quarantine(error)
            if isinstance(error, FencedError):
                self._on_fenced(str(error))

    def _quarantine(self, error: Exception) -> None:
        """This process takes nothing more, and says why wherever it is asked."""
        text = str(error)
        if isinstance(error, FleetError):
            text = f"{error.what} {error.where} {error.remedy}".strip()
        elif not isinstance(error, (*_CLEAR, FencedError)):
            notes = "; ".join(getattr(error, "__notes__", ()))
            text = f"{type(error).__name__}: {error} {notes}".strip()
        self._health.set("failed", text)
        log.error("session left", extra={"what": text})
        log.debug("traceback", exc_info=error)


def _read_word(data: bytes) -> Word | None:
    try:
        return decode_word(data)[0]
    except SessionError:
        return None
