"""Live sessions as a user has them: opened from a configuration, stopped, and looked at.

Opening finds who hosts which engine and publishes one word; the processes do the rest. Stopping lets strategies say
their last words, waits until nothing is on its way between any two processes - each says how much of the others it has
passed - and then ends the session.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from time import monotonic, time_ns
from typing import TYPE_CHECKING, Any

import msgspec

from nautilus_fleet.errors import FleetError, UsageError

if TYPE_CHECKING:
    from nautilus_common.bus.connection import Connection
    from nautilus_common.plan import RunPlan
    from nautilus_common.session import Progress, Session, Word
    from nautilus_common.who import Who

    from nautilus_fleet.config_source import LoadedConfig

FIND_SECONDS = 30.0
ASK_SECONDS = 1.0
SETTLE_SECONDS = 60.0
LOOK_SECONDS = 0.05


class Servers:
    """Connections to both servers, and the world that is meant."""

    def __init__(self, control: Connection, data: Connection, env: str) -> None:
        self.control = control
        self.data = data
        self.env = env


@contextlib.asynccontextmanager
async def connected(environ: dict[str, str], env: str) -> AsyncIterator[Servers]:
    """Both servers, as `environ` names them."""
    from nautilus_common.bus.connection import connect
    from nautilus_common.settings import ProcessSettings, SettingsError

    try:
        settings = ProcessSettings.from_environ(("fleet",), {**environ, "FLEET_ENV": env})
    except SettingsError as error:
        raise UsageError(str(error)) from error
    control = await connect(settings.nats_control, "fleet paper")
    try:
        data = await connect(settings.nats_data, "fleet paper")
        try:
            yield Servers(control, data, env)
        finally:
            await data.close()
    finally:
        await control.close()


# -- opening ---------------------------------------------------------------------------------------------------------


def make_plan(loaded: LoadedConfig, project: Path, progress: Any) -> RunPlan:
    """The plan of a session of this configuration. Raises FleetError."""
    from nautilus_fleet.market import load_market
    from nautilus_fleet.replays import plan_run
    from nautilus_fleet.runner import build_lock

    market = load_market(loaded, progress)
    return plan_run(loaded, market, build_lock(loaded, market), project, time_ns(), progress)


def feed_of(loaded: LoadedConfig, speed: float, jitter_us: int, project: Path) -> dict[str, Any]:
    """Where the data gateway takes its data from, by `[data]`. Raises UsageError."""
    data = loaded.model.data
    if data.files or (data.sample is not None) == (data.catalog is not None):
        raise UsageError(
            "a paper session plays either the sample market or a catalogue",
            where=loaded.where("data"),
            remedy="write sample = {...} or catalog = ...; import files first (fleet data import)",
        )
    feed: dict[str, Any] = {"speed": speed, "jitter_us": jitter_us, "seed": loaded.model.run.seed}
    if data.sample is not None:
        return feed | {"kind": "sample", "seed": data.sample.seed, "days": data.sample.days}
    path = loaded.resolve(data.catalog or "").resolve()
    with contextlib.suppress(ValueError):
        path = path.relative_to(project.resolve())
    return feed | {"kind": "catalog", "catalog": str(path)}


async def open_session(servers: Servers, plan: RunPlan, feed: dict[str, Any] | None, name: str = "") -> Session:
    """Open a session of `plan` with the processes that are there. Raises FleetError."""
    from nautilus_common.bus.api import stream_facts
    from nautilus_common.bus.fitness import check_servers
    from nautilus_common.bus.layout import apply_streams
    from nautilus_common.messages.subjects import data_stream
    from nautilus_common.plan import encode_plan
    from nautilus_common.session import Placed, Session, Word

    await check_servers(servers.control, servers.data)  # no session on a log that may forget what it acknowledged
    await apply_streams(servers.control, servers.data, servers.env)
    last, number, newest = await newest_word(servers)
    if newest is not None and newest.state != "end":
        raise FleetError(
            f"session {newest.session.id} is open in {servers.env}, and a world has one session at a time",
            remedy=f"fleet paper stop --env {servers.env}, or choose another world (--env, and FLEET_ENV of services)",
        )
    placed, found = await find_processes(servers, plan, needs_feed=feed is not None)
    counts, numbers = await _said_before(servers)
    stream = await stream_facts(servers.data, data_stream(servers.env))
    assert stream is not None, "it was made above"
    session = Session(
        id=name or f"s-{secrets.token_hex(4)}",
        plan=encode_plan(plan),
        placing={process: Placed(found[process].roles, engines) for process, engines in placed.items()},
        counts=counts,
        numbers={process: numbers.get(process, 0) for process in placed},
        data_from=stream.last_seq,
        data_created=stream.created,
        ts=time_ns(),
        feed_process=_feed_process(found) if feed is not None else "",
        feed=feed or {},
    )
    await _say_word(servers, Word("open", session), number + 1, last)
    return session


async def find_processes(
    servers: Servers, plan: RunPlan, *, needs_feed: bool
) -> tuple[dict[str, list[str]], dict[str, Who]]:
    """(process -> engines, what each process says of itself); waits for those that start. Raises FleetError."""
    from nautilus_common.who import of_other_code, place

    deadline = monotonic() + FIND_SECONDS
    while True:
        found = await _processes(servers)
        placed, missing = place(plan.seats(), found.values())
        if needs_feed and not _feed_process(found):
            missing = [*missing, "market data (role data_gateway)"]
        if not missing:
            break
        if monotonic() > deadline:
            raise FleetError(
                f"no process of {servers.env} serves {', '.join(missing)}; there are {', '.join(found) or 'none'}",
                remedy="fleet up --services ... starts them, fleet serve ROLE one (FLEET_ENV names their world)",
            )
    other = of_other_code(found[name] for name in placed)
    if other:
        names = ", ".join(who.process for who in other)
        raise FleetError(
            f"{names} run other code than this command: the session could not be verified",
            remedy="start them again with the installed version (fleet down, fleet up)",
        )
    return placed, found


async def _processes(servers: Servers) -> dict[str, Who]:
    """Processes that take part in sessions of this world, by name."""
    from nautilus_common.who import ask_who

    heard = await ask_who(servers.control)
    answers = await asyncio.gather(*(ask_progress(servers, name) for name in heard))
    return {name: who for (name, who), answer in zip(heard.items(), answers, strict=True) if answer is not None}


def _feed_process(found: dict[str, Who]) -> str:
    return next((name for name, who in found.items() if "data_gateway" in who.roles), "")


async def _said_before(servers: Servers) -> tuple[dict[int, int], dict[str, int]]:
    """(by rank, how much was said in this world; by process, the number of its last entry)."""
    from nautilus_common.bus.api import ask_jetstream
    from nautilus_common.bus.newest import find_newest
    from nautilus_common.bus.publisher import read_entry
    from nautilus_common.messages import subjects
    from nautilus_common.session import words_subject

    stream = subjects.control_stream(servers.env)
    request = {"subjects_filter": subjects.subject(servers.env, "log.>")}
    info = await ask_jetstream(servers.control, f"STREAM.INFO.{stream}", request)
    assert info is not None, "a stream that is not there raises"
    counts: dict[int, int] = {}
    numbers: dict[str, int] = {}
    for subject in info["state"].get("subjects") or {}:
        if subject == words_subject(servers.env):
            continue
        process = subjects.unescape(subject.rpartition(".")[2])
        _, _, entry = await find_newest(servers.control, stream, subject, partial(read_entry, process=process))
        if entry is None:
            continue
        numbers[process] = max(numbers.get(process, 0), entry.number)
        for rank, count in entry.counts.items():
            counts[rank] = max(counts.get(rank, 0), count)
    return counts, numbers


# -- words -----------------------------------------------------------------------------------------------------------


async def newest_word(servers: Servers) -> tuple[int, int, Word | None]:
    """(sequence of the last message on their subject, number of the newest word's entry, that word)."""
    from nautilus_common.bus.newest import NoStream, find_newest
    from nautilus_common.messages import subjects
    from nautilus_common.session import SessionError, decode_word, words_subject

    def read(data: bytes) -> tuple[Word, int] | None:
        try:
            return decode_word(data)
        except SessionError:
            return None

    stream = subjects.control_stream(servers.env)
    try:
        last, sequence, found = await find_newest(servers.control, stream, words_subject(servers.env), read)
    except NoStream:
        return 0, 0, None
    if found is None:
        return last, 0, None
    word, number = found
    return last, number, word if word.opened else msgspec.structs.replace(word, opened=sequence)


async def _say_word(servers: Servers, word: Word, number: int, last: int) -> int:
    from nautilus_common.session import encode_word, words_subject

    data = encode_word(word, number, time_ns())
    headers = {"Nats-Expected-Last-Subject-Sequence": str(last)}
    reply = await servers.control.request(words_subject(servers.env), data, timeout=5.0, headers=headers)
    answer = json.loads(reply.data)
    if "error" in answer:
        raise FleetError(
            f"the session was not changed: {answer['error'].get('description')}",
            remedy="somebody else has said something about it in this moment: fleet paper status",
        )
    return int(answer["seq"])


# -- looking and stopping --------------------------------------------------------------------------------------------


async def ask_progress(servers: Servers, process: str) -> Progress | None:
    """How far a process is; None when it does not answer."""
    import nats.errors
    from nautilus_common.messages import subjects
    from nautilus_common.session import decode_progress, query_channel

    subject = subjects.subject(servers.env, query_channel(process))
    try:
        reply = await servers.control.request(subject, b"", timeout=ASK_SECONDS)
        return decode_progress(reply.data)
    except (nats.errors.Error, OSError, TimeoutError, msgspec.MsgspecError):
        return None


async def open_now(servers: Servers) -> Word:
    """The word of the session that is open. Raises FleetError when there is none."""
    _, _, word = await newest_word(servers)
    if word is None or word.state == "end":
        raise FleetError(f"no session is open in {servers.env}", remedy="fleet paper start CONFIG opens one")
    return word


async def progress_of(servers: Servers, session: Session) -> dict[str, Progress | None]:
    """How far each process of the session is."""
    answers = await asyncio.gather(*(ask_progress(servers, process) for process in session.placing))
    return dict(zip(session.placing, answers, strict=True))


async def stop_session(servers: Servers) -> tuple[Session, int]:
    """Stop the open session and end it when nothing is on its way; it, and where its end is. Raises FleetError."""
    last, number, word = await newest_word(servers)
    if word is None or word.state == "end":
        raise FleetError(f"no session is open in {servers.env}", remedy="fleet paper start CONFIG opens one")
    if word.state == "open":
        last = await _say_word(servers, msgspec.structs.replace(word, state="stop"), number + 1, last)
        number += 1
    await _settled(servers, word.session)
    end = await _say_word(servers, msgspec.structs.replace(word, state="end"), number + 1, last)
    await _left(servers, word.session)
    return word.session, end


async def _settled(servers: Servers, session: Session) -> None:
    """Wait until every process has passed all that the others have said, and has nothing under way itself.

    Twice the same: what was on its way while the first was asked has then arrived.
    """
    deadline = monotonic() + SETTLE_SECONDS
    before: Any = None
    while True:
        now = await progress_of(servers, session)
        for process, answer in now.items():
            if answer is not None and answer.failure:
                raise FleetError(
                    f"{process} has left the session: {answer.failure}",
                    remedy="start it again (fleet up does); the session waits, then stop it",
                )
        if now == before and _all_passed(session, now):
            return
        before = now
        if monotonic() > deadline:
            late = [name for name, answer in now.items() if answer is None or not (answer.idle and answer.stopped)]
            raise FleetError(
                f"the session does not come to rest within {SETTLE_SECONDS:g} s: {', '.join(late) or 'entries'} under "
                "way",
                remedy="fleet status shows who is missing; start it, then fleet paper stop again",
            )
        await asyncio.sleep(LOOK_SECONDS)


def _all_passed(session: Session, answers: dict[str, Progress | None]) -> bool:
    known = {process: answer for process, answer in answers.items() if answer is not None}
    if len(known) < len(session.placing):
        return False
    for process, answer in known.items():
        if not (answer.idle and answer.stopped and answer.session == session.id):
            return False
        if any(answer.passed.get(other, 0) != known[other].number for other in known if other != process):
            return False
    return True


async def _left(servers: Servers, session: Session) -> None:
    deadline = monotonic() + SETTLE_SECONDS
    while monotonic() < deadline:
        answers = await progress_of(servers, session)
        if all(answer is not None and answer.session != session.id for answer in answers.values()):
            return
        await asyncio.sleep(LOOK_SECONDS)
    raise FleetError("the session has ended, and not every process has taken notice", remedy="fleet status")
