"""`fleet report`: the tables of a run again, and its tearsheet anew."""

from __future__ import annotations

import json

from nautilus_fleet.errors import EXIT_OK, FleetError


def report(run: str, *, json_: bool = False, open_: bool = False) -> int:
    """Print the tables of a run and rebuild its tearsheet.

    Usage: fleet report RUN [--json] [--open]

      RUN        a run folder, or the id of a run under ./runs
      --json     print the run's summary as one JSON object and nothing else
      --open     open the tearsheet in the browser

    Example:
      fleet report runs/ema-cross-7f3a9c12 --open
    """
    from nautilus_fleet.runs import find_run

    folder = find_run(run)
    from nautilus_common.analysis.reports import print_report, summary_json
    from nautilus_common.analysis.run_folder import RunFolderError, load_run
    from nautilus_common.analysis.tearsheet import write_tearsheet

    try:
        result = load_run(folder)
    except RunFolderError as error:
        raise FleetError(str(error)) from error
    write_tearsheet(result, folder / "tearsheet.html")
    if json_:
        print(json.dumps(summary_json(result), allow_nan=False))
    else:
        print_report(result, run_folder=folder)
    if open_:
        from nautilus_fleet.commands.backtest import open_tearsheet

        open_tearsheet(folder)
    return EXIT_OK
