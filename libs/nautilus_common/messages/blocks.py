"""Market-data blocks: columns of one stream, and how they travel.

A block on the wire is

    4 bytes   b"NFB1"
    4 bytes   length of the header, little-endian
    header    MessagePack array: stream, kind, instrument id, bar type, first row, number of rows, end
    padding   zeros up to a multiple of 8
    columns   one after the other in the order of KIND_COLUMNS, little-endian int64

so that a receiver reads each column with `np.frombuffer`, without a copy. Decoded columns are read-only views of the
bytes.
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

_MAGIC = b"NFB1"
_WIRE_TYPE = np.dtype("<i8")
_ITEM_SIZE = 8


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


class _Header(msgspec.Struct, array_like=True, frozen=True):
    stream: int
    kind: str
    instrument_id: InstrumentId
    bar_type: str | None
    first_row: int
    row_count: int
    end: tuple[int, ...]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Header)


def encode_block(block: Block) -> bytes:
    """The block's bytes; ValueError if its columns are not those of its kind."""
    rows = check_block(block)
    bar_type = None if block.bar_type is None else str(block.bar_type)
    header = _ENCODER.encode(
        _Header(block.stream, block.kind, block.instrument_id, bar_type, block.first_row, rows, block.end)
    )
    parts = [_MAGIC, len(header).to_bytes(4, "little"), header, bytes(_padding(len(header)))]
    parts += [block.columns[name].astype(_WIRE_TYPE, copy=False).tobytes() for name in KIND_COLUMNS[block.kind]]
    return b"".join(parts)


def decode_block(data: bytes) -> Block:
    """The block that `data` holds, its columns read-only views of `data`; DecodeError if it is not one."""
    if len(data) < 8 or data[:4] != _MAGIC:
        raise DecodeError(f"cannot decode a block: {len(data)} bytes that do not begin with {_MAGIC!r}")
    length = int.from_bytes(data[4:8], "little")
    try:
        header = _DECODER.decode(memoryview(data)[8 : 8 + length])
        bar_type = None if header.bar_type is None else BarType.from_str(header.bar_type)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError) as error:
        raise DecodeError(f"cannot decode the header of a block: {error}") from error
    names = KIND_COLUMNS.get(header.kind)
    if names is None:
        raise DecodeError(f"cannot decode a block of the unknown kind {header.kind!r}; known: {list(KIND_COLUMNS)}")
    start = 8 + length + _padding(length)
    rows = header.row_count
    expected = start + len(names) * rows * _ITEM_SIZE
    if rows < 0 or len(data) != expected:
        raise DecodeError(f"cannot decode a {header.kind} block of {rows} rows: {len(data)} bytes, not {expected}")
    columns = {name: _read_column(data, rows, start + i * rows * _ITEM_SIZE) for i, name in enumerate(names)}
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


def _read_column(data: bytes, rows: int, offset: int) -> Column:
    column: Column = np.frombuffer(data, _WIRE_TYPE, rows, offset)
    column.flags.writeable = False
    return column


def _padding(header_length: int) -> int:
    return -header_length % _ITEM_SIZE
