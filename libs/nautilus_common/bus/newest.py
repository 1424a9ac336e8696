"""The newest message on a subject that its writer can read: where whoever writes there left off.

The last message may be somebody else's bytes; what was written before them still counts.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import nats.errors

if TYPE_CHECKING:
    from nats.aio.client import Client

ASK_SECONDS = 2.0
RETRY_SECONDS = 0.05
STEP = 64  # messages of the stream to look back at first

_NO_MESSAGE = 10037
_NO_STREAM = 10059

T = TypeVar("T")


class NoStream(Exception):
    """There is no such stream (any more)."""


async def find_newest(
    client: Client, stream: str, subject: str, read: Callable[[bytes], T | None]
) -> tuple[int, int, T | None]:
    """(sequence of the last message on `subject`, sequence of the newest that `read` can read, what it reads there).

    Zeros and None where there is none. Asks as often as it takes. Raises NoStream.
    """
    last = await _ask(client, stream, {"last_by_subj": subject})
    if last is None:
        return 0, 0, None
    found = read(last[1])
    if found is not None:
        return last[0], last[0], found
    step = STEP
    while True:
        start = at = max(1, last[0] - step)
        newest = 0
        while (message := await _ask(client, stream, {"seq": at, "next_by_subj": subject})) and message[0] < last[0]:
            item = read(message[1])
            if item is not None:
                newest, found = message[0], item
            at = message[0] + 1
        if found is not None or start == 1:
            return last[0], newest, found
        step *= 16


async def _ask(client: Client, stream: str, request: dict[str, Any]) -> tuple[int, bytes] | None:
    """(sequence, data) of a message; None when there is none."""
    data = json.dumps(request).encode()
    while True:
        try:
            reply = await client.request(f"$JS.API.STREAM.MSG.GET.{stream}", data, timeout=ASK_SECONDS)
            answer = json.loads(reply.data)
        except (nats.errors.Error, OSError, TimeoutError, ValueError):
            await asyncio.sleep(RETRY_SECONDS)
            continue
        error = answer.get("error")
        if error is None:
            return int(answer["message"]["seq"]), base64.b64decode(answer["message"].get("data", ""))
        if error.get("err_code") == _NO_MESSAGE:
            return None
        if error.get("err_code") == _NO_STREAM:
            raise NoStream(stream)
        await asyncio.sleep(RETRY_SECONDS)
