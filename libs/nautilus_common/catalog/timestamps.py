"""Times of files to UTC nanoseconds: ISO 8601, epochs and strptime formats, with or without a time zone.

Everything is vectorised: ISO by Arrow's parser, epochs by exact decimals, other formats by one regular expression.
Local times are shifted by the zone's offset, found once for each quarter of an hour that occurs.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from nautilus_common.catalog.columns import IntArray
from nautilus_common.catalog.conversion import Where, as_arrow, int64_values, to_raw
from nautilus_common.catalog.errors import CatalogError

EPOCH_DIGITS = {"s": 9, "ms": 6, "us": 3, "ns": 0}
_DIRECTIVES = {
    "Y": r"(?P<Y>\d{4})",
    "y": r"(?P<y>\d{2})",
    "m": r"(?P<m>\d{1,2})",
    "d": r"(?P<d>\d{1,2})",
    "H": r"(?P<H>\d{1,2})",
    "M": r"(?P<M>\d{1,2})",
    "S": r"(?P<S>\d{1,2})",
    "f": r"(?P<f>\d{1,9})",
    "b": r"(?P<b>[A-Za-z]{3})",
    "I": r"(?P<I>\d{1,2})",
    "p": r"(?P<p>[AaPp][Mm])",
    "z": r"(?P<z>Z|[+-]\d{2}:?\d{2})",
}
_FIXED_WIDTH = {"m", "d", "H", "M", "S", "I"}
_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_QUARTER_NS = 15 * 60 * 1_000_000_000
_SECOND_NS = 1_000_000_000


def check_format(fmt: str) -> None:
    """Raise CatalogError unless `fmt` is iso, s, ms, us, ns or a strptime format of known directives."""
    if fmt == "iso" or fmt in EPOCH_DIGITS:
        return
    known = "iso, s, ms, us, ns, or a strptime format such as '%Y%m%d %H%M%S%f'"
    directives = re.findall(r"%(.)", fmt)
    if not directives:
        raise CatalogError(f"timestamp format {fmt!r} is none of {known}")
    if unknown := [name for name in directives if name not in _DIRECTIVES and name != "%"]:
        raise CatalogError(f"timestamp format {fmt!r}: unknown %{unknown[0]}; known are %{' %'.join(_DIRECTIVES)}")


def check_timezone(name: str) -> ZoneInfo:
    """The zone of this name; CatalogError if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        remedy = "use an IANA name such as 'UTC' or 'America/New_York'"
        raise CatalogError(f"unknown time zone {name!r}: {remedy}") from error


def to_ns(values: Any, fmt: str, timezone: str, where: Where) -> IntArray:
    """UTC nanoseconds of each value; `timezone` is that of times which do not carry one themselves."""
    import pyarrow as pa

    array = as_arrow(values)
    if array.null_count:
        index = int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0])
        raise where.error("no time", index, code="time", remedy="Fill or remove the row")
    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        return _typed_to_ns(array, timezone, where)
    if fmt in EPOCH_DIGITS:
        return _epoch_to_ns(array, EPOCH_DIGITS[fmt], where)
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        if pa.types.is_integer(array.type) and where.column in ("ts_event", "ts_init"):
            return _epoch_to_ns(array, 0, where)
        raise where.error(
            f"times of type {array.type} cannot be read as {fmt!r}",
            None,
            code="time",
            remedy="Say the unit in the load spec: timestamp = 's', 'ms', 'us' or 'ns'",
        )
    if fmt == "iso":
        return _iso_to_ns(array, timezone, where)
    return _strptime_to_ns(array, fmt, timezone, where)


def _epoch_to_ns(array: Any, digits: int, where: Where) -> IntArray:
    import pyarrow as pa

    if pa.types.is_floating(array.type):
        # A float64 epoch in seconds resolves 0.2 us: its nearest microsecond is all it holds.
        fine = min(digits, max(digits - 3, 0))
        return to_raw(array, fine, where, rounding="half_even") * np.int64(10 ** (digits - fine))
    return to_raw(array, digits, where)


def _typed_to_ns(array: Any, timezone: str, where: Where) -> IntArray:
    import pyarrow as pa

    aware = getattr(array.type, "tz", None) is not None
    unit = pa.timestamp("ns", array.type.tz) if aware else pa.timestamp("ns")
    try:
        raw = int64_values(array.cast(unit))
    except pa.ArrowInvalid as error:
        raise where.error(str(error), None, code="time", remedy="Times are from 1970 to 2262") from error
    return np.array(raw, dtype=np.int64) if aware else _localise(raw, timezone, where)


def _iso_to_ns(array: Any, timezone: str, where: Where) -> IntArray:
    import pyarrow as pa

    if not len(array):
        return np.empty(0, dtype=np.int64)
    first = array[0].as_py().strip()
    aware = re.search(r"(Z|[+-]\d{2}(:?\d{2})?)$", first[10:]) is not None
    wanted = pa.timestamp("ns", "UTC") if aware else pa.timestamp("ns")
    try:
        raw = int64_values(array.cast(wanted))
    except pa.ArrowInvalid as error:
        index = _first_failing(array, wanted)
        raise where.error(
            f"{array[index].as_py()!r} is not an ISO 8601 time {'with' if aware else 'without'} zone (1970 to 2262)",
            index,
            code="time",
            remedy="Mend the row, or say the format in the load spec: timestamp = 's', 'ms', 'us', 'ns' or strptime",
        ) from error
    return np.array(raw, dtype=np.int64) if aware else _localise(raw, timezone, where)


def _first_failing(array: Any, wanted: Any) -> int:
    """The first row whose cast fails, by halves."""
    import pyarrow as pa

    low, high = 0, len(array)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            array[low:middle].cast(wanted)
            low = middle
        except pa.ArrowInvalid:
            high = middle
    return low


def _pattern(fmt: str) -> str:
    """The regular expression of a strptime format; numbers that touch are of their full width."""
    out = ""
    for match in re.finditer(r"%(.)|([^%])", fmt):
        directive, literal = match.groups()
        if literal is not None or directive == "%":
            out += re.escape(literal or "%")
            continue
        part = _DIRECTIVES[directive]
        touches = re.match(r"%[YymdHMSfI]", fmt[match.end() :]) or re.search(r"%[YymdHMSI]$", fmt[: match.start()])
        out += part.replace("{1,2}", "{2}") if directive in _FIXED_WIDTH and touches else part
    return f"^{out}$"


def _strptime_to_ns(array: Any, fmt: str, timezone: str, where: Where) -> IntArray:
    import pyarrow.compute as pc

    check_format(fmt)
    fields = pc.extract_regex(pc.utf8_trim_whitespace(array), pattern=_pattern(fmt))
    missed = fields.is_null().to_numpy(zero_copy_only=False)
    if missed.any():
        raise _no_match(array, int(np.flatnonzero(missed)[0]), fmt, where)
    parts = {fields.type.field(i).name: fields.field(i) for i in range(fields.type.num_fields)}
    ns, wrong = _assemble(parts, len(array))
    if wrong.any():
        raise _no_match(array, int(np.flatnonzero(wrong)[0]), fmt, where)
    return ns if "z" in parts else _localise(ns, timezone, where)


def _no_match(array: Any, index: int, fmt: str, where: Where) -> Exception:
    what = f"{array[index].as_py()!r} is not a time of the format {fmt!r}"
    return where.error(what, index, code="time", remedy="Mend the row, or the timestamp format of the load spec")


def _assemble(parts: dict[str, Any], count: int) -> tuple[IntArray, Any]:
    """Nanoseconds of the fields of a date, and a mask of dates that do not exist."""
    import pyarrow as pa

    def number(name: str, default: int) -> IntArray:
        if name not in parts:
            return np.full(count, default, dtype=np.int64)
        return int64_values(parts[name].cast(pa.int64()))

    year = number("Y", 1970)
    if "y" in parts:
        short = number("y", 70)
        year = np.where(short < 69, 2000 + short, 1900 + short)
    month = _lookup(parts["b"], _MONTHS) if "b" in parts else number("m", 1)
    day, hour, minute, second = number("d", 1), number("H", 0), number("M", 0), number("S", 0)
    if "I" in parts:
        half = number("I", 12)
        afternoon = _lookup(parts["p"], {"AM": 0, "PM": 1}) if "p" in parts else 0
        hour = half % 12 + 12 * afternoon
    wrong = (year < 1970) | (year > 2261) | (month < 1) | (month > 12) | (hour > 23) | (minute > 59) | (second > 59)
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    wrong |= days.astype("datetime64[M]") != months
    seconds = days.astype(np.int64) * 86_400 + hour * 3_600 + minute * 60 + second
    if "z" in parts:
        seconds = seconds - _offsets(parts["z"])
    fraction = np.zeros(count, dtype=np.int64)
    if "f" in parts:
        import pyarrow.compute as pc

        padded = pc.utf8_rpad(parts["f"], width=9, padding="0")
        fraction = int64_values(padded.cast(pa.int64()))
    with np.errstate(over="ignore"):  # a wrong date is told by the mask
        return seconds * _SECOND_NS + fraction, wrong


def _lookup(texts: Any, table: dict[str, int]) -> IntArray:
    encoded = texts.dictionary_encode()
    numbers = np.array([table.get(text.upper(), 0) for text in encoded.dictionary.to_pylist()], dtype=np.int64)
    return np.asarray(numbers[encoded.indices.to_numpy(zero_copy_only=False)])


def _offsets(texts: Any) -> IntArray:
    """Seconds east of UTC of zone texts such as +01:00 and Z."""
    encoded = texts.dictionary_encode()
    seconds = []
    for text in encoded.dictionary.to_pylist():
        plain = text.replace(":", "")
        size = 0 if plain == "Z" else int(plain[1:3]) * 3_600 + int(plain[3:5]) * 60
        seconds.append(-size if plain.startswith("-") else size)
    return np.asarray(np.array(seconds, dtype=np.int64)[encoded.indices.to_numpy(zero_copy_only=False)])


def _localise(local: Any, timezone: str, where: Where) -> IntArray:
    """UTC of local nanoseconds; a time that the zone has twice or never is an error."""
    local = np.array(local, dtype=np.int64)
    zone = check_timezone(timezone)
    if timezone == "UTC" or not len(local):
        return np.asarray(local)
    quarters, inverse = np.unique(local // _QUARTER_NS, return_inverse=True)
    shifts = np.empty(len(quarters), dtype=np.int64)
    for i, quarter in enumerate(quarters.tolist()):
        start = datetime(1970, 1, 1) + timedelta(minutes=15 * quarter)
        early, late = (zone.utcoffset(start.replace(fold=fold)) for fold in (0, 1))
        assert early is not None and late is not None
        if early != late:
            index = int(np.flatnonzero(inverse == i)[0])
            kind = "twice" if early > late else "never"
            remedy = "Give the file times in UTC or with their offset"
            raise where.error(f"local time {start} happens {kind} in {timezone}", index, code="time", remedy=remedy)
        shifts[i] = int(early.total_seconds()) * _SECOND_NS
    return np.asarray(local - shifts[inverse], dtype=np.int64)


def parse_bound(value: int | str | datetime | None) -> int | None:
    """Nanoseconds of a date filter: an integer as it is, ISO text or a datetime (UTC where no zone is given)."""
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise CatalogError(f"{value!r} is not an ISO 8601 date or time") from error
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000
