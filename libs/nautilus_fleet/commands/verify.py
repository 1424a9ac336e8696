"""`fleet verify`: the promise that a run can be repeated, kept in front of the user."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nautilus_fleet.errors import EXIT_OK, FleetError, UsageError, VerifyError

if TYPE_CHECKING:
    from nautilus_fleet.config_source import LoadedConfig


def verify(
    run: str,
    *,
    live: bool = False,
    env: str | None = None,
    over: Literal["process", "nats"] = "process",
    together: list[str] | None = None,
    block_rows: int | None = None,
    json_: bool = False,
) -> int:
    """Run it again, in a fresh process or through separate ones over NATS, and compare digests byte for byte.

    Usage: fleet verify RUN [--over nats] [--together SERVICE,SERVICE ...] [--block-rows N] [--json]
           fleet verify --live SESSION [--env ENV] [--json]

      RUN            a run folder, or the id of a run under ./runs; over nats also a configuration; with --live the id
                     of a live session
      --live         go through a live session again, process by process, by the journals in its log
      --env          the world of the session (FLEET_ENV, or live)
      --over nats    on a stack of its own: two nats-servers, a process for each engine
      --together     services that share one process, by commas; once for each group
      --block-rows   rows of market data in one message
      --json         print one JSON object on stdout: run_id, identical, digest, digest_again, first_difference;
                     over nats: run_id, equal, digest, digest_over_nats, first_difference, seconds,
                     ticks_per_second, us_per_order, processes; live: session, equal, ended, seconds, processes

    Exit code 3 when the digests differ; the first event that differs is named.

    Examples:
      fleet verify runs/ema-cross-7f3a9c12
      fleet verify examples/market_maker/backtest.toml --over nats --together risk,portfolio
    """
    if live:
        from nautilus_fleet.commands.verify_live import verify_live

        return verify_live(run, env, json_)
    if over == "nats":
        return _verify_over_nats(run, together or [], block_rows, json_)
    if together or block_rows:
        raise UsageError("--together and --block-rows belong to --over nats")
    from nautilus_fleet.runs import find_run, read_document

    folder = find_run(run)
    before = read_document(folder)
    with tempfile.TemporaryDirectory(prefix="fleet-verify-") as scratch:
        after = _run_again(folder, Path(scratch))
        identical = before["digest"] == after["digest"]
        difference = None if identical else _first_difference(folder, Path(after["folder"]))
    if json_:
        answer = {"run_id": before["run_id"], "identical": identical, "digest": before["digest"]}
        answer |= {"digest_again": after["digest"], "first_difference": difference}
        print(json.dumps(answer, default=str))
        return EXIT_OK if identical else VerifyError.exit_code
    if identical:
        counts = f"{after['events']:,} events, {after['orders']:,} orders, {after['fills']:,} fills"
        print(f"identical: {counts}, digest {after['digest'][:12]}..{after['digest'][-4:]}")
        return EXIT_OK
    raise VerifyError(
        f"the run differs: digest {before['digest'][:12]} then, {after['digest'][:12]} now",
        where=_describe(difference),
        remedy=_reason(folder, before),
    )


def _verify_over_nats(run: str, together: list[str], block_rows: int | None, json_: bool) -> int:
    from dataclasses import asdict

    from nautilus_fleet.proof import compare, own_stack
    from nautilus_fleet.terminal import Progress

    loaded, document, events = load_reference(run)
    progress = Progress(quiet=json_)
    try:
        progress.stage("start a stack")
        with own_stack(loaded, [group.split(",") for group in together]) as stack:
            found = compare(loaded, document, events, stack, progress, block_rows=block_rows)
    finally:
        progress.close()
    if json_:
        print(json.dumps(asdict(found), default=str))
        return EXIT_OK if found.equal else VerifyError.exit_code
    names = ", ".join(found.processes)
    if found.equal:
        print(f"identical: {found.events:,} events, {found.orders:,} orders, digest {found.digest[:12]}..")
        cost = "" if found.us_per_order is None else f", {found.us_per_order / 1000:.2f} ms an order"
        print(f"  over NATS in {names}: {found.seconds:.2f} s, {found.ticks_per_second:,.0f} ticks/s{cost}")
        return EXIT_OK
    raise VerifyError(
        f"the run differs over NATS: {found.digest[:12]} in one process, {found.digest_over_nats[:12]} in {names}",
        where=_describe(found.first_difference),
        remedy="please report it: one loop decides the order in both, so that this is a fault of ours",
    )


def load_reference(run: str) -> tuple[LoadedConfig, dict[str, Any], Path]:
    """A run and its configuration, or a configuration that is run first: (settings, its document, its event log)."""
    from nautilus_fleet.config_source import load_config
    from nautilus_fleet.runs import find_run, read_document

    path = Path(run)
    is_config = path.suffix == ".toml" or (path.is_dir() and (path / "backtest.toml").is_file())
    if not is_config:
        folder = find_run(run)
        return load_config(folder / "config.lock.toml", ()), read_document(folder), folder / "events"
    from nautilus_fleet.runner import run_backtest
    from nautilus_fleet.terminal import Progress

    scratch = Path(tempfile.mkdtemp(prefix="fleet-reference-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    progress = Progress()
    try:
        loaded = load_config(path, (f"output.folder={scratch}", "output.tearsheet=false"))
        done = run_backtest(loaded, progress=progress)
    finally:
        progress.close()
    return loaded, read_document(done.folder.resolve()), done.folder.resolve() / "events"


def _run_again(folder: Path, scratch: Path) -> dict[str, Any]:
    """The same lock file in another process; its hash seed is another one, so that no set or dict order can hide."""
    lock = folder / "config.lock.toml"
    if not lock.is_file():
        raise FleetError(f"{folder} has no config.lock.toml", remedy="it cannot be repeated; run the backtest again")
    environ = {k: v for k, v in os.environ.items() if not (k.startswith("FLEET_") and "__" in k)}
    environ["PYTHONHASHSEED"] = "4242" if environ.get("PYTHONHASHSEED") != "4242" else "2424"
    command = [sys.executable, "-m", "nautilus_fleet", "backtest", str(lock), "--json"]
    command += ["--set", f"output.folder={scratch}", "--set", "output.tearsheet=false"]
    print("running it again in a fresh process ...", file=sys.stderr)
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise FleetError(
            f"the second run failed:\n{done.stderr.strip()}", where=str(lock), remedy="mend that, then verify again"
        )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _first_difference(left: Path, right: Path) -> dict[str, Any] | None:
    from nautilus_common.journal import first_difference

    return first_difference(left / "events", right / "events")


def _describe(difference: dict[str, Any] | None) -> str:
    if difference is None:
        return "the event logs are equal: summary.json does not belong to this log"
    then, now = (_event_text(difference[side]) for side in ("left", "right"))
    return f"engine {difference['engine']}, message {difference['index'] + 1}\n    then: {then}\n    now:  {now}"


def _event_text(event: Any) -> str:
    if event is None:
        return "(nothing more)"
    return f"tag {tuple(event['tag'])}  {event['channel']}  {event['message']}"


def _reason(folder: Path, before: dict[str, Any]) -> str:
    """What has changed since, as far as the lock file can tell."""
    from nautilus_fleet.runs import changes_since

    changed = changes_since(folder)
    if changed:
        return "changed since the run: " + "; ".join(changed)
    return f"nothing recorded has changed since run {before['run_id']}: the strategy reads something outside its inputs"
