"""`fleet verify --live`: a session made again from its log, and told."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from nautilus_fleet.errors import EXIT_OK, VerifyError


def verify_live(session: str, env: str | None, json_: bool) -> int:
    """Go through a session again and print what came of it; exit code 3 when something differs."""
    from nautilus_fleet.commands.paper import where
    from nautilus_fleet.live import connected
    from nautilus_fleet.live_proof import SessionProof, verify_session

    environ, world = where(".", env)

    async def work() -> SessionProof:
        async with connected(environ, world) as servers:
            return await verify_session(servers, session, Path(environ.get("FLEET_PROJECT", ".")).resolve())

    proof = asyncio.run(work())
    if json_:
        print(json.dumps(proof.to_json()))
        return EXIT_OK if proof.equal else VerifyError.exit_code
    for process in proof.processes:
        what = f"{process.entries:,} entries, {process.inputs:,} inputs, {process.records:,} records"
        print(f"{process.process:<24} {'equal' if process.equal else 'DIFFERS'}: {what}")
    if not proof.equal:
        first = next(process for process in proof.processes if not process.equal)
        raise VerifyError(
            f"session {session} differs",
            where=first.difference,
            remedy="has the code, a strategy or a library changed since? Else a strategy reads what is no input of it",
        )
    print(f"identical: session {session}{'' if proof.ended else ', as far as it is'}, {proof.seconds:g} s")
    return EXIT_OK
