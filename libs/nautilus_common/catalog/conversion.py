"""Numbers of files to raw integers, exactly: text, decimals, integers and floats at an instrument's precision.

Theory: decimal text is cast by Arrow to decimal128 at the wanted scale, whose 128-bit integers *are* the raw
integers: no float is ever made. A cast that fails is looked at again row by row, to say which value and why. Floats
cannot say what digits they were written with: the nearest raw integer is taken if it is as near as the float's own
resolution (and 1e-6 of a unit), otherwise the value has more digits than the instrument.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np

from nautilus_common.catalog.columns import INT64_MAX, INT64_MIN, IntArray
from nautilus_common.catalog.errors import CatalogError, DataError

Rounding: TypeAlias = Literal["error", "half_even"]

# Beyond any real number of a file; more digits than a decimal128 holds are told as an overflow.
_MAX_DIGITS = 38
_FLOAT_UNIT_TOLERANCE = 1e-6


class Where(msgspec.Struct, frozen=True):
    """Where the values come from, for the messages: the file, the column as the file calls it, rows before these."""

    source: str
    column: str
    first_row: int = 0

    def error(self, what: str, index: int | None, *, code: str, remedy: str) -> DataError:
        row = None if index is None else self.first_row + index + 1
        text = f"column {self.column!r}: {what}"
        return DataError(text, source=self.source, row=row, column=self.column, code=code, remedy=remedy)


def to_raw(values: Any, precision: int, where: Where, *, scale: int = 0, rounding: Rounding = "error") -> IntArray:
    """The values times 10**precision as int64.

    `values` is an Arrow or numpy array, or a list. `scale` is the number of decimals an integer of the source
    implies: the value is that in the file / 10**scale. With `rounding` "half_even" more digits than `precision` are
    rounded instead of refused. DataError names the first row that is missing, no number, NaN, infinite, of too many
    digits or beyond int64.
    """
    import pyarrow as pa

    array = as_arrow(values)
    if array.null_count:
        index = int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0])
        raise where.error("no value", index, code="missing_value", remedy="Fill or remove the row")
    digits = precision - scale
    places = max(digits, 0)
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        raw = _text_to_raw(array, places, where, rounding)
    elif pa.types.is_decimal(array.type):
        raw = _decimals_to_raw(array, places, where, rounding)
    elif pa.types.is_integer(array.type):
        raw = _integers_to_raw(array, places, where)
    elif pa.types.is_floating(array.type):
        raw = _floats_to_raw(array, places, where, rounding)
    else:
        remedy = "Give decimal text, decimals, integers or floats"
        raise where.error(f"values of type {array.type} are no numbers", None, code="type", remedy=remedy)
    return raw if digits >= 0 else _divide(raw, 10**-digits, precision, where, rounding)


def as_arrow(values: Any) -> Any:
    """One Arrow array of any array, chunked array, numpy array, pandas series or list; dictionaries decoded."""
    import pyarrow as pa

    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if not isinstance(values, pa.Array):
        kind = getattr(getattr(values, "dtype", None), "kind", "")
        # NaN must stay NaN here (and not become null as from pandas) to be named as such.
        values = pa.array(values, from_pandas=False) if kind == "f" else pa.array(values)
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_string_view(values.type):
        values = values.cast(pa.string())
    return values


def int64_values(array: Any) -> IntArray:
    """The values of an Arrow int64 or timestamp array without nulls, as a view of its buffer.

    `to_numpy` and `pyarrow.array` import pandas wherever it is installed (0.3 s or more): a cold start avoids them.
    """
    import pyarrow as pa

    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    assert array.type.bit_width == 64 and not array.null_count
    if not len(array):
        return np.empty(0, dtype=np.int64)
    values: IntArray = np.frombuffer(array.buffers()[1], dtype=np.int64)
    return values[array.offset : array.offset + len(array)]


def size_to_raw(size: str, precision: int, what: str) -> int:
    """One size of a setting or an instrument as a raw integer; CatalogError if it has more digits."""
    value = Decimal(size).scaleb(precision)
    if not value.is_finite() or value != value.to_integral_value() or not 0 <= value <= INT64_MAX:
        raise CatalogError(f"{what} {size} is no size of {precision} decimals: give one that the instrument can have")
    return int(value)


def _text_to_raw(array: Any, places: int, where: Where, rounding: Rounding) -> IntArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.decimal128(_MAX_DIGITS, places)
    try:
        return _decimal128_to_int64(array.cast(wanted), where)
    except pa.ArrowInvalid:
        pass
    trimmed = pc.utf8_trim_whitespace(array)
    try:
        if rounding == "half_even":
            wide = trimmed.cast(pa.decimal256(76, places + 18))
            return _decimals_to_raw(wide, places, where, rounding)
        return _decimal128_to_int64(trimmed.cast(wanted), where)
    except pa.ArrowInvalid as error:
        _raise_first_bad(trimmed.to_pylist(), places, where, rounding)
        raise where.error(str(error), None, code="number", remedy="Mend the file") from error


def _decimals_to_raw(array: Any, places: int, where: Where, rounding: Rounding) -> IntArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    if rounding == "half_even" and array.type.scale > places:
        array = pc.round(array, ndigits=places, round_mode="half_to_even")
    try:
        return _decimal128_to_int64(array.cast(pa.decimal128(_MAX_DIGITS, places)), where)
    except pa.ArrowInvalid as error:
        _raise_first_bad([str(value) for value in array.to_pylist()], places, where, rounding)
        raise where.error(str(error), None, code="number", remedy="Mend the file") from error


def _decimal128_to_int64(array: Any, where: Where) -> IntArray:
    """The low limb of each decimal128, checked to be all of it."""
    count = len(array)
    if not count:
        return np.empty(0, dtype=np.int64)
    limbs = np.frombuffer(array.buffers()[1], dtype="<i8")[2 * array.offset : 2 * (array.offset + count)]
    low: IntArray = np.ascontiguousarray(limbs[0::2])
    wrong = limbs[1::2] != low >> 63
    if wrong.any():
        index = int(np.flatnonzero(wrong)[0])
        raise _overflow(where, index, str(array[index].as_py()))
    return low


def _integers_to_raw(array: Any, places: int, where: Where) -> IntArray:
    values: np.ndarray[Any, Any] = array.to_numpy(zero_copy_only=False)
    factor = 10**places
    wrong = values > INT64_MAX // factor
    if values.dtype.kind == "i":
        wrong |= values < -(INT64_MAX // factor)
    if wrong.any():
        index = int(np.flatnonzero(wrong)[0])
        raise _overflow(where, index, str(values[index]))
    return values.astype(np.int64) * np.int64(factor) if places else values.astype(np.int64)


def _floats_to_raw(array: Any, places: int, where: Where, rounding: Rounding) -> IntArray:
    own = array.to_numpy(zero_copy_only=False)
    values = own.astype(np.float64)
    wrong = ~np.isfinite(values)
    if wrong.any():
        index = int(np.flatnonzero(wrong)[0])
        raise _not_finite(where, index, str(values[index]))
    scaled = values * float(10**places)
    nearest = np.rint(scaled)
    wrong = (nearest >= 2.0**63) | (nearest < -(2.0**63))
    if wrong.any():
        index = int(np.flatnonzero(wrong)[0])
        raise _overflow(where, index, str(values[index]))
    if rounding == "error":
        resolution = float(np.finfo(own.dtype).eps)
        wrong = np.abs(scaled - nearest) > _FLOAT_UNIT_TOLERANCE + 4.0 * resolution * np.abs(scaled)
        if wrong.any():
            index = int(np.flatnonzero(wrong)[0])
            raise _too_many_digits(where, index, str(own[index]), places)
    raw: IntArray = nearest.astype(np.int64)
    return raw


def _divide(raw: IntArray, divisor: int, precision: int, where: Where, rounding: Rounding) -> IntArray:
    quotient: IntArray
    rest: IntArray
    quotient, rest = np.divmod(raw, np.int64(divisor))
    if rounding == "half_even":
        half = divisor // 2
        up = (rest > half) | ((rest == half) & (quotient % 2 == 1))
        return np.asarray(quotient + up, dtype=np.int64)
    if rest.any():
        index = int(np.flatnonzero(rest)[0])
        raise _too_many_digits(where, index, str(raw[index]), precision)
    return quotient


def _raise_first_bad(texts: list[str], places: int, where: Where, rounding: Rounding) -> None:
    """Find the value that a cast refused, and say why."""
    for index, text in enumerate(texts):
        try:
            value = Decimal(text) if "_" not in text else None
        except InvalidOperation:
            value = None
        if value is None:
            remedy = "Mend or remove the row; is the delimiter, or the map of columns, right?"
            raise where.error(f"{text!r} is not a number" if text else "no value", index, code="number", remedy=remedy)
        if not value.is_finite():
            raise _not_finite(where, index, text)
        exponent = value.normalize().as_tuple().exponent
        if rounding == "error" and isinstance(exponent, int) and -exponent > places and value:
            raise _too_many_digits(where, index, text, places)
        if not INT64_MIN <= value.scaleb(places) <= INT64_MAX:
            raise _overflow(where, index, text)


def _not_finite(where: Where, index: int, text: str) -> DataError:
    name = "NaN" if "nan" in text.casefold() else "infinite"
    return where.error(f"{text} is {name}, not a number", index, code="nan", remedy="Mend or remove the row")


def _too_many_digits(where: Where, index: int, text: str, places: int) -> DataError:
    return where.error(
        f"wrong precision: {text} has more than {places} decimals",
        index,
        code="precision",
        remedy="Give the instrument the precision of its data, or mend the row "
        '(sizes may be rounded: size_rounding="half_even" in the load spec)',
    )


def _overflow(where: Where, index: int, text: str) -> DataError:
    return where.error(
        f"{text} overflows int64 at this precision",
        index,
        code="overflow",
        remedy="Mend the row, or lower the precision of the instrument",
    )
