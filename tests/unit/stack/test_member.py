"""One process under the supervisor: what it does when that dies, at given times."""

from __future__ import annotations

import signal

from nautilus_common.servers import ServerError
from nautilus_fleet.stack.member import BackOff, Member

BACK_OFF = BackOff(first_s=0.1, most_s=0.5, young_s=2.0, attempts_max=5)


class Scripted:
    """A process that is what the test says."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.answers = False
        self.launches = 0
        self.fault: Exception | None = None

    @property
    def pid(self) -> int | None:
        return self.launches if self.launches and self.status is None else None

    def launch(self) -> None:
        self.launches += 1
        if self.fault is not None:
            raise self.fault
        self.status, self.answers = None, False

    def ready(self) -> bool:
        return self.answers

    def ended(self) -> int | None:
        return self.status

    def signal(self, number: signal.Signals) -> None:
        raise AssertionError(number)

    def kill(self) -> None:
        self.status = -9


def started(kind: str = "service") -> tuple[Scripted, Member]:
    process = Scripted()
    member = Member("risk", "server" if kind == "server" else "service", process, BACK_OFF)
    member.launch(0.0)
    return process, member


def test_from_start_to_ready() -> None:
    process, member = started()
    assert member.step(0.1) is None
    process.answers = True
    assert member.step(0.2) == "risk: ready, pid 1"
    assert member.step(0.3) is None


def test_what_dies_old_comes_back_after_the_first_delay_however_often() -> None:
    process, member = started()
    now = 0.0
    for deaths in range(1, 20):
        process.answers = True
        member.step(now)
        now += 10.0
        process.status = -9
        assert member.step(now) == "risk: SIGKILL; again in 0.10 s"
        assert member.step(now + 0.05) is None, "not yet"
        now += 0.11
        member.step(now)
        assert (member.state, member.restarts, process.launches) == ("starting", deaths, deaths + 1)


def test_what_dies_young_waits_longer_each_time_up_to_the_bound_and_is_given_up() -> None:
    process, member = started()
    delays, now = [], 0.0
    while member.state != "failed":
        process.status = 3
        event = member.step(now)
        assert event is not None
        if member.state == "backoff":
            delays.append(event.removeprefix("risk: exit code 3; again in "))
            now += 1.0
            member.step(now)
    assert delays == ["0.10 s", "0.20 s", "0.40 s", "0.50 s", "0.50 s"]
    assert event == "risk: exit code 3; given up after 6 deaths"
    assert member.stillborn == 6
    assert member.step(now + 100) is None


def test_a_death_just_after_it_was_ready_is_young_too() -> None:
    process, member = started()
    for delay in ("0.10", "0.20"):
        process.answers = True
        member.step(1.0)
        process.status = 1
        assert member.step(1.5) == f"risk: exit code 1; again in {delay} s"
        member.step(2.5)
    assert member.stillborn == 0


def test_a_server_that_cannot_be_started_is_tried_again() -> None:
    process = Scripted()
    process.fault = ServerError("nats-server: port 4222 is taken")
    member = Member("nats_data", "server", process, BACK_OFF)
    member.launch(0.0)
    assert (member.state, member.last_end) == ("backoff", "nats-server: port 4222 is taken")
    process.fault = None
    member.step(0.2)
    assert member.state == "starting"


def test_a_server_that_never_answers_is_killed_and_a_service_is_not() -> None:
    for kind, state in (("server", "backoff"), ("service", "starting")):
        process, member = started(kind)
        member.step(31.0)
        assert member.state == state
        assert (process.status == -9) is (kind == "server")
