"""The audit of what a recorder has written: every chain of records whole, positions equal to the sum of fills."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any


def check_audit(environ: Mapping[str, str]) -> dict[str, Any]:
    """Walk every env in the database that `FLEET_POSTGRES` names: {"ok", "envs": {env: {records, fills, problems}}}."""
    return asyncio.run(_check(environ["FLEET_POSTGRES"]))


async def _check(url: str) -> dict[str, Any]:
    import asyncpg

    from services.recorder.audit import verify_chain

    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT DISTINCT env FROM fleet.event_log ORDER BY env")
        envs = {}
        for row in rows:
            report = await verify_chain(connection, row["env"])
            envs[row["env"]] = {
                "ok": report.ok,
                "records": report.records,
                "fills": report.fills,
                "problems": list(report.problems),
            }
    finally:
        await connection.close()
    return {"ok": bool(envs) and all(env["ok"] for env in envs.values()), "envs": envs}
