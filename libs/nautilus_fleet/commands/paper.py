"""`fleet paper`: a live session on the paper venue, opened, looked at and stopped."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nautilus_fleet.errors import EXIT_ERROR, EXIT_OK, UsageError

if TYPE_CHECKING:
    from nautilus_fleet.live_summary import SessionSummary


def start(
    config: Path,
    *,
    env: str | None = None,
    speed: float = 1.0,
    jitter_us: int = 2_000,
    feed: bool = True,
    name: str = "",
    project: str = ".",
    json_: bool = False,
    set_: list[str] | None = None,
) -> int:
    """Open a live session: strategies on live data, orders to simulated venues.

    Usage: fleet paper start CONFIG [--speed N] [--jitter-us N] [--no-feed] [--name NAME] [--env ENV] [--json]
                             [--set KEY=VALUE ...]

      CONFIG        a TOML file, or a folder that holds backtest.toml: the file of fleet backtest. [data] names the
                    market: sample = {...} or catalog = ..., played by the data gateway as if it happened now
      --speed       times its own pace (1)
      --jitter-us   rows arrive at random up to so many microseconds late (2000)
      --no-feed     market data come from elsewhere, on fleet.ENV.md... (--feed, the default: from the data gateway)
      --name        of the session (by default a new one)
      --env         the world (FLEET_ENV, or live); it has one session at a time
      --project     the folder of the project whose stack is used (default: this one)
      --json        print one JSON object on stdout: session, env, processes, feed
      --set         override a setting, as often as needed

    The services are those of `fleet up`, or any others: roles decide who hosts what. The session outlives every
    process of it.

    Example:
      fleet paper start examples/market_maker/backtest.toml --speed 60
    """
    from nautilus_fleet import live
    from nautilus_fleet.config_source import load_config
    from nautilus_fleet.terminal import Progress

    environ, world = where(project, env)
    loaded = load_config(config, set_ or [])
    home = Path(environ.get("FLEET_PROJECT", project))
    progress = Progress(quiet=json_)
    try:
        plan = live.make_plan(loaded, home, progress)
    finally:
        progress.close()
    source = live.feed_of(loaded, speed, jitter_us, home) if feed else None

    async def work() -> Any:
        async with live.connected(environ, world) as servers:
            return await live.open_session(servers, plan, source, name)

    session = asyncio.run(work())
    placing = {process: placed.engines for process, placed in session.placing.items()}
    if json_:
        print(json.dumps({"session": session.id, "env": world, "processes": placing, "feed": session.feed_process}))
        return EXIT_OK
    print(f"session   {session.id} is open in {world}")
    for process, engines in placing.items():
        print(f"process   {process}: {', '.join(engines)}")
    print(f"data      {session.feed_process or 'from elsewhere'}")
    print("next:     fleet paper status, fleet paper stop, fleet verify --live " + session.id)
    return EXIT_OK


def status(*, env: str | None = None, project: str = ".", json_: bool = False) -> int:
    """How far each process of the open session is, and what was traded.

    Usage: fleet paper status [--env ENV] [--project DIR] [--json]

      --json   print one JSON object on stdout: session, env, state, processes, summary

    Exit code 1 when a process does not answer or has left the session.
    """
    from nautilus_fleet import live
    from nautilus_fleet.live_summary import summarize

    environ, world = where(project, env)

    async def work() -> Any:
        async with live.connected(environ, world) as servers:
            word = await live.open_now(servers)
            answers = await live.progress_of(servers, word.session)
            return word, answers, await summarize(servers, word.session, word.opened)

    word, answers, summary = asyncio.run(work())
    healthy = all(answer is not None and not answer.failure for answer in answers.values())
    if json_:
        import msgspec

        told = {name: None if answer is None else msgspec.to_builtins(answer) for name, answer in answers.items()}
        about = {"session": word.session.id, "env": world, "state": word.state, "processes": told}
        print(json.dumps(about | {"summary": summary.to_json()}, default=str))
        return EXIT_OK if healthy else EXIT_ERROR
    print(f"session   {word.session.id} in {world}: {word.state}")
    for process, answer in answers.items():
        said = "does not answer" if answer is None else answer.failure or f"entry {answer.number:,}"
        print(f"process   {process}: {said}")
    _print_summary(summary)
    return EXIT_OK if healthy else EXIT_ERROR


def stop(*, env: str | None = None, project: str = ".", json_: bool = False) -> int:
    """Stop the open session: strategies are told, what is under way comes to rest, then it is over.

    Usage: fleet paper stop [--env ENV] [--project DIR] [--json]

      --json   print one JSON object on stdout: session, env, summary
    """
    from nautilus_fleet import live
    from nautilus_fleet.live_summary import summarize

    environ, world = where(project, env)

    async def work() -> Any:
        async with live.connected(environ, world) as servers:
            word = await live.open_now(servers)
            session, _ = await live.stop_session(servers)
            return session, await summarize(servers, session, word.opened)

    session, summary = asyncio.run(work())
    if json_:
        print(json.dumps({"session": session.id, "env": world, "summary": summary.to_json()}, default=str))
    else:
        print(f"session   {session.id} is over")
        _print_summary(summary)
        print(f"next:     fleet verify --live {session.id}")
    return EXIT_OK


def where(project: str, env: str | None) -> tuple[dict[str, str], str]:
    """(the variables that lead to the stack, the world that is meant). Raises FleetError."""
    from nautilus_common.bus.layout import check_env

    from nautilus_fleet.commands.replay import stack_environment

    environ = stack_environment(Path(project))
    world = env or os.environ.get("FLEET_ENV") or environ.get("FLEET_ENV") or "live"
    check_env(world)
    if world.startswith("r-"):
        raise UsageError(f"{world} is the world of a replay", remedy="choose another name for a live one")
    return environ, world


def _print_summary(summary: SessionSummary) -> None:
    print(f"orders    {summary.orders:,}, {summary.fills:,} fills, {summary.denied:,} denied")
    for name, line in sorted(summary.positions.items()):
        note = "" if line.filled == line.told else f"   but the portfolio says {line.told}"
        print(f"position  {name:<28} {line.filled}{note}")
    for account, balances in sorted(summary.balances.items()):
        print(f"account   {account}: {', '.join(f'{amount} {code}' for code, amount in sorted(balances.items()))}")
