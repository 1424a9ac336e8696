"""`fleet replay`: a configuration through the processes of the fleet, and the words to a replay that runs."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nautilus_fleet.errors import EXIT_OK, FleetError, UsageError

BLOCK_ROWS_MAX = 100_000


def replay(
    config: Path,
    *,
    speed: str = "max",
    hold: bool = False,
    block_rows: int | None = None,
    project: str = ".",
    keep: bool = False,
    json_: bool = False,
    set_: list[str] | None = None,
    quiet: bool = False,
) -> int:
    """Feed recorded market data through the processes of the running stack, as if it were live, and keep its digest.

    Usage: fleet replay CONFIG [--speed N|max] [--hold] [--block-rows N] [--project DIR] [--keep] [--json]
                               [--set KEY=VALUE ...] [--quiet]

      CONFIG         a TOML file, or a folder that holds backtest.toml: the file of fleet backtest
      --speed        times real time; max is as fast as it goes (default)
      --hold         begin paused: fleet replay resume, step or seek lets it go on
      --block-rows   rows of market data in one message (8192)
      --project      the folder of the project whose stack is used (default: this one)
      --keep         leave the streams of this replay on the servers when it has ended
      --json         print one JSON object on stdout and nothing else
      --set          override a setting, as often as needed
      --quiet        no progress

    The stack is that of `fleet up`, or the one that FLEET_NATS_CONTROL and FLEET_NATS_DATA name. Each replay has a
    world of its own on the bus, so that several run side by side. The digest is that of fleet backtest.

    Examples:
      fleet up && fleet replay examples/sample/backtest.toml
      fleet replay desk --speed 600 --hold
    """
    from nautilus_fleet.config_source import load_config
    from nautilus_fleet.proof import run_folder
    from nautilus_fleet.replays import prepare
    from nautilus_fleet.terminal import Progress

    pace = _speed(speed)
    if block_rows is not None and not 0 < block_rows <= BLOCK_ROWS_MAX:
        raise UsageError(
            f"--block-rows {block_rows}", remedy=f"choose 1 to {BLOCK_ROWS_MAX}: a block is one message of at most 8 MB"
        )
    environ = stack_environment(Path(project))
    loaded = load_config(config, set_ or [])
    env = f"r-{secrets.token_hex(4)}"
    folder = loaded.resolve(loaded.model.output.folder) / "replays" / env
    progress = Progress(quiet=quiet or json_)
    if not (quiet or json_):
        print(f"replay {env}    fleet replay pause|resume|step|seek|speed {env} steers it", file=sys.stderr)
    try:
        home = Path(environ.get("FLEET_PROJECT", project))
        prepared = prepare(
            loaded, folder, home, progress, env=env, speed=pace, hold=hold, block_rows=block_rows, keep=keep
        )
        result = run_folder(folder, environ, progress)
    finally:
        progress.close()
    answer = result | {"name": prepared["name"], "folder": str(folder)} | summary(folder / "events")
    answer["equals_backtest"] = _known_digest(folder.parent.parent, prepared["name"], result["digest"])
    if json_:
        print(json.dumps(answer))
    else:
        _print(answer)
    return EXIT_OK


def pause(env: str, *, project: str = ".") -> int:
    """Let a replay wait before its next step.

    Usage: fleet replay pause ENV [--project DIR]
    """
    return _say(env, project, what="pause")


def resume(env: str, *, project: str = ".") -> int:
    """Let a replay go on.

    Usage: fleet replay resume ENV [--project DIR]
    """
    return _say(env, project, what="resume")


def step(env: str, *, project: str = ".") -> int:
    """Let a paused replay take one step: the next message, or the next time at which an engine may speak.

    Usage: fleet replay step ENV [--project DIR]
    """
    return _say(env, project, what="step")


def seek(env: str, time: str, *, project: str = ".") -> int:
    """Let a replay run to a time as fast as it goes, and then as before.

    Usage: fleet replay seek ENV TIME [--project DIR]

      TIME       2024-01-31 or 2024-01-31T17:00:00Z. A replay does not go back: begin another one
    """
    from nautilus_fleet.backtest import time_ns

    try:
        ns = time_ns(time)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return _say(env, project, what="seek", to_ns=ns)


def speed(env: str, speed: str, *, project: str = ".") -> int:
    """Change the speed of a replay.

    Usage: fleet replay speed ENV SPEED [--project DIR]

      SPEED      times real time, or max
    """
    return _say(env, project, what="speed", speed=_speed(speed))


def stack_environment(project: Path) -> dict[str, str]:
    """The variables that lead to the stack of `project`, or those that are set here. Raises FleetError."""
    if "FLEET_NATS_CONTROL" in os.environ:
        return {name: value for name, value in os.environ.items() if name.startswith("FLEET_")}
    from nautilus_fleet.stack.state import running_state

    _, state = running_state(project)
    return dict(state.environment)


def summary(events: Path) -> dict[str, Any]:
    """What an event log says of a run: orders, fills and the last state of each account."""
    from nautilus_common.journal import read_events

    orders = fills = denied = 0
    balances: dict[str, dict[str, str]] = {}
    for _, channel, message in read_events(events):
        kind = message["type"]
        orders += kind == "SubmitOrder"
        fills += kind == "OrderFilled"
        denied += kind == "OrderDenied"
        if kind == "AccountState":
            balances[channel.rpartition(".")[2]] = _balances(message)
    return {"orders": orders, "fills": fills, "denied": denied, "balances": balances}


def _balances(state: Mapping[str, Any]) -> dict[str, str]:
    from nautilus_common.messages.codec import decode, encode

    found: Any = decode(encode(state))
    return {balance.currency.code: str(balance.total.as_decimal()) for balance in found.balances}


def _known_digest(runs: Path, name: str, digest: str) -> bool | None:
    """Whether the digest is that of the backtest of the same run, if there is one here."""
    document = runs / name / "summary.json"
    if not document.is_file():
        return None
    return bool(json.loads(document.read_text("utf-8"))["digest"] == digest)


def _print(answer: dict[str, Any]) -> None:
    seconds = max(answer["seconds"], 1e-9)
    print(f"{answer['name']}  digest {answer['digest'][:12]}  in {', '.join(answer['processes'])}")
    counts = ", ".join(f"{answer[what]:,} {what}" for what in ("events", "orders", "fills", "denied"))
    print(f"  {counts}")
    print(f"  {answer['rows']:,} rows in {seconds:.2f} s: {answer['rows'] / seconds:,.0f} a second")
    for account, totals in answer["balances"].items():
        print(f"  {account}  " + "  ".join(f"{amount} {code}" for code, amount in totals.items()))
    match answer["equals_backtest"]:
        case True:
            print("  identical with the backtest of this configuration")
        case False:
            print("  NOT the digest of the backtest of this configuration here: has something changed since?")
        case None:
            print("  fleet backtest of the same configuration gives the same digest; fleet verify --over nats compares")
    print(f"  {answer['folder']}")


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0 or value == float("inf"):
        raise UsageError(f"speed {text!r}", remedy="write a number above 0, such as 60 for an hour a minute, or max")
    return value


def _say(env: str, project: str, **word: Any) -> int:
    from nautilus_common.messages.subjects import subject

    from services.replay.control import Control, encode_control

    environ = stack_environment(Path(project))
    data = encode_control(Control(**word))

    async def send() -> None:
        from nats.errors import NoRespondersError
        from nautilus_common.bus.connection import connect

        client = await connect(environ["FLEET_NATS_CONTROL"], "fleet-replay-control")
        try:
            await client.request(subject(env, "ctl.replay"), data, timeout=5)
        except NoRespondersError:
            raise FleetError(f"no replay {env} runs here", remedy="its name is what fleet replay printed") from None
        finally:
            await client.close()

    asyncio.run(send())
    return EXIT_OK
