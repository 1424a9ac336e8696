"""The way from the loop of a replay to the processes: requests out, answers in, whatever dies in between.

A request is sent again until its answer is here; the process carries it out once. When a process was started again it
says how far its snapshot goes, and is sent what came after; its answers must then be those that it gave before, byte
for byte.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections import deque
from collections.abc import Callable
from time import monotonic

import msgspec
from nautilus_common import trips
from nautilus_common.bus.connection import inbox_prefix
from nautilus_common.bus.wire import Disconnected, Received, WireClient
from nautilus_common.messages import subjects
from nautilus_common.plan import Seat
from nautilus_common.snapshot import until_next

from services.replay.answers import AnswerLog

AGAIN_SECONDS = 1.0  # a request without an answer is sent again
OPEN_SECONDS = 0.25  # and the question how far a process is, which may be loading its snapshot
LOOK_SECONDS = 0.05
AWAY_SECONDS = 60.0  # a process that is away longer ends the replay
# Requests between two snapshots of a process, at least; tests make them frequent.
SNAPSHOT_EVERY = int(os.environ.get("FLEET_TEST_SNAPSHOT_EVERY", "4000"))


class ReplayError(Exception):
    """A replay cannot go on: what, and where."""


class NeedHistory(Exception):
    """A process has lost what it had: the loop begins again from the logged answers and keeps every request."""

    def __init__(self, process: str) -> None:
        super().__init__(process)
        self.process = process


class Proxy:
    """The engines of one process, as the loop sees them."""

    def __init__(self, link: Link, process: str, seats: list[Seat], log: AnswerLog, keep_all: bool) -> None:
        self.process = process
        self.name = process
        self.seats = seats
        self.rank = min(seat.rank for seat in seats)
        self.reactive = all(seat.reactive for seat in seats)
        self.under_way: tuple[int, ...] | None = None
        self.last_ns = 0
        self.away_since = 0.0
        self._keep_all = keep_all
        self._link = link
        self._log = log
        self._logged = log.read()
        self._calls: list[trips.Call] = []
        self._kept: deque[tuple[int, bytes]] = deque()
        self._keeps: deque[int] = deque()  # numbers of requests that order a snapshot and are not answered
        self._next_keep = SNAPSHOT_EVERY
        self._digests: dict[int, bytes] = {}
        self._arrived: dict[int, bytes] = {}
        self.sent = 0  # number of the last request
        self.collected = 0  # number of the last answer that the loop has taken
        self.sent_at = 0.0  # monotonic seconds
        self.resent_at = 0.0

    # -- for the loop --------------------------------------------------------------------------------------------------

    @property
    def outstanding(self) -> int:
        return self.sent - self.collected

    @property
    def queued(self) -> int:
        return len(self._calls)

    @property
    def feeds_queued(self) -> int:
        return sum(isinstance(call, trips.Feed) for call in self._calls)

    def add(self, call: trips.Call) -> None:
        """Make a call with the next request."""
        self._calls.append(call)

    def post(self, frontier: tuple[int, ...] | None, until: tuple[int, ...] | None) -> None:
        """Send the calls; the answer is collected later."""
        self.sent += 1
        if self.sent >= self._next_keep:
            self._calls.append(trips.Keep())
            self._keeps.append(self.sent)
            self._next_keep += until_next(self.sent, SNAPSHOT_EVERY)
        data = trips.encode(trips.Request(self.sent, self._calls, frontier, until))
        self._calls = []
        self._kept.append((self.sent, data))
        if self.sent > len(self._logged):
            self._link.send(self, data)

    def collect(self) -> trips.Answer:
        """The next answer, waited for. Raises ReplayError."""
        number = self.collected + 1
        if number <= len(self._logged):
            data = self._logged[number - 1]
            self._logged[number - 1] = b""
        else:
            data = self._link.wait(self, number)
            self._log.append(data)
        self.collected = number
        self._digests[number] = _digest(data)
        if self._keeps and self._keeps[0] == number:
            self._keeps.popleft()
            while not self._keep_all and self._kept and self._kept[0][0] <= number:
                self._digests.pop(self._kept.popleft()[0], None)
        answer = trips.decode_inward(data)
        assert isinstance(answer, trips.Answer)
        self.under_way = answer.under_way
        self.last_ns = max(self.last_ns, answer.last_ns)
        return answer

    # -- for the link --------------------------------------------------------------------------------------------------

    def take(self, data: bytes, number: int) -> None:
        """An answer has come, perhaps not for the first time."""
        if number > self.collected:
            self._arrived.setdefault(number, data)
            return
        known = self._digests.get(number)
        if known is not None and known != _digest(data):
            raise ReplayError(
                f"{self.process} was started again and answered request {number} otherwise than before: its engines "
                "are not deterministic, or its code or strategies were changed"
            )

    def arrived(self, number: int) -> bytes | None:
        return self._arrived.pop(number, None)

    def resend_after(self, number: int) -> None:
        """The process has carried out everything up to `number`: send it the rest, and what was not answered here."""
        first = self._kept[0][0] if self._kept else self.sent + 1
        after = min(number, max(self.collected, len(self._logged)))
        if after + 1 < first and after < self.sent:
            raise NeedHistory(self.process)
        self.resent_at = monotonic()
        for kept, data in self._kept:
            if kept > after:
                self._link.send(self, data)


class Link:
    """One connection for all processes of a replay."""

    def __init__(self, url: str, env: str, open_request: Callable[[Proxy], bytes]) -> None:
        self._client = WireClient(url, f"replay-{env}")
        self._env = env
        self._inbox = f"{inbox_prefix(url)}.{secrets.token_hex(8)}"
        self._proxies: dict[str, Proxy] = {}
        self._addresses: dict[str, tuple[str, str]] = {}  # of each process: its subject, and where it answers
        self._open_request = open_request
        self._controls: deque[bytes] = deque()
        self._opening: dict[str, float] = {}  # who is asked how far it is, and when again if it says nothing
        self.on_wait: Callable[[str], None] = lambda text: None

    def connect(self) -> None:
        """Connect to the server, and receive answers and what the user says. Raises ReplayError."""
        deadline = monotonic() + AWAY_SECONDS
        while True:
            try:
                self._client.connect(deadline)
                self._client.subscribe(f"{self._inbox}.*")
                self._client.subscribe(subjects.subject(self._env, "ctl.replay"))
                return
            except Disconnected as error:  # also when it was lost again at once
                if monotonic() >= deadline:
                    raise ReplayError(str(error)) from error

    def close(self) -> None:
        self._client.close()

    def join(self, proxy: Proxy) -> None:
        """Let `proxy` use this link, and open its engines."""
        self._proxies[proxy.process] = proxy
        subject = subjects.subject(self._env, subjects.trip(proxy.process))
        self._addresses[proxy.process] = subject, f"{self._inbox}.{subjects.escape(proxy.process)}"
        self._open(proxy)
        deadline = monotonic() + AWAY_SECONDS
        while proxy.process in self._opening:
            if monotonic() > deadline:
                raise ReplayError(f"process {proxy.process} does not answer")
            self._turn(monotonic() + LOOK_SECONDS)
            self._look_after(proxy)

    def send(self, proxy: Proxy, data: bytes) -> None:
        proxy.sent_at = monotonic()
        if proxy.process in self._opening:
            return  # it says first how far it is
        self._publish(proxy, data)

    def wait(self, proxy: Proxy, number: int) -> bytes:
        """The answer to request `number`."""
        while True:
            data = proxy.arrived(number)
            if data is not None:
                proxy.away_since = 0.0
                return data
            now = monotonic()
            self._turn(now + LOOK_SECONDS)
            self._look_after(proxy)

    def controls(self) -> deque[bytes]:
        """What the user has said since, without waiting."""
        self._turn(0.0)
        return self._controls

    def wait_for_control(self, seconds: float) -> None:
        """Wait for a word of the user, or `seconds`."""
        self._turn(monotonic() + seconds)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _turn(self, deadline: float) -> None:
        """Take one message, if one comes before the deadline."""
        try:
            received = self._client.receive(deadline)
        except Disconnected:
            self._reconnect()
            return
        if received is not None:
            self._take(received)

    def _take(self, received: Received) -> None:
        if not received.subject.startswith(self._inbox):
            self._controls.append(received.payload)
            if received.reply:
                self._client.publish(received.reply, b"heard")
            return
        proxy = self._proxies.get(subjects.unescape(received.subject.rpartition(".")[2]))
        if proxy is None:
            return
        if received.status == 503:
            self._away(proxy)
            return
        try:
            inward = trips.decode_inward(received.payload)
        except msgspec.MsgspecError as error:
            raise ReplayError(f"{proxy.process} answered what is not an answer: {error}") from error
        match inward:
            case trips.Answer():
                proxy.take(received.payload, inward.number)
            case trips.Opened():
                # It may have been asked several times while it loaded its snapshot: it is sent the rest once.
                if self._opening.pop(proxy.process, None) is not None:
                    proxy.away_since = 0.0
                    proxy.resend_after(inward.number)
            case trips.Missed():
                if inward.number < 0:
                    self._open(proxy)
                elif inward.number < proxy.sent and monotonic() - proxy.resent_at > AGAIN_SECONDS:
                    # Else it is of one of the requests that were under way before; `_look_after` sees to it if not.
                    proxy.resend_after(inward.number)
            case trips.Failed():
                raise ReplayError(f"{proxy.process}: {inward.what}" + (f"\n  {inward.where}" if inward.where else ""))

    def _away(self, proxy: Proxy) -> None:
        """Nobody listens there now: ask again a little later."""
        now = monotonic()
        proxy.away_since = proxy.away_since or now
        self.on_wait(f"waiting for {proxy.process}")
        if now - proxy.away_since > AWAY_SECONDS:
            raise ReplayError(f"{proxy.process} has been away for {AWAY_SECONDS:.0f} s; fleet status shows why")
        self._opening[proxy.process] = now + LOOK_SECONDS  # asked again by `_look_after`

    def _look_after(self, proxy: Proxy) -> None:
        now = monotonic()
        for name, again_at in list(self._opening.items()):
            if now > again_at:
                self._open(self._proxies[name])
        if proxy.process not in self._opening and now - proxy.sent_at > AGAIN_SECONDS:
            proxy.away_since = proxy.away_since or now
            if now - proxy.away_since > AWAY_SECONDS:
                raise ReplayError(f"{proxy.process} has not answered for {AWAY_SECONDS:.0f} s; fleet status shows why")
            self._open(proxy)

    def _open(self, proxy: Proxy) -> None:
        proxy.sent_at = monotonic()
        self._opening[proxy.process] = proxy.sent_at + OPEN_SECONDS
        self._publish(proxy, self._open_request(proxy))

    def _publish(self, proxy: Proxy, data: bytes) -> None:
        subject, reply = self._addresses[proxy.process]
        try:
            self._client.publish(subject, data, reply)
        except Disconnected:
            self._reconnect()

    def _reconnect(self) -> None:
        self.on_wait("waiting for the control server")
        self.connect()
        now = monotonic()
        for name in self._proxies:  # what was under way may be lost: each says how far it is
            self._opening[name] = now


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
