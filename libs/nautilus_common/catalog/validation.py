"""Checks of raw columns: what a row must satisfy before an engine may see it.

Theory: the columns are int64 and whole, so each rule is one or two vectorised comparisons (about 100 M rows/s in
all); only when a rule is broken are the rows looked for. `validate_columns` raises at the first broken rule,
`find_problems` lists them all. Rules about text and floats (NaN, wrong precision) belong to `conversion`, since an
int64 cannot show them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from nautilus_common.catalog.columns import (
    KIND_COLUMNS,
    PRICE_COLUMNS,
    SIZE_COLUMNS,
    Columns,
    InstrumentLike,
    IntArray,
    Row,
    decimal_text,
    iso_text,
    row_count,
    take_columns,
)
from nautilus_common.catalog.errors import DataError, nearest

OnDuplicate: TypeAlias = Literal["error", "drop"]
Mask: TypeAlias = npt.NDArray[np.bool_]


class Problem(msgspec.Struct, frozen=True):
    """One finding of `find_problems`; `row` is the first data row (1-based) and `count` how many rows have it."""

    code: str
    source: str
    row: int | None
    count: int
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        where = self.source if self.row is None else f"{self.source}: row {self.row}"
        more = f" ({self.count} such rows)" if self.count > 1 else ""
        return f"{where}: {self.message}{more}" + (f". {self.remedy}" if self.remedy else "")


class _Finding(msgspec.Struct, frozen=True):
    """A broken rule in one batch: `index` is the 0-based row in the batch."""

    code: str
    column: str | None
    index: int
    count: int
    what: str
    remedy: str


class Validator:
    """Checks a stream of batches from one source, remembering the last row and the count between them."""

    def __init__(
        self,
        kind: str,
        instrument: InstrumentLike,
        source: str,
        *,
        on_duplicate: OnDuplicate = "error",
        allow_crossed: bool = False,
        check_duplicates: bool = True,
    ) -> None:
        self.kind = kind
        self.instrument = instrument
        self.source = source
        self.on_duplicate = on_duplicate
        self.allow_crossed = allow_crossed
        self.check_duplicates = check_duplicates
        self.rows = 0
        self.dropped = 0
        self.previous: Row | None = None

    def check(self, columns: Mapping[str, IntArray]) -> Columns:
        """The columns, without duplicates if these are to be dropped; DataError at the first broken rule."""
        validate_columns(
            self.kind,
            columns,
            self.instrument,
            source=self.source,
            first_row=self.rows,
            previous_row=self.previous,
            allow_crossed=self.allow_crossed,
            check_duplicates=self.check_duplicates and self.on_duplicate == "error",
        )
        count = row_count(columns)
        self.rows += count
        kept = {name: columns[name] for name in KIND_COLUMNS[self.kind]}
        if count and self.check_duplicates and self.on_duplicate == "drop":
            kept = drop_duplicates(self.kind, kept, previous_row=self.previous)
            self.dropped += count - row_count(kept)
        if row_count(kept):
            self.previous = last_row(kept)
        return kept


def validate_columns(
    kind: str,
    columns: Mapping[str, IntArray],
    instrument: InstrumentLike,
    *,
    source: str,
    first_row: int = 0,
    previous_ts: int | None = None,
    previous_row: Row | None = None,
    allow_crossed: bool = False,
    check_duplicates: bool = True,
) -> None:
    """Raise DataError at the first rule that the columns break.

    `first_row` is the number of data rows of the source before these; `previous_ts` (or the whole `previous_row`)
    is the last of them. `allow_crossed` accepts bid above ask, for quotes made of bid and ask bars.
    """
    check_layout(kind, columns, source=source)
    if previous_row is not None and previous_ts is None:
        previous_ts = int(previous_row["ts_init"])
    for finding in _findings(kind, columns, instrument, previous_ts, allow_crossed):
        raise _error(finding, source, first_row)
    if check_duplicates:
        for finding in _duplicate_findings(kind, columns, previous_row):
            raise _error(finding, source, first_row)


def check_layout(kind: str, columns: Mapping[str, Any], *, source: str) -> None:
    """Raise DataError unless every column of the kind is there, as one-dimensional int64 of one length."""
    if kind not in KIND_COLUMNS:
        raise DataError(
            f"unknown kind of data {kind!r}", source=source, remedy=f"Use one of {', '.join(KIND_COLUMNS)}", code="kind"
        )
    require_columns(KIND_COLUMNS[kind], columns, kind=kind, source=source)
    lengths = {name: len(columns[name]) for name in KIND_COLUMNS[kind]}
    if len(set(lengths.values())) > 1:
        raise DataError(f"columns of different length: {lengths}", source=source, remedy="Give each the same rows")
    for name in KIND_COLUMNS[kind]:
        array = columns[name]
        dtype = getattr(array, "dtype", type(array).__name__)
        if dtype != np.dtype(np.int64) or array.ndim != 1:
            raise DataError(
                f"column {name!r} is {dtype}, not a column of int64",
                source=source,
                column=name,
                code="dtype",
                remedy="Raw columns are int64 at the instrument's precision: convert with a loader or wrangler, "
                "which refuse NaN, wrong precision and overflow of int64",
            )


def require_columns(
    needed: Iterable[str], available: Iterable[str], *, kind: str, source: str, remedy: str = ""
) -> None:
    """Raise DataError naming the missing columns and the names most like them."""
    names = list(available)
    missing = [name for name in needed if name not in names]
    if not missing:
        return
    hints = [f"{name!r} (nearest: {', '.join(close)})" for name in missing if (close := nearest(name, names))]
    told = f"; did you mean {'; '.join(hints)}?" if hints else ""
    raise DataError(
        f"missing column{'s' if len(missing) > 1 else ''} {', '.join(map(repr, missing))} of kind {kind!r}; "
        f"it has {', '.join(names) or 'none'}{told}",
        source=source,
        column=missing[0],
        code="missing_column",
        remedy=remedy or "Map the file's names in the load spec: columns = {name here = name in the file}",
    )


def drop_duplicates(kind: str, columns: Columns, *, previous_row: Row | None = None) -> Columns:
    """The columns without the rows that equal their predecessor in every column."""
    rows = _duplicate_rows(kind, columns, previous_row)
    if not len(rows):
        return columns
    keep = np.ones(row_count(columns), dtype=np.bool_)
    keep[rows] = False
    return take_columns(columns, keep)


def last_row(columns: Mapping[str, IntArray]) -> Row:
    """The last row as plain integers, to hand to the check of the next batch."""
    return {name: int(array[-1]) for name, array in columns.items()}


def find_problems(
    kind: str,
    batches: Mapping[str, IntArray] | Iterable[Mapping[str, IntArray]],
    instrument: InstrumentLike,
    *,
    source: str,
    gap_multiple: float = 10.0,
    max_gaps: int = 20,
    allow_crossed: bool = False,
) -> list[Problem]:
    """All problems of one stream of columns, without raising: one for each rule broken, and the largest gaps.

    A gap is longer than `gap_multiple` times the median step between different times (of the first batch of more
    than one time, so that the memory is bounded); `max_gaps` of them are named, in order of time.
    """
    if isinstance(batches, Mapping):
        batches = [batches]
    found: dict[str, Problem] = {}
    gaps = _Gaps(gap_multiple, max_gaps)
    previous: Row | None = None
    first_row = 0
    for columns in batches:
        try:
            check_layout(kind, columns, source=source)
        except DataError as error:
            return [Problem(error.code, source, None, 1, error.what, error.remedy)]
        previous_ts = None if previous is None else previous["ts_init"]
        findings = [
            *_findings(kind, columns, instrument, previous_ts, allow_crossed),
            *_duplicate_findings(kind, columns, previous),
        ]
        for finding in findings:
            _merge(found, finding, source, first_row)
        gaps.scan(columns["ts_init"], previous_ts, first_row)
        first_row += row_count(columns)
        previous = last_row(columns) if row_count(columns) else previous
    return [*found.values(), *gaps.problems(source)]


def _merge(found: dict[str, Problem], finding: _Finding, source: str, first_row: int) -> None:
    known = found.get(finding.code)
    if known is None:
        row = first_row + finding.index + 1
        found[finding.code] = Problem(finding.code, source, row, finding.count, finding.what, finding.remedy)
    else:
        found[finding.code] = msgspec.structs.replace(known, count=known.count + finding.count)


class _Gaps:
    """The longest steps of time of a stream of batches."""

    def __init__(self, multiple: float, limit: int) -> None:
        self._multiple = multiple
        self._limit = limit
        self._median = 0
        self._longest: list[tuple[int, int, int]] = []  # (-length, row, ts after the gap)
        self._count = 0

    def scan(self, ts: IntArray, previous_ts: int | None, first_row: int) -> None:
        if previous_ts is not None:
            ts = np.concatenate((np.array([previous_ts], dtype=np.int64), ts))
            first_row -= 1
        steps = np.diff(ts)
        if not self._median:
            positive = steps[steps > 0]
            self._median = int(np.median(positive)) if len(positive) else 0
        if not self._median:
            return
        where = np.flatnonzero(steps > self._multiple * self._median)
        self._count += len(where)
        longest = where[np.argsort(-steps[where], kind="stable")[: self._limit]]
        self._longest += [(-int(steps[i]), first_row + int(i) + 2, int(ts[i + 1])) for i in longest]
        self._longest = sorted(self._longest)[: self._limit]

    def problems(self, source: str) -> list[Problem]:
        told = [
            Problem(
                "gap",
                source,
                row,
                1,
                f"nothing for {_span(-negative)} before {iso_text(ts)} "
                f"(median step {_span(self._median)}, limit {self._multiple:g} times that)",
            )
            for negative, row, ts in sorted(self._longest, key=lambda gap: gap[1])
        ]
        if self._count > len(told):
            text = f"{self._count} gaps in all; the {len(told)} longest are named"
            told.append(Problem("gap", source, None, self._count, text))
        return told


def _span(ns: int) -> str:
    """A length of time in the largest unit that leaves it readable."""
    for unit, size in (("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("min", 60_000_000_000), ("s", 10**9)):
        if ns >= size:
            return f"{ns / size:.4g} {unit}"
    return f"{ns / 1e6:.4g} ms"


def _error(finding: _Finding, source: str, first_row: int) -> DataError:
    return DataError(
        finding.what,
        source=source,
        row=first_row + finding.index + 1,
        column=finding.column,
        remedy=finding.remedy,
        code=finding.code,
    )


def _findings(
    kind: str, columns: Mapping[str, IntArray], instrument: InstrumentLike, previous_ts: int | None, allow_crossed: bool
) -> Iterator[_Finding]:
    if not row_count(columns):
        return
    yield from _time_findings(columns, previous_ts)
    yield from _price_findings(kind, columns, instrument)
    yield from _size_findings(kind, columns, instrument)
    if kind == "quote" and not allow_crossed:
        yield from _crossed_findings(columns, instrument)
    if kind == "bar":
        yield from _bar_findings(columns, instrument)
    if kind == "trade":
        yield from _aggressor_findings(columns)


def _time_findings(columns: Mapping[str, IntArray], previous_ts: int | None) -> Iterator[_Finding]:
    ts = columns["ts_init"]
    index, count, before = -1, 0, 0
    disorder = ts[1:] < ts[:-1]
    if disorder.any():
        rows = np.flatnonzero(disorder) + 1
        index, count, before = int(rows[0]), len(rows), int(ts[rows[0] - 1])
    if previous_ts is not None and ts[0] < previous_ts:
        index, count, before = 0, count + 1, previous_ts
    if count:
        what = f"ts_init {iso_text(ts[index])} ({ts[index]}) is before the row above it, {iso_text(before)} ({before})"
        yield _Finding("unsorted", "ts_init", index, count, what, "Sort the file by time and load it again")
    event = columns["ts_event"]
    for name, array in (("ts_init", ts), ("ts_event", event))[: 1 if event is ts else 2]:
        if array.min() < 0:
            rows = np.flatnonzero(array < 0)
            what = f"{name} {array[rows[0]]} is before 1970"
            yield _Finding(
                "time", name, int(rows[0]), len(rows), what, "Times are UTC nanoseconds since 1970: check the unit"
            )


def _price_findings(kind: str, columns: Mapping[str, IntArray], instrument: InstrumentLike) -> Iterator[_Finding]:
    if instrument.allows_negative_price():
        return
    for name in PRICE_COLUMNS[kind]:
        array = columns[name]
        if array.min() > 0:
            continue
        rows = np.flatnonzero(array <= 0)
        price = decimal_text(int(array[rows[0]]), instrument.price_precision)
        yield _Finding(
            "price",
            name,
            int(rows[0]),
            len(rows),
            f"{name} {price} is {'negative' if array[rows[0]] < 0 else 'zero'}: the price of a "
            f"{type(instrument).__name__} ({instrument.id}) is above zero",
            "Mend or remove the row",
        )


def _size_findings(kind: str, columns: Mapping[str, IntArray], instrument: InstrumentLike) -> Iterator[_Finding]:
    least = 1 if kind == "trade" else 0
    for name in SIZE_COLUMNS[kind]:
        array = columns[name]
        if array.min() >= least:
            continue
        rows = np.flatnonzero(array < least)
        size = decimal_text(int(array[rows[0]]), instrument.size_precision)
        what = f"{name} {size} is negative" if array[rows[0]] < 0 else f"{name} {size}: a trade has a size above zero"
        yield _Finding("size", name, int(rows[0]), len(rows), what, "Mend or remove the row")


def _crossed_findings(columns: Mapping[str, IntArray], instrument: InstrumentLike) -> Iterator[_Finding]:
    crossed = columns["bid"] > columns["ask"]
    if not crossed.any():
        return
    rows = np.flatnonzero(crossed)
    index = int(rows[0])
    bid, ask = (decimal_text(int(columns[name][index]), instrument.price_precision) for name in ("bid", "ask"))
    yield _Finding(
        "crossed",
        "bid",
        index,
        len(rows),
        f"crossed quote: bid {bid} is above ask {ask}",
        "Are bid and ask exchanged in the column map? Otherwise remove the row, "
        "or say allow_crossed=True if the source is like that",
    )


def _bar_findings(columns: Mapping[str, IntArray], instrument: InstrumentLike) -> Iterator[_Finding]:
    high, low = columns["high"], columns["low"]
    rules: list[tuple[str, str, Mask]] = [
        ("high", "low", high < low),
        ("high", "open", high < columns["open"]),
        ("high", "close", high < columns["close"]),
        ("low", "open", low > columns["open"]),
        ("low", "close", low > columns["close"]),
    ]
    for left, right, broken in rules:
        if not broken.any():
            continue
        rows = np.flatnonzero(broken)
        index = int(rows[0])
        one, other = (decimal_text(int(columns[name][index]), instrument.price_precision) for name in (left, right))
        sign = "below" if left == "high" else "above"
        what = f"bar {left} {one} is {sign} its {right} {other}"
        remedy = "A bar's high is its largest price and its low the smallest: check the column map, or mend the row"
        yield _Finding(f"bar_{left}", left, index, len(rows), what, remedy)


def _aggressor_findings(columns: Mapping[str, IntArray]) -> Iterator[_Finding]:
    array = columns["aggressor"]
    if array.min() >= 0 and array.max() <= 2:
        return
    rows = np.flatnonzero((array < 0) | (array > 2))
    what = f"aggressor {array[rows[0]]} is none of 0 (none), 1 (buyer), 2 (seller)"
    yield _Finding("aggressor", "aggressor", int(rows[0]), len(rows), what, "Map the source's sides to 0, 1 or 2")


def _duplicate_findings(kind: str, columns: Mapping[str, IntArray], previous_row: Row | None) -> Iterator[_Finding]:
    rows = _duplicate_rows(kind, columns, previous_row)
    if len(rows):
        index = int(rows[0])
        what = f"duplicate: equal in every column to the row above it ({iso_text(columns['ts_init'][index])})"
        yield _Finding("duplicate", None, index, len(rows), what, 'Remove it, or load with on_duplicate="drop"')


def _duplicate_rows(kind: str, columns: Mapping[str, IntArray], previous_row: Row | None) -> npt.NDArray[np.intp]:
    """Indexes of the rows equal in every column to the one before; the times are compared first, being cheap."""
    names = KIND_COLUMNS[kind]
    ts = columns["ts_init"]
    if not len(ts):
        return np.empty(0, dtype=np.intp)
    rows = np.flatnonzero(ts[1:] == ts[:-1]) + 1
    for name in names:
        if not len(rows):
            break
        rows = rows[columns[name][rows] == columns[name][rows - 1]]
    if previous_row is not None and all(int(columns[name][0]) == previous_row[name] for name in names):
        rows = np.concatenate((np.zeros(1, dtype=np.intp), rows))
    return rows
