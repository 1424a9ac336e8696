"""The clock that a strategy sees: the time of what it is being told, and its timers. It never reads the machine's
clock.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from nautilus_common.messages.events import TimeEvent

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

TimeHandler = Callable[["TimeEvent"], None]


class TimeSource(Protocol):
    """What a clock asks of its host."""

    def now_ns(self) -> int: ...

    def timers_changed(self) -> None: ...


class Timer(msgspec.Struct):
    """One timer or alert (an alert has no interval)."""

    name: str
    next_ns: int
    interval_ns: int
    stop_ns: int
    callback: TimeHandler | None


class Clock:
    """Time and timers of one component. All `*_ns` are UTC nanoseconds."""

    def __init__(self, source: TimeSource) -> None:
        self._source = source
        self._timers: dict[str, Timer] = {}

    # -- time --------------------------------------------------------------------------------------------------------

    def timestamp_ns(self) -> int:
        return self._source.now_ns()

    def timestamp_us(self) -> int:
        return self._source.now_ns() // 1_000

    def timestamp_ms(self) -> int:
        return self._source.now_ns() // 1_000_000

    def timestamp(self) -> float:
        return self._source.now_ns() / 1e9

    def utc_now(self) -> dt.datetime:
        """Now, to the microsecond, as an aware datetime in UTC."""
        return EPOCH + dt.timedelta(microseconds=self._source.now_ns() // 1_000)

    def local_now(self, tz: dt.tzinfo | None = None) -> dt.datetime:
        return self.utc_now().astimezone(tz or dt.UTC)

    # -- timers ------------------------------------------------------------------------------------------------------

    @property
    def timer_names(self) -> list[str]:
        return sorted(self._timers)

    @property
    def timer_count(self) -> int:
        return len(self._timers)

    def next_time_ns(self, name: str) -> int:
        """When the timer fires next; 0 when there is none of that name."""
        timer = self._timers.get(name)
        return timer.next_ns if timer is not None else 0

    def set_time_alert(
        self,
        name: str,
        alert_time: dt.datetime,
        callback: TimeHandler | None = None,
        override: bool = False,
        allow_past: bool = True,
    ) -> None:
        """Fire once at `alert_time`; see `set_time_alert_ns`."""
        if override and name in self._timers:
            self.cancel_timer(name)
        self.set_time_alert_ns(name, to_ns(alert_time), callback, allow_past)

    def set_time_alert_ns(
        self, name: str, alert_time_ns: int, callback: TimeHandler | None = None, allow_past: bool = True
    ) -> None:
        """Fire once at `alert_time_ns`; an alert in the past fires at once.

        Raises KeyError for a name in use, ValueError for a time in the past with `allow_past` off.
        """
        now = self._source.now_ns()
        if alert_time_ns < now:
            if not allow_past:
                raise ValueError(f"alert {name!r}: time {alert_time_ns} ns is in the past, now is {now} ns")
            alert_time_ns = now
        self._add(Timer(name, alert_time_ns, 0, 0, callback))

    def set_timer(
        self,
        name: str,
        interval: dt.timedelta,
        start_time: dt.datetime | None = None,
        stop_time: dt.datetime | None = None,
        callback: TimeHandler | None = None,
        allow_past: bool = True,
        fire_immediately: bool = False,
    ) -> None:
        """Fire every `interval`; see `set_timer_ns`."""
        interval_ns = ((interval.days * 86_400 + interval.seconds) * 1_000_000 + interval.microseconds) * 1_000
        start_ns = to_ns(start_time) if start_time is not None else 0
        stop_ns = to_ns(stop_time) if stop_time is not None else 0
        self.set_timer_ns(name, interval_ns, start_ns, stop_ns, callback, allow_past, fire_immediately)

    def set_timer_ns(
        self,
        name: str,
        interval_ns: int,
        start_time_ns: int = 0,
        stop_time_ns: int = 0,
        callback: TimeHandler | None = None,
        allow_past: bool = True,
        fire_immediately: bool = False,
    ) -> None:
        """Fire at start + interval and every interval from then, until `stop_time_ns` (0: for ever).

        Start 0 is now; with `fire_immediately` the first time is the start itself. Times that are past fire at once,
        in order. Raises ValueError for an interval that is not positive, a stop before the start, or a start in the
        past with `allow_past` off; KeyError for a name in use.
        """
        now = self._source.now_ns()
        start = start_time_ns or now
        if interval_ns <= 0:
            raise ValueError(f"timer {name!r}: the interval must be positive, was {interval_ns} ns")
        if start < now and not allow_past:
            raise ValueError(f"timer {name!r}: start {start} ns is in the past, now is {now} ns")
        if stop_time_ns and stop_time_ns <= start:
            raise ValueError(f"timer {name!r}: stop {stop_time_ns} ns is not after start {start} ns")
        first = start if fire_immediately else start + interval_ns
        self._add(Timer(name, first, interval_ns, stop_time_ns, callback))

    def cancel_timer(self, name: str) -> None:
        """Raises KeyError when there is no such timer."""
        if name not in self._timers:
            raise KeyError(f"no timer {name!r}; there are {self.timer_names}")
        del self._timers[name]
        self._source.timers_changed()

    def cancel_timers(self) -> None:
        self._timers.clear()
        self._source.timers_changed()

    def _add(self, timer: Timer) -> None:
        if not timer.name:
            raise ValueError("a timer needs a name")
        if timer.name in self._timers:
            raise KeyError(f"timer {timer.name!r} is already set; cancel it first, or choose another name")
        self._timers[timer.name] = timer
        self._source.timers_changed()

    # -- for the host ------------------------------------------------------------------------------------------------

    def next_due_ns(self) -> int | None:
        """The earliest time at which one of the timers fires; a time that was missed is caught up with now."""
        if not self._timers:
            return None
        return max(min(timer.next_ns for timer in self._timers.values()), self._source.now_ns())

    def due(self, ts_ns: int) -> list[Timer]:
        """The timers that fire at or before `ts_ns`."""
        return [timer for timer in self._timers.values() if timer.next_ns <= ts_ns]

    def fired(self, timer: Timer) -> None:
        """A timer has fired: wait for its next time, or forget it."""
        if self._timers.get(timer.name) is not timer:
            return
        if timer.interval_ns == 0:
            del self._timers[timer.name]
        else:
            timer.next_ns += timer.interval_ns
            if timer.stop_ns and timer.next_ns > timer.stop_ns:
                del self._timers[timer.name]
        self._source.timers_changed()


def to_ns(moment: dt.datetime) -> int:
    """UTC nanoseconds of a datetime; a naive one is taken as UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    delta = moment - EPOCH
    return ((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds) * 1_000
