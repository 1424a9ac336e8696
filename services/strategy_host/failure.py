"""Who failed: names the component, the place in its code and the time, for an exception raised in a callback."""

from __future__ import annotations

import traceback

from nautilus_common.strategy.actor import Actor
from nautilus_common.strategy.log import iso_ns


def describe_failure(error: BaseException, ts_ns: int) -> str:
    """One line: ``strategy EmaCross-000 raised ValueError in on_bar (strategies/ema.py:42) at <time>``."""
    actor: Actor | None = None
    callback = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        owner = frame.f_locals.get("self")
        if actor is None and isinstance(owner, Actor):
            actor, callback = owner, frame.f_code.co_name
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = next(
        (entry for entry in reversed(traceback.extract_tb(error.__traceback__)) if not _is_ours(entry.filename)), last
    )
    who = f"{actor.id} raised {type(error).__name__} in {callback}" if actor is not None else f"{type(error).__name__}"
    return f"{who} ({place.filename}:{place.lineno}: {place.line}) at {iso_ns(ts_ns)}: {error}"


def _is_ours(filename: str) -> bool:
    return "nautilus_common" in filename or "/services/" in filename
