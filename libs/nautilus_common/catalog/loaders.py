"""Loaders of CSV and Parquet files: an iterator of checked raw columns, never more than a chunk in memory."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nautilus_common.catalog.columns import Columns, InstrumentLike, concat_columns, row_count, slice_columns
from nautilus_common.catalog.errors import DataError
from nautilus_common.catalog.schema import LoadSpec, TableConverter

DEFAULT_CHUNK_ROWS = 1_000_000
_BLOCK_BYTES = 4 << 20
_HEADER_BYTES = 1 << 16
_PARQUET_BATCH_ROWS = 1 << 17
_COMPRESSION = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".lz4": "lz4"}


def load(
    path: str | Path, spec: LoadSpec, instrument: InstrumentLike, *, chunk_rows: int = DEFAULT_CHUNK_ROWS
) -> Iterator[Columns]:
    """Load a file by its name: .parquet as Parquet, all else (.csv, .csv.gz, .csv.zst) as CSV."""
    if Path(path).suffix in (".parquet", ".pq"):
        return load_parquet(path, spec, instrument, chunk_rows=chunk_rows)
    return load_csv(path, spec, instrument, chunk_rows=chunk_rows)


def load_csv(
    path: str | Path, spec: LoadSpec, instrument: InstrumentLike, *, chunk_rows: int = DEFAULT_CHUNK_ROWS
) -> Iterator[Columns]:
    """Raw columns of a CSV file, plain or compressed (.gz, .zst, .bz2, .lz4), at most `chunk_rows` at a time."""
    return _load(_csv_tables(Path(path), spec), Path(path), spec, instrument, chunk_rows)


def load_parquet(
    path: str | Path, spec: LoadSpec, instrument: InstrumentLike, *, chunk_rows: int = DEFAULT_CHUNK_ROWS
) -> Iterator[Columns]:
    """Raw columns of a Parquet file with text, decimal, integer or float columns, at most `chunk_rows` at a time."""
    return _load(_parquet_tables(Path(path), spec), Path(path), spec, instrument, chunk_rows)


def load_all(path: str | Path, spec: LoadSpec, instrument: InstrumentLike) -> Columns:
    """All raw columns of a file at once; DataError if it has no rows."""
    parts = list(load(path, spec, instrument))
    if not parts:
        raise DataError("no data rows", source=str(path), code="empty", remedy="Is it the right file?")
    return concat_columns(parts)


def rechunk(batches: Iterable[Columns], chunk_rows: int) -> Iterator[Columns]:
    """The same rows in batches of exactly `chunk_rows`, but for the last; empty batches are left out."""
    if chunk_rows < 1:
        raise ValueError(f"chunk_rows is 1 or more, not {chunk_rows}")
    held: list[Columns] = []
    held_rows = 0
    for columns in batches:
        start, count = 0, row_count(columns)
        while start < count:
            stop = min(count, start + chunk_rows - held_rows)
            held.append(slice_columns(columns, start, stop) if (start, stop) != (0, count) else columns)
            held_rows += stop - start
            start = stop
            if held_rows == chunk_rows:
                yield concat_columns(held)
                held, held_rows = [], 0
    if held:
        yield concat_columns(held)


def _load(
    tables: Iterator[Any], path: Path, spec: LoadSpec, instrument: InstrumentLike, chunk_rows: int
) -> Iterator[Columns]:
    converter = TableConverter(spec, instrument, str(path))
    return rechunk((converter.convert(table) for table in _head(tables, spec.max_rows)), chunk_rows)


def _head(tables: Iterator[Any], max_rows: int | None) -> Iterator[Any]:
    """The tables up to the first `max_rows` rows of all."""
    for table in tables:
        if max_rows is None:
            yield table
            continue
        if max_rows <= 0:
            return
        yield table.slice(0, max_rows)
        max_rows -= table.num_rows


def _open(path: Path) -> Any:
    import pyarrow as pa

    try:
        return pa.input_stream(str(path), compression=_COMPRESSION.get(path.suffix))
    except FileNotFoundError as error:
        raise missing_file(path) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def missing_file(path: Path) -> DataError:
    """The error of a file that is not there, naming what its folder has."""
    folder = path.parent
    names = sorted(entry.name for entry in folder.iterdir())[:8] if folder.is_dir() else []
    has = f"; {folder} has {', '.join(names)}" if names else ""
    return DataError(f"no such file{has}", source=str(path), code="missing_file", remedy="Check the path")


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(
        f"cannot be read: {error}",
        source=str(path),
        code="truncated",
        remedy="The file is truncated or not what its name says: copy or download it again",
    )


def column_names(path: Path, spec: LoadSpec) -> list[str]:
    """The names of the columns of a CSV or Parquet file."""
    if path.suffix in (".parquet", ".pq"):
        with open_parquet(path) as file:
            return list(file.schema_arrow.names)
    return _header(path, spec)


def _header(path: Path, spec: LoadSpec) -> list[str]:
    if not spec.header:
        return list(spec.column_names)
    with _open(path) as stream:
        try:
            start = stream.read(_HEADER_BYTES)
        except OSError as error:
            raise _unreadable(path, error) from error
    lines = start.decode("utf-8-sig", errors="replace").splitlines()
    names = next(csv.reader(lines[:1], delimiter=spec.delimiter), [])
    if not names:
        raise DataError("the file is empty", source=str(path), code="empty", remedy="Is it the right file?")
    return names


def _csv_tables(path: Path, spec: LoadSpec) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    names = _header(path, spec)
    wanted = sorted(set(spec.resolve(names, str(path)).values()), key=names.index)
    bad_rows: list[Any] = []

    def refuse(row: Any) -> str:
        bad_rows.append(row)
        return "error"

    with _open(path) as stream:
        try:
            reader = arrow_csv.open_csv(
                stream,
                read_options=arrow_csv.ReadOptions(
                    use_threads=False,  # so that rows are numbered
                    block_size=_BLOCK_BYTES,
                    column_names=names,
                    skip_rows=1 if spec.header else 0,
                ),
                parse_options=arrow_csv.ParseOptions(delimiter=spec.delimiter, invalid_row_handler=refuse),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(wanted, pa.string()),
                    include_columns=wanted,
                    strings_can_be_null=False,
                    check_utf8=True,
                ),
            )
            yield from reader
        except StopIteration:  # pragma: no cover - Arrow's reader ends by itself
            return
        except pa.ArrowInvalid as error:
            if bad_rows:
                raise _wrong_width(path, spec, bad_rows[0]) from error
            if "Empty CSV" in str(error):
                return
            raise _unreadable(path, error) from error
        except OSError as error:
            raise _unreadable(path, error) from error


def _wrong_width(path: Path, spec: LoadSpec, row: Any) -> DataError:
    number = None if row.number is None else row.number - (1 if spec.header else 0)
    return DataError(
        f"{row.actual_columns} columns instead of {row.expected_columns}: {row.text!r}",
        source=str(path),
        row=number,
        code="columns",
        remedy="Mend the row; is the delimiter right, or the file truncated?",
    )


def _parquet_tables(path: Path, spec: LoadSpec) -> Iterator[Any]:
    import pyarrow as pa

    file = open_parquet(path)
    with file:
        available = list(file.schema_arrow.names)
        wanted = list(dict.fromkeys(spec.resolve(available, str(path)).values()))
        try:
            yield from file.iter_batches(batch_size=_PARQUET_BATCH_ROWS, columns=wanted)
        except (pa.ArrowInvalid, OSError) as error:
            raise _unreadable(path, error) from error


def open_parquet(path: Path) -> Any:
    """A pyarrow ParquetFile; DataError naming the file if it is missing, truncated or no Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path, memory_map=True)
    except FileNotFoundError as error:
        raise missing_file(path) from error
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"not a whole Parquet file: {error}",
            source=str(path),
            code="truncated",
            remedy="It is truncated or of another format: copy or write it again",
        ) from error
