"""Look into a catalogue, import files into it, and find what is wrong with its data.

Usage: fleet data ls [CATALOG]
       fleet data import FILE --catalog DIR --kind KIND --instrument FILE|TYPE ...
       fleet data check [CATALOG]

  fleet data COMMAND --help   arguments and examples of one
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nautilus_fleet.errors import EXIT_ERROR, EXIT_OK, FleetError, NoDataError, UsageError

if TYPE_CHECKING:
    from nautilus_common.catalog.catalog import Catalog

_KINDS = {"quotes": "quote", "trades": "trade", "bars": "bar"}


def ls(catalog: Path = Path("data"), *, json_: bool = False) -> int:
    """What the catalogue holds: kind, instrument or bar type, rows, first and last time.

    Usage: fleet data ls [CATALOG] [--json]

      CATALOG    the catalogue's folder (default: data)
      --json     print one JSON object on stdout: catalog, entries [{kind, name, rows, start, end, files, sha256}]

    Exit code 4 when there is nothing in it.
    """
    from nautilus_common.catalog.columns import iso_text

    from nautilus_fleet.terminal import table

    opened = _open(catalog)
    entries = opened.entries()
    if json_:
        shown = [
            {
                "kind": e.kind,
                "name": e.name,
                "rows": e.rows,
                "start": iso_text(e.start_ns),
                "end": iso_text(e.end_ns),
                "files": len(e.files),
                "sha256": e.sha256,
            }
            for e in entries
        ]
        print(json.dumps({"catalog": str(catalog), "entries": shown}))
    elif entries:
        rows = [[f"{e.kind:<5}  {e.name}", f"{e.rows:,}", iso_text(e.start_ns), iso_text(e.end_ns)] for e in entries]
        print(table(["Data", "Rows", "From (UTC)", "To (UTC)"], rows))
    if not entries and not json_:
        raise NoDataError(f"catalogue {catalog} is empty", remedy="fleet data import --help")
    return EXIT_OK if entries else NoDataError.exit_code


def import_(
    file: Path,
    *,
    catalog: Path = Path("data"),
    kind: str,
    instrument: str,
    bar_type: str | None = None,
    column: list[str] | None = None,
    timestamp: str = "iso",
    timezone: str = "UTC",
    size: str | None = None,
    mode: Literal["new", "append", "replace"] = "new",
    on_duplicate: Literal["error", "drop"] = "error",
    allow_crossed: bool = False,
    json_: bool = False,
) -> int:
    """Import a CSV or Parquet file (.csv, .csv.gz, .csv.zst, .parquet) into a catalogue.

    Usage: fleet data import FILE --kind KIND --instrument INSTRUMENT [OPTIONS]

      FILE            the file; large ones are read in pieces
      --catalog       the catalogue's folder, made when it is not there (default: data)
      --kind          quotes, trades or bars
      --instrument    an id that the catalogue knows, or a TOML file that defines one ([[instruments]] as in a
                      configuration; docs/reference/config.md)
      --bar-type      of bars: BTCUSDT-PERP.SIM-1-MINUTE-LAST-EXTERNAL
      --column        OURS=THEIRS, as often as needed: --column bid=BidPrice
      --timestamp     iso, an epoch's unit (s, ms, us, ns) or a strptime format (default: iso)
      --timezone      of times that name none (default: UTC)
      --size          the size of each row where the file has none
      --mode          new (refuses overlaps), append or replace (default: new)
      --on-duplicate  error or drop (default: error)
      --allow-crossed take quotes whose bid is above their ask
      --json          print one JSON object on stdout

    Example:
      fleet data import btc.csv.gz --kind bars --instrument btc.toml --bar-type BTC/USDT.SIM-1-MINUTE-LAST-EXTERNAL
    """
    from nautilus_common.catalog.catalog import Catalog
    from nautilus_common.catalog.columns import iso_text
    from nautilus_common.catalog.errors import CatalogError

    if kind not in _KINDS:
        raise UsageError(f"--kind {kind} is not known", remedy=f"one of {', '.join(_KINDS)}")
    options: dict[str, Any] = {"timestamp": timestamp, "timezone": timezone, "allow_crossed": allow_crossed}
    options |= {"columns": dict(_pair(text) for text in column or []), "on_duplicate": on_duplicate}
    if size is not None:
        options["default_size"] = size
    try:
        written = _write(Catalog(catalog), file, _KINDS[kind], instrument, bar_type, mode, options)
    except CatalogError as error:
        raise FleetError(str(error)) from error
    first, last = iso_text(written.start_ns), iso_text(written.end_ns)
    if json_:
        shown = {"kind": written.kind, "name": written.name, "rows": written.rows, "start": first, "end": last}
        print(json.dumps(shown))
    else:
        print(f"{catalog} now has {written.rows:,} rows of {written.kind} {written.name}, {first} to {last}")
        print(f"next:    fleet data check {catalog}", file=sys.stderr)
    return EXIT_OK


def _write(
    catalog: Catalog, file: Path, kind: str, instrument: str, bar_type: str | None, mode: Any, options: dict[str, Any]
) -> Any:
    """Read the file in pieces into the catalogue; nothing is stored when a row is bad."""
    from nautilus_common.catalog.loaders import load
    from nautilus_common.catalog.schema import LoadSpec

    spec = LoadSpec(kind=kind, **options)
    traded = _instrument(catalog, instrument)
    catalog.write_instrument(traded)
    batches = load(file, spec, traded)
    crossed = options["allow_crossed"]
    return catalog.write(
        kind, traded, batches, _parse_bar_type(bar_type), mode, allow_crossed=crossed, source=str(file)
    )


def check(catalog: Path = Path("data"), *, gap: float = 10.0, json_: bool = False) -> int:
    """Find damage, disorder, duplicates, crossed quotes and gaps in all data of a catalogue.

    Usage: fleet data check [CATALOG] [--gap MULTIPLE] [--json]

      CATALOG    the catalogue's folder (default: data)
      --gap      a gap is longer than this multiple of the usual step (default 10)
      --json     print one JSON object on stdout: catalog, problems [{code, source, row, count, message, remedy}]

    Gaps are told and allowed; exit code 1 when anything else is found.
    """
    problems = _open(catalog).check(gap_multiple=gap)
    if json_:
        names = ("code", "source", "row", "count", "message", "remedy")
        found = [{name: getattr(problem, name) for name in names} for problem in problems]
        print(json.dumps({"catalog": str(catalog), "problems": found}))
    else:
        for problem in problems:
            print(f"{problem.code:<10} {problem}")
        print(f"{len(problems) or 'no'} problem{'' if len(problems) == 1 else 's'} in {catalog}")
    return EXIT_ERROR if any(problem.code != "gap" for problem in problems) else EXIT_OK


def _open(path: Path) -> Catalog:
    from nautilus_common.catalog.catalog import Catalog

    if not (path / "manifest.json").is_file():
        raise NoDataError(
            f"no catalogue at {path}", remedy="name its folder: fleet data ls DIR; fleet data import makes one"
        )
    return Catalog(path)


def _pair(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not equals:
        raise UsageError(f"--column {text}: no name of theirs", remedy="write --column bid=BidPrice")
    return ours, theirs


def _parse_bar_type(text: str | None) -> Any:
    from nautilus_common.model.data import BarType

    if text is None:
        return None
    try:
        return BarType.from_str(text)
    except ValueError as error:
        raise UsageError(str(error), where="--bar-type") from None


def _instrument(catalog: Catalog, text: str) -> Any:
    """An instrument that the catalogue knows, or the one that a TOML file defines."""
    if not text.endswith(".toml"):
        return catalog.instrument(text)
    from pydantic import TypeAdapter, ValidationError

    from nautilus_fleet.config import AnyInstrument
    from nautilus_fleet.market import build_instrument

    path = Path(text)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{text}: {error.strerror}", remedy="--instrument takes an id or a TOML file") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{text} is not valid TOML: {error}") from None
    sections = document.get("instruments", [])
    if len(sections) != 1:
        raise UsageError(f"{text} defines {len(sections)} instruments", remedy="one [[instruments]] table, please")
    try:
        section: Any = TypeAdapter(AnyInstrument).validate_python(sections[0])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UsageError(f"{text}: {'.'.join(map(str, first['loc'][1:]))}: {first['msg']}") from None
    return build_instrument(section)
