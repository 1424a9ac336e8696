"""The engines of one env in one process, as a replay drives them: numbered requests in, answers out.

Synchronous but for two waits: for a block that is still on its way, and for what was said to be durable at the end. The
requests are the journal: after a restart the last snapshot is restored and the replay sends what came after it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from nautilus_common import trips
from nautilus_common.group import Group
from nautilus_common.messages.codec import AnyMessage
from nautilus_common.plan import RunPlan, Seat

if TYPE_CHECKING:
    from nautilus_common.bus.publisher import Record
    from nautilus_common.engine import Engine, Tag
    from nautilus_common.messages.blocks import Block
    from nautilus_common.model.ledger import Ledger

Builder = Callable[[RunPlan, Seat, "Ledger"], "Engine"]

_ENCODE = msgspec.msgpack.Encoder().encode
_RECORD: msgspec.msgpack.Decoder[tuple[tuple[int, ...], str, AnyMessage]] = msgspec.msgpack.Decoder(
    tuple[tuple[int, ...], str, AnyMessage]
)


class HostingError(Exception):
    """The engines asked for cannot be made here: says which and why."""


def build_group(plan: RunPlan, engines: list[str], builders: dict[str, Builder]) -> Group:
    """The engines named, in rank order, with one ledger. Raises HostingError."""
    seats = plan.seats()
    here = [seat for seat in seats if seat.engine in engines]
    ledger = plan.new_ledger(keep_closed=any(seat.role == "strategy_host" for seat in here))
    made = []
    for seat in here:
        builder = builders.get(seat.role)
        if builder is None:
            raise HostingError(f"{seat.engine} needs the role {seat.role}, which this process does not serve")
        made.append(builder(plan, seat, ledger))
    missing = set(engines) - {engine.name for engine in made}
    if missing:
        raise HostingError(f"the run has no engine {', '.join(sorted(missing))}")
    return Group(made, seats)


class HostedRun:
    """A group of engines and the requests that it has carried out."""

    def __init__(self, run_id: str, group: Group) -> None:
        self.run_id = run_id
        self.group = group
        self.number = 0
        self.fed = 0  # the highest sequence of the data stream that was shown
        self.answers: OrderedDict[int, bytes] = OrderedDict()
        self.last_ns = 0

    def known(self, number: int) -> bytes | None:
        """The answer to a request that was carried out before; Missed when it cannot be carried out now."""
        if number == self.number + 1:
            return None
        return self.answers.get(number) or trips.encode(trips.Missed(self.number))

    def carry_out(self, request: trips.Request, blocks: dict[int, Block]) -> tuple[bytes, list[Record]]:
        """Make the calls; the answer, and the records for the bus. `blocks` holds what the calls will show."""
        assert request.number == self.number + 1
        group = self.group
        spoke = False
        for call in request.calls:
            spoke = self._make(call, blocks) or spoke
        frontier = request.frontier
        horizon: Tag | None = None
        if frontier is not None:
            if request.until is not None and not spoke:
                group.horizon(frontier)
                group.run(request.until)
            horizon = group.horizon(frontier)
        records: list[Record] = []
        for item in group.take_said():
            tag = item[0]
            records.append((tag[5], tag[6], item[1], _ENCODE(item)))
        self.number = request.number
        said = [msgspec.Raw(record[3]) for record in records]
        answer = trips.Answer(self.number, said, horizon, group.under_way, group.last_ns)
        data = trips.encode(answer)
        self.answers[self.number] = data
        if len(self.answers) > trips.ANSWERS_KEPT:
            self.answers.popitem(last=False)
        return data, records

    def _make(self, call: trips.Call, blocks: dict[int, Block]) -> bool:
        group = self.group
        match call:
            case trips.Handle():
                tag, channel, message = _RECORD.decode(call.record)
                self.last_ns = tag[0]
                return group.handle(tag, channel, message)
            case trips.RunSilently():
                group.run_silently(call.until)
            case trips.Feed():
                group.run_silently(call.frontier)
                for number in call.numbers:
                    group.feed(blocks.pop(number))
                    self.fed = max(self.fed, number)
            case trips.Start():
                return group.start(group.engine(call.engine), call.tag)
            case trips.Stop():
                return group.stop(group.engine(call.engine), call.tag)
            case trips.Finish():
                group.settle()
                group.finish(call.ts_ns)
            case trips.Keep():
                pass  # the shell writes the snapshot when the request is done
            case _:
                raise AssertionError(f"unknown call {call!r}")
        return False
