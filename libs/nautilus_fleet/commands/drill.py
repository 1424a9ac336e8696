"""`fleet drill`: a run through separate processes while they are killed and stopped; its bytes must be the same."""

from __future__ import annotations

import json
import sys

from nautilus_fleet.errors import EXIT_OK, UsageError, VerifyError


def drill(
    run: str,
    *,
    kills: int = 50,
    stops: int = 2,
    stop_seconds: float = 10.0,
    seed: int = 1,
    databases: bool = False,
    json_: bool = False,
) -> int:
    """Run it through separate processes on a stack of its own, kill and stop them by a seeded schedule, and compare.

    Usage: fleet drill RUN [--kills N] [--stops N] [--stop-seconds S] [--seed N] [--databases] [--json]

      RUN             a run folder, the id of a run under ./runs, or a configuration
      --kills         how many processes are killed with SIGKILL: services, nats-servers and the replay itself (50)
      --stops         how many are stopped with SIGSTOP, and go on after --stop-seconds (2, 10 s each)
      --seed          of the schedule: who dies, in which order, after which pauses
      --databases     with PostgreSQL, Valkey and a recorder, which die too; the audit chain is checked at the end
      --json          print one JSON object on stdout: equal, deaths, replays

    The run is replayed until the schedule is done. Exit code 3 when a digest differs from that of the backtest.

    Example:
      fleet drill runs/market-maker-46bb2472 --kills 50 --seed 1
    """
    from nautilus_fleet.proof import Drill, own_stack, run_drill
    from nautilus_fleet.terminal import Progress

    if kills < 0 or stops < 0 or stop_seconds < 0:
        raise UsageError("--kills, --stops and --stop-seconds cannot be negative")
    from nautilus_fleet.commands.verify import load_reference

    loaded, document, events = load_reference(run)
    report = Drill(seed)
    progress = Progress(quiet=json_)
    try:
        with own_stack(loaded, [], databases=databases) as stack:
            run_drill(
                loaded,
                document,
                events,
                report,
                stack,
                progress,
                kills=kills,
                stops=stops,
                stop_seconds=stop_seconds,
            )
            if databases:
                from nautilus_fleet.audit import check_audit

                report.audit = check_audit(stack.environment())
    finally:
        progress.close()
    if json_:
        print(json.dumps(report.to_json(), default=str))
    else:
        _print(report)
    if not report.equal:
        raise VerifyError("the bytes differ", where=str(_difference(report)), remedy=f"the same again: --seed {seed}")
    return EXIT_OK


def _print(report: object) -> None:
    from nautilus_fleet.proof import Drill
    from nautilus_fleet.terminal import table

    assert isinstance(report, Drill)
    rows = [
        [d.process, d.what, f"{d.at_seconds:.1f}", "-" if d.recovery_seconds is None else f"{d.recovery_seconds:.2f}"]
        for d in report.deaths
    ]
    print(table(["Process", "What", "At s", "Back after s"], rows))
    away = sorted(d.recovery_seconds for d in report.deaths if d.what == "SIGKILL" and d.recovery_seconds is not None)
    if away:
        print(f"\n  {len(away)} kills; back after {away[len(away) // 2]:.2f} s (median), {away[-1]:.2f} s (longest)")
    for replay in report.replays:
        word = "identical" if replay.equal else "DIFFERENT"
        print(f"  {word}: {replay.events:,} events, digest {replay.digest_over_nats[:12]}, {replay.seconds:.1f} s")
    if report.audit is not None:
        print(f"  audit: {report.audit}")
    sys.stdout.flush()


def _difference(report: object) -> object:
    from nautilus_fleet.proof import Drill

    assert isinstance(report, Drill)
    return next((replay.first_difference for replay in report.replays if not replay.equal), report.audit)
