"""`fleet backtest`: from a configuration to a run folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from nautilus_fleet.errors import EXIT_OK


def backtest(
    config: Path,
    *,
    json_: bool = False,
    open_: bool = False,
    set_: list[str] | None = None,
    quiet: bool = False,
) -> int:
    """Run a strategy over recorded market data; write a run folder and print its tables.

    Usage: fleet backtest CONFIG [--json] [--open] [--set KEY=VALUE ...] [--quiet]

      CONFIG     a TOML file, or a folder that holds backtest.toml
      --json     print one JSON object on stdout and nothing else
      --open     open the tearsheet in the browser
      --set      override a setting, as often as needed: --set params.fast=5 --set run.seed=2
      --quiet    no progress

    The run folder holds stats.json, orders.parquet, fills.parquet, positions.parquet, equity.parquet, events,
    config.lock.toml and tearsheet.html. Any setting may also come from the environment: FLEET_PARAMS__FAST=5.

    Example:
      fleet backtest examples/sample/backtest.toml --set params.slow=50
    """
    from nautilus_fleet.config_source import load_config
    from nautilus_fleet.runner import run_backtest
    from nautilus_fleet.terminal import Progress

    loaded = load_config(config, set_ or [])
    progress = Progress(quiet=quiet or json_)
    try:
        result = run_backtest(loaded, progress=progress)
    finally:
        progress.close()
    if json_:
        print(json.dumps(result.to_json(), allow_nan=False))
    else:
        from nautilus_common.analysis.reports import print_report

        print_report(result.result, run_folder=result.folder)
    if open_:
        open_tearsheet(result.folder)
    return EXIT_OK


def open_tearsheet(folder: Path) -> None:
    """Show the tearsheet in the browser, if there is one of either."""
    import webbrowser

    path = folder / "tearsheet.html"
    if not path.exists():
        print("no tearsheet was written (output.tearsheet = false): fleet report makes one", file=sys.stderr)
    elif not webbrowser.open(path.resolve().as_uri()):
        print(f"no browser here; the tearsheet is {path}", file=sys.stderr)
