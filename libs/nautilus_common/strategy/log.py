"""The log that a strategy writes to: lines with the run's time, on a sink that the shell chooses."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from nautilus_common.model.enums import LogColor
from nautilus_common.strategy.clock import TimeSource

LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "OFF": 100}

Sink = Callable[[str], None]


class LogSettings:
    """Where lines go and which of them; shared by all loggers of a host."""

    def __init__(self, sink: Sink | None = None, level: str = "WARNING") -> None:
        if level not in LEVELS:
            raise ValueError(f"unknown log level {level!r}; choose one of {', '.join(LEVELS)}")
        self.sink = sink
        self.level = LEVELS[level] if sink is not None else LEVELS["OFF"]

    def __getstate__(self) -> dict[str, object]:
        """Kept without the sink, which is of this process; who loads a host gives it one (`log_to`)."""
        return {"sink": None, "level": self.level}


class Logger:
    """Writes ``<ISO ns>Z [LEVEL] <TRADER-ID>.<Component>: <message>``."""

    def __init__(self, name: str, source: TimeSource, settings: LogSettings) -> None:
        self._name = name
        self._source = source
        self._settings = settings

    def debug(self, message: str, color: LogColor = LogColor.NORMAL) -> None:
        self._write("DEBUG", message)

    def info(self, message: str, color: LogColor = LogColor.NORMAL) -> None:
        self._write("INFO", message)

    def warning(self, message: str, color: LogColor = LogColor.NORMAL) -> None:
        self._write("WARNING", message)

    def error(self, message: str, color: LogColor = LogColor.NORMAL) -> None:
        self._write("ERROR", message)

    def exception(self, message: str, error: BaseException) -> None:
        self._write("ERROR", f"{message}: {type(error).__name__}: {error}")

    def _write(self, level: str, message: str) -> None:
        settings = self._settings
        if LEVELS[level] < settings.level or settings.sink is None:
            return
        settings.sink(f"{iso_ns(self._source.now_ns())} [{level}] {self._name}: {message}")


def iso_ns(ts_ns: int) -> str:
    """UTC nanoseconds as ISO 8601 text with nine decimals."""
    seconds, nanos = divmod(ts_ns, 1_000_000_000)
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"
