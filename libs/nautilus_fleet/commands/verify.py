"""`fleet verify`: the promise that a run can be repeated, kept in front of the user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from nautilus_fleet.errors import EXIT_OK, FleetError, VerifyError


def verify(run: str, *, json_: bool = False) -> int:
    """Run it again in a fresh process, with another hash seed, and compare digests byte for byte.

    Usage: fleet verify RUN [--json]

      RUN        a run folder, or the id of a run under ./runs
      --json     print one JSON object on stdout: run_id, identical, digest, digest_again, first_difference

    Exit code 3 when the digests differ; the first event that differs is named.

    Example:
      fleet verify runs/ema-cross-7f3a9c12
    """
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
