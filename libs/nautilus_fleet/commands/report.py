"""`fleet report`: the tables of a run again, and its tearsheet anew."""

from __future__ import annotations

import json
import sys

from nautilus_fleet.errors import EXIT_OK


def report(run: str, *, json_: bool = False, open_: bool = False) -> int:
    """Print the tables of a run and rebuild its tearsheet.

    Usage: fleet report RUN [--json] [--open]

      RUN        a run folder, or the id of a run under ./runs
      --json     print the run's stats.json and nothing else
      --open     open the tearsheet in the browser

    Example:
      fleet report runs/ema-cross-7f3a9c12 --open
    """
    from nautilus_fleet.runs import find_run, read_document

    folder = find_run(run)
    document = read_document(folder)
    from nautilus_fleet.runner import rebuild_tearsheet

    rebuild_tearsheet(folder)
    if json_:
        print(json.dumps(document))
    else:
        from nautilus_fleet.summary import render_summary

        print(render_summary(document, folder, sys.stdout))
    if open_:
        from nautilus_fleet.commands.backtest import open_tearsheet

        open_tearsheet(folder)
    return EXIT_OK
