"""`python -m loadtests [W1 W2 ...]`: each workload in a fresh process, as a table or as one JSON object a line."""

from __future__ import annotations

import argparse
import json
import sys

from loadtests import table
from loadtests.process import Skipped, repeat
from loadtests.workloads import WORKLOADS


def main(arguments: list[str] | None = None) -> int:
    """0 when all ran, 1 when one failed, 2 for a wrong name. Missing a goal is not a failure: the table says it."""
    parser = argparse.ArgumentParser(prog="python -m loadtests", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="WORKLOAD", help=f"default: all of {' '.join(WORKLOADS)}")
    parser.add_argument("--json", action="store_true", help="one JSON object a line on stdout, nothing else")
    parser.add_argument(
        "--repeat", type=int, default=1, metavar="N", help="fresh processes per workload: median and least"
    )
    parser.add_argument("--events", type=int, metavar="N", help="rows instead of the workload's own number")
    parser.add_argument("--list", action="store_true", help="list the workloads with their goals")
    options = parser.parse_args(arguments)
    if options.list:
        print(table.listing())
        return 0
    unknown = [name for name in options.names if name not in WORKLOADS]
    if unknown:
        print(f"error: no workload {unknown[0]!r}; there are {', '.join(WORKLOADS)}", file=sys.stderr)
        return 2
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    failed = 0
    if not options.json:
        print(table.head(), flush=True)
    for name in options.names or WORKLOADS:
        workload = WORKLOADS[name]
        try:
            figures = repeat(name, options.events, max(1, options.repeat))
        except Skipped as reason:
            print(f"{name}: skipped: {reason}", file=sys.stderr, flush=True)
            continue
        except RuntimeError as error:
            failed = 1
            print(f"{name}: failed: {error}", file=sys.stderr, flush=True)
            continue
        print(json.dumps(figures) if options.json else table.line(workload, figures), flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
