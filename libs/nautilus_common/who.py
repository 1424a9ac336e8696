"""Who is there: processes say who they are to whoever asks, and engines are dealt out to those that can serve them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from nautilus_common.code import code_digest

if TYPE_CHECKING:
    from nats.aio.client import Client

    from nautilus_common.plan import Seat

WHO = "fleet.sys.who"
HEAR_SECONDS = 0.3
"""How long answers are waited for: all that are ready give theirs in a few milliseconds."""


class Who(msgspec.Struct, frozen=True):
    """What a process answers on `fleet.sys.who`."""

    process: str
    roles: list[str]
    epoch: str
    pid: int
    version: str
    code: str


_DECODE = msgspec.msgpack.Decoder(Who).decode


async def ask_who(control: Client, enough: Callable[[Who], bool] = lambda who: False) -> dict[str, Who]:
    """The processes that answer in time, by name; those so far as soon as one is `enough`."""
    heard: dict[str, Who] = {}
    found = asyncio.Event()

    async def take(message: Any) -> None:
        with contextlib.suppress(msgspec.MsgspecError):  # nobody is there, or somebody who is none of us
            who = _DECODE(message.data)
            heard[who.process] = who
            if enough(who):
                found.set()

    inbox = control.new_inbox()
    subscription = await control.subscribe(inbox, cb=take)
    try:
        await control.publish(WHO, b"", reply=inbox)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEAR_SECONDS):
                await found.wait()
    finally:
        await subscription.unsubscribe()
    return {name: heard[name] for name in sorted(heard)}


def place(seats: list[Seat], found: Collection[Who]) -> tuple[dict[str, list[str]], list[str]]:
    """Which process serves which engine, the same for the same processes; and the engines that nobody serves.

    Several processes of one role share its engines out in the order of their names.
    """
    placed: dict[str, list[str]] = {}
    missing = []
    taken: dict[str, int] = {}
    able = {seat.role: sorted(who.process for who in found if seat.role in who.roles) for seat in seats}
    for seat in seats:
        processes = able[seat.role]
        if not processes:
            missing.append(seat.engine)
            continue
        number = taken.get(seat.role, 0)
        taken[seat.role] = number + 1
        placed.setdefault(processes[number % len(processes)], []).append(seat.engine)
    return placed, missing


def of_other_code(found: Iterable[Who]) -> list[Who]:
    """Those that run other code than this process: their bytes could not be equal to those of ours."""
    own = code_digest()
    return [who for who in found if who.code != own]
