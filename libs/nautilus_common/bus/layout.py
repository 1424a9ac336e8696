"""The streams of a world as data (`deploy/nats/streams.toml`), and how they come to be on the servers.

`apply_streams` may be run as often as one likes: it makes what is missing, changes what may be changed, and raises
where a stream cannot become what it must be, or could only by losing messages. It never deletes.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from nautilus_common.bus.api import ask_jetstream
from nautilus_common.bus.errors import LayoutError, StreamConflict
from nautilus_common.bus.fitness import check_servers as check_servers  # the third thing to do with streams and servers

if TYPE_CHECKING:
    from nats.aio.client import Client

REPLAY_PREFIX = "r-"

_SIZES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}
_TIMES = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}
_FIXED = ("storage", "retention", "max_consumers", "persist_mode", "mirror", "sources", "sealed")
"""What JetStream does not change in a stream that is there, or only by losing it."""
_ABSENT: dict[str, Any] = {"persist_mode": "default", "mirror": None, "sources": None, "sealed": False}
"""Settings that are not in the file, since only one value of them keeps what is written."""

Server = Literal["control", "data"]


class StreamTemplate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One stream of every world; `{env}` in its name and subjects is the world's name."""

    name: str
    server: Server
    description: str
    subjects: list[str]
    storage: Literal["file"]  # a stream in memory is gone at the first restart
    retention: Literal["limits"]
    discard: Literal["new", "old"]
    max_bytes: str
    max_age: str
    max_msg_size: str
    max_consumers: int
    duplicate_window: str
    allow_atomic: bool
    allow_direct: bool
    deny_delete: bool
    num_replicas: int
    replay: dict[str, Any] = {}

    def config(self, env: str, replicas: int | None = None) -> dict[str, Any]:
        """The stream of `env` as JetStream is asked for it."""
        return {
            "name": self.name.format(env=env),
            "description": self.description,
            "subjects": [subject.format(env=env) for subject in self.subjects],
            "storage": self.storage,
            "retention": self.retention,
            "discard": self.discard,
            "max_bytes": _quantity(self.max_bytes, _SIZES),
            "max_age": _quantity(self.max_age, _TIMES),
            "max_msg_size": _quantity(self.max_msg_size, _SIZES),
            "max_consumers": self.max_consumers,
            "duplicate_window": _quantity(self.duplicate_window, _TIMES),
            "allow_atomic": self.allow_atomic,
            "allow_direct": self.allow_direct,
            "deny_delete": self.deny_delete,
            "num_replicas": self.num_replicas if replicas is None else replicas,
        }


class Layout(msgspec.Struct, frozen=True):
    """All streams of a world."""

    streams: tuple[StreamTemplate, ...]

    def of(self, env: str) -> tuple[StreamTemplate, ...]:
        """The streams of `env`: of a replay (`r-...`) with what differs for it."""
        check_env(env)
        if not env.startswith(REPLAY_PREFIX):
            return self.streams
        return tuple(
            msgspec.convert({**msgspec.to_builtins(stream), **stream.replay, "replay": {}}, StreamTemplate)
            for stream in self.streams
        )


class Change(msgspec.Struct, frozen=True):
    """What was done to one stream; `fields` holds what a change was about: name -> (before, after)."""

    stream: str
    server: Server
    action: Literal["created", "updated", "unchanged", "removed", "absent"]
    fields: dict[str, tuple[Any, Any]] = {}


def layout_folder() -> Path:
    """Where the servers' configuration and the streams are: in an installed wheel, or in the repository."""
    shipped = Path(__file__).with_name("deploy") / "nats"
    folder = shipped if shipped.is_dir() else Path(__file__).parents[3] / "deploy" / "nats"
    if not folder.is_dir():
        raise LayoutError("the folder deploy/nats is missing", where=str(folder), remedy="install the package again")
    return folder


def load_layout(path: Path | None = None) -> Layout:
    """The streams in `path`, by default those that came with the package. Raises LayoutError."""
    path = path or layout_folder() / "streams.toml"
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        streams = msgspec.convert(document.get("stream", []), tuple[StreamTemplate, ...])
        layout = Layout(streams)
        for env in ("live", "r-0"):  # each size, time and override is read once, so that a mistake is found here
            for stream in layout.of(env):
                stream.config(env)
    except OSError as error:
        raise LayoutError(
            f"no streams: {error.strerror}", where=str(path), remedy="name a file that is there"
        ) from None
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError, KeyError, IndexError) as error:
        raise LayoutError(f"the streams cannot be read: {error}", where=str(path)) from None
    if sorted(stream.server for stream in streams) != ["control", "data"]:
        raise LayoutError("one stream of the control server and one of the data server are needed", where=str(path))
    return layout


def check_env(env: str) -> None:
    """Raises LayoutError when `env` cannot be part of a subject and of a stream's name."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", env) or env == "sys":
        raise LayoutError(
            f"{env!r} cannot be the name of an environment",
            remedy="letters, digits, '-' and '_', at most 64; not 'sys'",
        )


async def apply_streams(
    control: Client, data: Client, env: str, *, replicas: int | None = None, layout: Layout | None = None
) -> list[Change]:
    """Let the servers have the streams of `env`; returns what was done, stream by stream.

    Raises StreamConflict (its message names stream, setting, found and wanted), ServerUnfit.
    """
    connections = {"control": control, "data": data}
    changes = []
    for stream in (layout or load_layout()).of(env):
        wanted = stream.config(env, replicas)
        changes.append(await _apply(connections[stream.server], stream.server, wanted))
    return changes


async def remove_streams(control: Client, data: Client, env: str, *, layout: Layout | None = None) -> list[Change]:
    """Delete the streams of `env` and all that is in them."""
    connections = {"control": control, "data": data}
    changes = []
    for stream in (layout or load_layout()).of(env):
        name = stream.name.format(env=env)
        found = await ask_jetstream(connections[stream.server], f"STREAM.DELETE.{name}", missing_ok=True)
        changes.append(Change(name, stream.server, "absent" if found is None else "removed"))
    return changes


async def find_changes(
    control: Client, data: Client, env: str, *, replicas: int | None = None, layout: Layout | None = None
) -> list[Change]:
    """What `apply_streams` would do, without doing it. Raises as it does."""
    connections = {"control": control, "data": data}
    changes = []
    for stream in (layout or load_layout()).of(env):
        wanted = stream.config(env, replicas)
        found = await ask_jetstream(connections[stream.server], f"STREAM.INFO.{wanted['name']}", missing_ok=True)
        changes.append(_difference(stream.server, wanted, found))
    return changes


async def _apply(connection: Client, server: Server, wanted: dict[str, Any]) -> Change:
    name = wanted["name"]
    found = await ask_jetstream(connection, f"STREAM.INFO.{name}", missing_ok=True)
    change = _difference(server, wanted, found)
    if change.action == "unchanged":
        return change
    # What somebody else set and the file says nothing of (placement, metadata) stays.
    kept = {} if found is None else {k: v for k, v in found["config"].items() if k not in ("metadata", *_ABSENT)}
    verb = "CREATE" if found is None else "UPDATE"
    made = await ask_jetstream(connection, f"STREAM.{verb}.{name}", {**kept, **wanted}, server=server)
    assert made is not None
    left = _fields(wanted, made["config"])
    if left:
        raise StreamConflict(f"stream {name} on the {server} server: {_told(left)} after it was set", where=name)
    return change


def _difference(server: Server, wanted: dict[str, Any], found: dict[str, Any] | None) -> Change:
    """What is to be done so that the stream is as wanted. Raises StreamConflict when nothing can."""
    name = wanted["name"]
    if found is None:
        return Change(name, server, "created")
    fields = _fields(wanted, found["config"])
    if not fields:
        return Change(name, server, "unchanged")
    stuck = {field: values for field, values in fields.items() if _is_stuck(field, *values, server, found["state"])}
    if stuck:
        raise StreamConflict(
            f"stream {name} on the {server} server is not as it must be: {_told(stuck)}",
            where=f"{name}, {found['state']['messages']:,} messages",
            remedy=f"what is in it stays unless you say so: fleet bus remove --env {name.partition('_')[2]} deletes"
            " both streams of this world, and fleet bus apply makes them; or change the file of streams",
        )
    return Change(name, server, "updated", fields)


def _fields(wanted: dict[str, Any], config: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The settings that differ: name -> (found, wanted)."""
    expected = {**_ABSENT, **wanted}
    defaults = {**_ABSENT, "allow_atomic": False, "allow_direct": False, "deny_delete": False, "description": ""}
    return {
        field: (found, value)
        for field, value in expected.items()
        if (found := config.get(field, defaults.get(field))) != value
    }


def _is_stuck(field: str, found: Any, wanted: Any, server: Server, state: dict[str, Any]) -> bool:
    """True when JetStream refuses the change, or makes it by throwing messages of the log away."""
    if field in _FIXED or (field == "deny_delete" and found):
        return True
    if server != "control":
        return False
    if field == "max_age":
        return bool(wanted) and (not found or wanted < found)
    if field == "max_bytes":  # with `discard: old` the server would make room at once
        return bool(state["bytes"] > wanted)
    return field == "subjects" and not set(found or []) <= set(wanted) and state["messages"] > 0


def _told(fields: dict[str, tuple[Any, Any]]) -> str:
    return "; ".join(f"{field} is {found!r}, wanted {wanted!r}" for field, (found, wanted) in fields.items())


def _quantity(text: str, units: dict[str, int]) -> int:
    """`8GiB`, `100ms` as a number of bytes or nanoseconds."""
    match = re.fullmatch(r"(\d+)([A-Za-z]+)", text)
    if match is None or match[2] not in units:
        raise ValueError(f"{text!r} is not a number with one of the units {', '.join(units)}")
    return int(match[1]) * units[match[2]]
