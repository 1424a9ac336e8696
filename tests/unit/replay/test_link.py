"""The link to processes: what is sent again, and how often, by a client whose other side is a script."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Any

import pytest
from nautilus_common import trips
from nautilus_common.bus.protocol import Received
from nautilus_common.plan import Seat

from services.replay import link as module
from services.replay.link import Link, Proxy


class FakeClient:
    """Keeps what is sent; hands out what it is given, and lets time pass when there is nothing."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.sent: list[trips.Outward] = []
        self.inbox: deque[Received] = deque()
        self.reply = ""

    def monotonic(self) -> float:
        return self.now

    def connect(self, deadline: float) -> None: ...

    def subscribe(self, subject: str) -> None: ...

    def publish(self, subject: str, payload: bytes, reply: str = "", headers: bytes = b"") -> None:
        self.reply = reply
        self.sent.append(trips.decode_outward(payload))

    def receive(self, deadline: float) -> Received | None:
        if self.inbox:
            return self.inbox.popleft()
        self.now = max(self.now, deadline)
        return None

    def says(self, what: trips.Inward | None) -> None:
        """Let the process say something; None for: nobody is there."""
        payload = b"" if what is None else trips.encode(what)
        self.inbox.append(Received(self.reply, "", payload, 503 if what is None else 0))

    def take_sent(self) -> list[trips.Outward]:
        sent, self.sent = self.sent, []
        return sent


class Answers:
    def read(self) -> list[bytes]:
        return []

    def append(self, answer: bytes) -> None: ...


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    made = FakeClient()
    monkeypatch.setattr(module, "WireClient", lambda url, name: made)
    monkeypatch.setattr(module, "monotonic", made.monotonic)
    return made


def joined(client: FakeClient) -> tuple[Link, Proxy]:
    """A process that has just been opened."""
    found = Link("nats://127.0.0.1:1", "r-1", lambda proxy: trips.encode(trips.Open("run", b"", [])))
    found.connect()
    log: Any = Answers()
    proxy = Proxy(found, "risk", [Seat("risk", "risk", 0, (), reactive=True)], log, keep_all=False)
    client.reply = f"{found._inbox}.risk"
    client.says(trips.Opened(0))
    found.join(proxy)
    assert [type(sent) for sent in client.take_sent()] == [trips.Open]
    return found, proxy


def post(proxy: Proxy, count: int) -> None:
    for _ in range(count):
        proxy.post(None, None)


def numbers(sent: list[trips.Outward]) -> list[int]:
    return [request.number for request in sent if isinstance(request, trips.Request)]


def answer(number: int) -> trips.Answer:
    return trips.Answer(number, [], None)


def test_a_process_that_loads_for_long_is_sent_the_rest_once(client: FakeClient) -> None:
    link, proxy = joined(client)
    post(proxy, 5)
    client.take_sent()
    client.says(None)  # it has died, and what was under way with it
    link._turn(0.0)
    while client.now < 1_005.0:  # it is there again, and loads its snapshot
        link._turn(client.now + 0.05)
        link._look_after(proxy)
    asked = client.take_sent()
    assert 10 < len(asked) < 25
    for _ in asked:
        client.says(trips.Opened(2))
    for number in (3, 4, 5):
        client.says(answer(number))
    client.says(answer(1))
    assert proxy.outstanding == 5
    assert trips.decode_inward(link.wait(proxy, 1)) == answer(1)
    assert numbers(client.take_sent()) == [1, 2, 3, 4, 5]
    assert trips.decode_inward(link.wait(proxy, 5)) == answer(5)
    assert client.take_sent() == []


def test_what_is_missed_is_sent_again_once_a_second(client: FakeClient) -> None:
    """Each request that comes too early is told as missed; all of them mean the same one."""
    link, proxy = joined(client)
    post(proxy, 4)
    client.take_sent()
    client.now += 2
    for _ in range(3):
        client.says(trips.Missed(1))
    for _ in range(4):
        link._turn(0.0)
    assert numbers(client.take_sent()) == [1, 2, 3, 4], "from the first whose answer is not here"
    client.now += 2
    client.says(trips.Missed(1))
    link._turn(0.0)
    assert numbers(client.take_sent()) == [1, 2, 3, 4]


def test_a_process_that_is_not_open_is_opened(client: FakeClient) -> None:
    link, proxy = joined(client)
    post(proxy, 1)
    client.take_sent()
    client.says(trips.Missed(-1))
    link._turn(0.0)
    assert [type(sent) for sent in client.take_sent()] == [trips.Open]


def test_snapshots_are_ordered_less_often_as_the_run_grows(client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SNAPSHOT_EVERY", 10)
    _, proxy = joined(client)
    kept = []
    for number in range(1, 2_001):
        proxy.post(None, None)
        request = client.take_sent()[-1]
        assert isinstance(request, trips.Request)
        if request.calls:
            kept.append(number)
        proxy.take(trips.encode(answer(number)), number)
        proxy.collect()
        assert len(proxy._kept) <= max(10, number / 16) + 1, "what a snapshot has is not kept"
    assert kept[:4] == [10, 20, 30, 40]
    gaps = [after - before for before, after in pairwise(kept)]
    assert gaps == sorted(gaps)
    assert gaps[-1] > 100
