"""A live session made again from its log: each process by its journal, and what it says compared byte for byte.

No process of the fleet is needed, only the two streams and the strategies' files: the engines are made here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from nautilus_fleet.errors import FleetError, NoDataError
from nautilus_fleet.live import Servers

if TYPE_CHECKING:
    from nautilus_common.hosting import Builder
    from nautilus_common.session import Session

LOG_BATCH = 2_000


@dataclass
class ProcessProof:
    """What one process has taken and said, and the first difference, if there is one."""

    process: str
    engines: list[str]
    entries: int = 0
    inputs: int = 0
    records: int = 0
    equal: bool = True
    difference: str = ""


@dataclass
class SessionProof:
    """A session gone through again."""

    session: str
    env: str
    ended: bool
    seconds: float = 0.0
    processes: list[ProcessProof] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        return all(process.equal for process in self.processes)

    def to_json(self) -> dict[str, Any]:
        return {"equal": self.equal, **asdict(self)}


async def verify_session(servers: Servers, name: str, project: Path) -> SessionProof:
    """Go through session `name` again. Raises NoDataError when the log has none, FleetError when it cannot be."""
    from nautilus_common.bus.reader import StreamBroken

    session, opened, ended = await find_session(servers, name)
    builders = _builders(servers.env, project)
    proof = SessionProof(session.id, servers.env, ended)
    started = perf_counter()
    for process in session.placing:
        try:
            proof.processes.append(await _verify_process(servers, session, opened, process, builders))
        except StreamBroken as error:
            raise FleetError(f"the session cannot be gone through: {error}", where=process) from error
    proof.seconds = round(perf_counter() - started, 3)
    return proof


async def find_session(servers: Servers, name: str) -> tuple[Session, int, bool]:
    """(the session, the sequence of its first word, whether it has ended). Raises NoDataError."""
    from nautilus_common.session import SessionError, decode_word, words_subject

    found: dict[str, tuple[Session, int, bool]] = {}
    async for sequence, _, data in messages(servers, (words_subject(servers.env),)):
        try:
            word, _ = decode_word(data)
        except SessionError:
            continue
        found[word.session.id] = (word.session, word.opened or sequence, word.state == "end")
    if name not in found:
        known = ", ".join(list(found)[-5:]) or "none"
        raise NoDataError(f"no session {name!r} in the log of {servers.env}", remedy=f"the last are {known}")
    return found[name]


async def messages(servers: Servers, filters: tuple[str, ...], start: int = 1) -> AsyncIterator[tuple[int, str, bytes]]:
    """(sequence, subject, data) of what is in the control stream now."""
    import json

    from nautilus_common.bus.reader import StreamReader
    from nautilus_common.messages import subjects

    stream = subjects.control_stream(servers.env)
    last = 0
    for subject in filters:
        request = json.dumps({"last_by_subj": subject}).encode()
        answer = json.loads((await servers.control.request(f"$JS.API.STREAM.MSG.GET.{stream}", request)).data)
        if answer.get("error", {}).get("err_code") == 10059:
            raise NoDataError(f"there is no stream {stream}", remedy="is --env the world of the session?")
        if "message" in answer:
            last = max(last, int(answer["message"]["seq"]))
    if last < start:
        return
    reader = StreamReader(servers.control, stream, start, filters, batch=LOG_BATCH)
    await reader.start()
    try:
        while True:
            item = await reader.take()
            yield item.sequence, item.subject, item.data
            if item.sequence >= last:
                return
    finally:
        await reader.close()


async def _verify_process(
    servers: Servers, session: Session, opened: int, process: str, builders: dict[str, Builder]
) -> ProcessProof:
    from nautilus_common.bus.reader import StreamReader
    from nautilus_common.live_log import log_subject
    from nautilus_common.live_run import LiveRun
    from nautilus_common.messages import subjects
    from nautilus_common.plan import decode_plan
    from nautilus_common.retrace import Differs, JournalError, Retrace
    from nautilus_common.session import words_subject

    placed = session.placing[process]
    proof = ProcessProof(process, placed.engines)
    before = session.numbers.get(process, 0)
    last = await _last_number(servers, session, opened, process)
    run = LiveRun(servers.env, process, session, opened, builders, before)
    filters = [words_subject(servers.env)]
    filters += [log_subject(servers.env, tuple(other.roles), name) for name, other in session.placing.items()]
    log = StreamReader(servers.control, subjects.control_stream(servers.env), opened, tuple(filters), batch=LOG_BATCH)
    kinds = {(s.instrument_id, s.kind) for s in decode_plan(session.plan).streams}
    wanted = [subjects.market_data(i.venue.value, i.symbol.value, kind) for i, kind in kinds]
    blocks = StreamReader(
        servers.data,
        subjects.data_stream(servers.env),
        session.data_from + 1,
        tuple(sorted(subjects.subject(servers.env, channel) for channel in wanted)),
    )
    await log.start()
    await blocks.start()
    way = Retrace(run, log, blocks)
    try:
        await way.to(last)
        if run.state == "ended":
            way.check_all_logged()
    except (Differs, JournalError) as error:
        proof.equal, proof.difference = False, str(error)
    finally:
        await log.close()
        await blocks.close()
    proof.entries, proof.inputs, proof.records = run.number - before, way.inputs, way.records
    return proof


async def _last_number(servers: Servers, session: Session, opened: int, process: str) -> int:
    """The number of the last entry of a process in a session: the last before the next session's first word."""
    from nautilus_common.bus.publisher import read_entry
    from nautilus_common.live_log import log_subject
    from nautilus_common.session import SessionError, decode_word, words_subject

    words = words_subject(servers.env)
    own = log_subject(servers.env, tuple(session.placing[process].roles), process)
    number = session.numbers.get(process, 0)
    async for sequence, subject, data in messages(servers, (words, own), opened):
        if subject == own:
            entry = read_entry(data, process)
            number = number if entry is None else max(number, entry.number)
            continue
        try:
            word, _ = decode_word(data)
        except SessionError:
            continue
        if sequence > opened and word.session.id != session.id:
            break
    return number


def _builders(env: str, project: Path) -> dict[str, Builder]:
    """All roles, made here; strategies come from `project`, and what they log is not shown again."""
    from nautilus_common.settings import ProcessSettings

    from nautilus_fleet.commands.serve import ROLES, role_maker

    settings = ProcessSettings("verify", tuple(ROLES), env=env, project=project)
    return {role: role_maker(role)(settings) for role in ROLES}
