"""Market-data blocks: columns of one stream, and how they travel.

A block on the wire is

    4 bytes   b"NFB2"
    4 bytes   length of the header, little-endian
    header    MessagePack array: stream, kind, instrument id, bar type, first row, number of rows, end, packing
    padding   zeros up to a multiple of 8
    columns   one after the other in the order of KIND_COLUMNS, little-endian, each padded to a multiple of 8

What a tick costs on its way is what its bytes cost: the kernel and the server copy each of them several times, and so
does every process that reads it. So a column travels in as few bytes as its values need, and comes out exactly:
`packing` says how. A quote takes 16 to 20 bytes instead of 48. Decoded columns are read-only.
"""

import msgspec
import numpy as np
import numpy.typing as npt

from nautilus_common.messages.errors import DecodeError
from nautilus_common.model.data import BarType
from nautilus_common.model.identifiers import InstrumentId

Column = npt.NDArray[np.int64]

#: The columns of each kind. All are int64: prices and sizes raw at the instrument's precision, times UTC nanoseconds.
KIND_COLUMNS: dict[str, tuple[str, ...]] = {
    "quote": ("ts_event", "ts_init", "bid", "ask", "bid_size", "ask_size"),
    "trade": ("ts_event", "ts_init", "price", "size", "aggressor", "trade_id"),
    "bar": ("ts_event", "ts_init", "open", "high", "low", "close", "volume"),
}

ROWS_MAX = 1 << 20
"""Rows of a block on the wire: columns of equal values take no bytes, so the bytes alone bound nothing."""

_MAGIC = b"NFB2"
_ITEM_SIZE = 8
_WIRE_TYPES: dict[int, np.dtype[np.integer]] = {
    1: np.dtype("u1"),
    2: np.dtype("<u2"),
    4: np.dtype("<u4"),
    8: np.dtype("<i8"),
}

_PLAIN, _STEPS, _AFTER_EVENT = 0, 1, 2
"""What travels: the values, their distances from row to row, or their distances from `ts_event`."""
_FORMS = {"ts_event": _STEPS, "ts_init": _AFTER_EVENT}


class Block(msgspec.Struct, frozen=True, eq=False):
    """Consecutive rows of one stream.

    `first_row` is the row number in the stream of the first row here. `end` is the tag (docs/explain/order.md) below
    which no further row of the stream will come: with this block all before `end` is known.
    """

    stream: int
    kind: str
    instrument_id: InstrumentId
    bar_type: BarType | None
    first_row: int
    columns: dict[str, Column]
    end: tuple[int, ...]

    @property
    def row_count(self) -> int:
        return len(self.columns["ts_init"])


class _Packing(msgspec.Struct, array_like=True, frozen=True):
    """A column on the wire: `width` bytes a row (0 when all are equal), less `low`; distances are from `first` on."""

    form: int
    width: int
    low: int = 0
    first: int = 0


class _Header(msgspec.Struct, array_like=True, frozen=True):
    stream: int
    kind: str
    instrument_id: InstrumentId
    bar_type: str | None
    first_row: int
    row_count: int
    end: tuple[int, ...]
    packing: list[_Packing]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Header)


def encode_block(block: Block) -> bytes:
    """The block's bytes; ValueError if its columns are not those of its kind."""
    rows = check_block(block)
    if rows > ROWS_MAX:
        raise ValueError(f"a block of {rows:,} rows; on the bus it may have {ROWS_MAX:,}")
    bar_type = None if block.bar_type is None else str(block.bar_type)
    packed = [_pack(block.columns, name) for name in KIND_COLUMNS[block.kind]] if rows else []
    packing = [how for how, _ in packed]
    header = _ENCODER.encode(
        _Header(block.stream, block.kind, block.instrument_id, bar_type, block.first_row, rows, block.end, packing)
    )
    parts = [_MAGIC, len(header).to_bytes(4, "little"), header, bytes(_padding(len(header)))]
    for _, data in packed:
        parts += [data, bytes(_padding(len(data)))]
    return b"".join(parts)


def decode_block(data: bytes) -> Block:
    """The block that `data` holds, its columns read-only; DecodeError if it is not one."""
    if len(data) < 8 or data[:4] != _MAGIC:
        raise DecodeError(f"cannot decode a block: {len(data)} bytes that do not begin with {_MAGIC!r}")
    length = int.from_bytes(data[4:8], "little")
    try:
        header = _DECODER.decode(memoryview(data)[8 : 8 + length])
        bar_type = None if header.bar_type is None else BarType.from_str(header.bar_type)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError) as error:
        raise DecodeError(f"cannot decode the header of a block: {error}") from error
    if header.kind not in KIND_COLUMNS:
        raise DecodeError(f"cannot decode a block of the unknown kind {header.kind!r}; known: {list(KIND_COLUMNS)}")
    columns = _read_columns(data, 8 + length + _padding(length), header)
    return Block(header.stream, header.kind, header.instrument_id, bar_type, header.first_row, columns, header.end)


def check_block(block: Block) -> int:
    """The number of rows; ValueError if the columns are not those of the kind, all int64 and equally long."""
    names = KIND_COLUMNS.get(block.kind)
    if names is None:
        raise ValueError(f"unknown kind of block {block.kind!r}; known: {list(KIND_COLUMNS)}")
    if len(block.columns) != len(names) or any(name not in block.columns for name in names):
        raise ValueError(
            f"a {block.kind} block of {block.instrument_id} has the columns {list(block.columns)}: {names}"
        )
    rows = block.row_count
    for name in names:
        column = block.columns[name]
        if column.dtype != np.int64 or column.shape != (rows,):
            raise ValueError(
                f"column {name!r} of a {block.kind} block of {block.instrument_id} must be int64 with {rows} rows, "
                f"was {column.dtype} {column.shape}"
            )
    return rows


def _pack(columns: dict[str, Column], name: str) -> tuple[_Packing, bytes]:
    """A column as it travels. Differences that overflow wrap around, and wrap back when they are added up."""
    form, first = _FORMS.get(name, _PLAIN), 0
    values = columns[name]
    if form == _STEPS:
        first = int(values[0])
        values = np.diff(values, prepend=values[:1])
    elif form == _AFTER_EVENT:
        values = values - columns["ts_event"]
    low, high = int(values.min()), int(values.max())
    if high == low:
        return _Packing(form, 0, low, first), b""
    width = next((width for width in (1, 2, 4) if high - low < 1 << 8 * width), _ITEM_SIZE)
    if width == _ITEM_SIZE:
        return _Packing(form, width, 0, first), values.astype(_WIRE_TYPES[width], copy=False).tobytes()
    return _Packing(form, width, low, first), (values - low).astype(_WIRE_TYPES[width]).tobytes()


def _read_columns(data: bytes, start: int, header: _Header) -> dict[str, Column]:
    rows, names = header.row_count, KIND_COLUMNS[header.kind]
    packing = header.packing if rows else [_Packing(_PLAIN, 0)] * len(names)
    if (
        not 0 <= rows <= ROWS_MAX
        or len(packing) != len(names)
        or any(p.width and p.width not in _WIRE_TYPES for p in packing)
    ):
        raise DecodeError(f"cannot decode a {header.kind} block of {rows} rows: its columns are packed as {packing}")
    sizes = [p.width * rows + _padding(p.width * rows) for p in packing]
    expected = start + sum(sizes)
    if len(data) != expected:
        raise DecodeError(f"cannot decode a {header.kind} block of {rows} rows: {len(data)} bytes, not {expected}")
    columns: dict[str, Column] = {}
    for name, how, size in zip(names, packing, sizes, strict=True):
        try:
            column = _unpack(data, start, rows, how, columns)
        except (OverflowError, KeyError, MemoryError) as error:
            raise DecodeError(f"cannot decode column {name!r} of a {header.kind} block: {how}: {error}") from error
        column.flags.writeable = False
        columns[name] = column
        start += size
    return columns


def _unpack(data: bytes, start: int, rows: int, how: _Packing, columns: dict[str, Column]) -> Column:
    if how.width:
        column: Column = np.frombuffer(data, _WIRE_TYPES[how.width], rows, start).astype(np.int64)
        column += how.low
    else:
        column = np.full(rows, how.low, np.int64)
    if how.form == _STEPS:
        np.cumsum(column, out=column)
        column += how.first
    elif how.form == _AFTER_EVENT:
        column += columns["ts_event"]
    return column


def _padding(header_length: int) -> int:
    return -header_length % _ITEM_SIZE
