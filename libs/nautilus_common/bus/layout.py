"""Streams (temporary: replaced by the one under deploy/nats)."""

from __future__ import annotations

import json
from typing import Any


async def apply_streams(control: Any, data: Any, env: str) -> None:
    for client, name, subs in (
        (control, f"CTL_{env}", ["cmd", "evt", "mark"]),
        (data, f"MD_{env}", ["md"]),
    ):
        config = {
            "name": name,
            "subjects": [f"fleet.{env}.{s}.>" for s in subs],
            "storage": "file",
            "allow_atomic": True,
            "allow_direct": True,
            "duplicate_window": 100_000_000,
        }
        reply = await client.request(f"$JS.API.STREAM.CREATE.{name}", json.dumps(config).encode(), timeout=5)
        answer = json.loads(reply.data)
        assert "error" not in answer or answer["error"].get("err_code") == 10058, answer


async def remove_streams(control: Any, data: Any, env: str) -> None:
    await control.request(f"$JS.API.STREAM.DELETE.CTL_{env}", b"", timeout=5)
    await data.request(f"$JS.API.STREAM.DELETE.MD_{env}", b"", timeout=5)
