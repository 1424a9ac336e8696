"""One process under the supervisor, and what becomes of it: the table of its states.

stopped --launch--> starting --answers--> ready
                      | dies                | dies
                      v                     v
    failed <--too often-- backoff <---------+      backoff --its time comes--> starting
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Literal, Protocol

from nautilus_common.servers import ServerError
from nautilus_common.servers.base import START_SECONDS, describe_exit

State = Literal["stopped", "starting", "ready", "backoff", "failed"]
Kind = Literal["server", "service"]


class Process(Protocol):
    """What a server and a service have in common."""

    @property
    def pid(self) -> int | None: ...
    def launch(self) -> None: ...
    def ready(self) -> bool: ...
    def ended(self) -> int | None: ...
    def signal(self, number: signal.Signals) -> None: ...
    def kill(self) -> None: ...


@dataclass(frozen=True)
class BackOff:
    """How long a process that dies waits: `first_s`, doubled each time that it dies young, at most `most_s`.

    Young is before it was ready or within `young_s` after. Past `attempts_max` young deaths in a row it is left dead.
    """

    first_s: float = 0.05
    most_s: float = 5.0
    young_s: float = 2.0
    attempts_max: int = 60

    def delay_s(self, deaths: int) -> float:
        """Before the next start, after `deaths` young deaths in a row."""
        return min(self.most_s, self.first_s * 2.0 ** min(max(deaths - 1, 0), 30))


class Member:
    """The supervisor's record of one process."""

    def __init__(self, name: str, kind: Kind, process: Process, back_off: BackOff) -> None:
        self.name = name
        self.kind = kind
        self.process = process
        self.state: State = "stopped"
        self.restarts = 0
        # Deaths before it was ready, in a row: what tells a service that cannot start from one that was killed.
        self.stillborn = 0
        self.last_end = ""
        self._back_off = back_off
        self._young_deaths = 0
        self._since_s = 0.0
        self._again_at_s = 0.0

    def launch(self, now_s: float) -> None:
        """Start the process."""
        self._since_s = now_s
        try:
            self.process.launch()
        except (ServerError, OSError) as error:
            self._died(str(error), now_s)
        else:
            self.state = "starting"

    def step(self, now_s: float) -> str | None:
        """Look at the process and do what is due; what happened, if anything did."""
        before = self.state
        match self.state:
            case "starting":
                self._step_starting(now_s)
            case "ready":
                self._step_ready(now_s)
            case "backoff":
                if now_s >= self._again_at_s:
                    self.restarts += 1
                    self.launch(now_s)
            case "stopped" | "failed":
                pass
        return None if self.state == before else self.describe(now_s)

    def describe(self, now_s: float) -> str:
        """Its state in a line of the supervisor's log."""
        match self.state:
            case "backoff":
                return f"{self.name}: {self.last_end}; again in {max(0.0, self._again_at_s - now_s):.2f} s"
            case "failed":
                return f"{self.name}: {self.last_end}; given up after {self._young_deaths} deaths"
            case state:
                return f"{self.name}: {state}, pid {self.process.pid}"

    def _step_starting(self, now_s: float) -> None:
        status = self.process.ended()
        if status is not None:
            self._died(describe_exit(status), now_s)
        elif self._answers():
            self.state, self._since_s, self.stillborn = "ready", now_s, 0
        elif self.kind == "server" and now_s - self._since_s > START_SECONDS:
            # A service may wait for long, and says for what; a server has nothing to wait for.
            self.process.kill()
            self._died(f"no answer within {START_SECONDS:g} s", now_s)

    def _answers(self) -> bool:
        try:
            return self.process.ready()
        except ServerError:
            # It has ended since we looked; the next step sees that.
            return False

    def _step_ready(self, now_s: float) -> None:
        status = self.process.ended()
        if status is not None:
            self._died(describe_exit(status), now_s)

    def _died(self, how: str, now_s: float) -> None:
        was_ready = self.state == "ready"
        young = not was_ready or now_s - self._since_s < self._back_off.young_s
        self.stillborn = 0 if was_ready else self.stillborn + 1
        self._young_deaths = self._young_deaths + 1 if young else 1
        self.last_end = how
        self._again_at_s = now_s + self._back_off.delay_s(self._young_deaths)
        self.state = "failed" if self._young_deaths > self._back_off.attempts_max else "backoff"
