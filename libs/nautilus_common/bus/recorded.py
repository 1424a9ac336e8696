"""Asking the recorder whether it has everything: on `fleet.<env>.recorded`, before a replay's streams are deleted.

The recorder answers each question within a few seconds, with the reason if it is not so far; who asks goes on asking
for as long as it likes. So a recorder that is started again meanwhile, or a lost answer, does no harm.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

import msgspec
import nats.errors

from nautilus_common.bus.errors import BusError
from nautilus_common.messages import subjects

if TYPE_CHECKING:
    from nats.aio.client import Client

HOLD_SECONDS = 2.0
"""The recorder waits for so long before it answers that it is not so far."""
GRACE_SECONDS = 1.0
AGAIN_SECONDS = 0.1


class Recorded(msgspec.Struct, frozen=True):
    """The answer. If it is not done: why, and whether that is so for good."""

    is_done: bool
    detail: str = ""
    is_final: bool = False


class NotRecorded(BusError):
    """The recorder does not have all of it, or there is none: says why."""


decode_question = msgspec.msgpack.Decoder(int).decode
_decode_answer = msgspec.msgpack.Decoder(Recorded).decode


async def wait_recorded(client: Client, env: str, sequence: int, timeout_s: float) -> None:
    """Return when all databases of the recorder hold the control stream of `env` up to `sequence`.

    Raises NotRecorded with the reason when they do not within `timeout_s`, or never will.
    """
    subject = subjects.subject(env, subjects.RECORDED)
    question = msgspec.msgpack.encode(sequence)
    why = ""
    deadline = monotonic() + timeout_s
    while (left := deadline - monotonic()) > 0:
        patience = min(left, HOLD_SECONDS + GRACE_SECONDS)
        try:
            reply = await client.request(subject, question, timeout=patience)
            answer = _decode_answer(reply.data)
        except nats.errors.NoRespondersError:
            why = "no recorder is there"
        except (TimeoutError, nats.errors.Error, OSError) as error:
            if not why or patience > HOLD_SECONDS:  # cut short by our own deadline, it says less than the last answer
                why = f"the recorder does not answer ({str(error) or type(error).__name__})"
        except msgspec.MsgspecError as error:
            why = f"the recorder's answer cannot be read ({error})"
        else:
            if answer.is_done:
                return
            why = answer.detail
            if answer.is_final:
                break
        await asyncio.sleep(max(0.0, min(AGAIN_SECONDS, deadline - monotonic())))
    raise NotRecorded(
        f"{env} is not recorded up to message {sequence} of its control stream: {why}",
        where=subject,
        remedy="fleet status shows the recorder, fleet logs recorder what it said",
    )
