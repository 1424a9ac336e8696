"""Market-data blocks on the wire."""

import numpy as np
import pytest
from nautilus_common.messages.blocks import KIND_COLUMNS, Block, decode_block, encode_block
from nautilus_common.messages.errors import DecodeError
from nautilus_common.model.data import BarType
from nautilus_common.model.identifiers import InstrumentId

USD_JPY = InstrumentId.from_str("USD/JPY.SIM")
BAR_TYPE = BarType.from_str("USD/JPY.SIM-15-MINUTE-BID-EXTERNAL")


def make_block(kind: str = "quote", rows: int = 3) -> Block:
    columns = {name: np.arange(rows, dtype=np.int64) + 10 * i for i, name in enumerate(KIND_COLUMNS[kind])}
    bar_type = BAR_TYPE if kind == "bar" else None
    return Block(2, kind, USD_JPY, bar_type, 40, columns, (2**63 - 1, 0, 2, 43))


@pytest.mark.parametrize("rows", [0, 1, 1000])
@pytest.mark.parametrize("kind", KIND_COLUMNS)
def test_round_trip_is_exact_and_copies_nothing(kind: str, rows: int) -> None:
    block = make_block(kind, rows)
    data = encode_block(block)
    again = decode_block(data)
    for name in ("stream", "kind", "instrument_id", "bar_type", "first_row", "end", "row_count"):
        assert getattr(again, name) == getattr(block, name)
    assert tuple(again.columns) == KIND_COLUMNS[kind]
    raw = np.frombuffer(data, np.uint8)
    for name, column in again.columns.items():
        assert column.dtype == np.int64
        assert not column.flags.writeable
        assert column.ctypes.data % 8 == 0
        assert np.array_equal(column, block.columns[name])
        assert rows == 0 or np.shares_memory(column, raw)
    assert encode_block(again) == data


def test_columns_of_a_writable_buffer_are_read_only_too() -> None:
    column = decode_block(bytearray(encode_block(make_block()))).columns["bid"]  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="read-only"):
        column[0] = 1


def test_slices_that_are_not_contiguous_are_packed() -> None:
    block = make_block(rows=10)
    sliced = Block(2, "quote", USD_JPY, None, 0, {name: c[::2] for name, c in block.columns.items()}, ())
    assert decode_block(encode_block(sliced)).columns["ask"].tolist() == block.columns["ask"][::2].tolist()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"bid": np.zeros(3)}, "int64"),
        ({"bid": np.zeros(4, np.int64)}, "3 rows"),
        ({"extra": np.zeros(3, np.int64)}, "has the columns"),
    ],
)
def test_wrong_columns_are_refused(change: dict[str, np.ndarray], text: str) -> None:
    block = make_block()
    with pytest.raises(ValueError, match=text):
        encode_block(Block(1, "quote", USD_JPY, None, 0, block.columns | change, ()))


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="'depth'"):
        encode_block(Block(1, "depth", USD_JPY, None, 0, {}, ()))
    with pytest.raises(DecodeError, match="'quota'"):
        decode_block(encode_block(make_block()).replace(b"quote", b"quota"))


@pytest.mark.parametrize("cut", range(0, 192, 7))
def test_cut_bytes_are_refused(cut: int) -> None:
    data = encode_block(make_block())
    assert len(data) == 192
    with pytest.raises(DecodeError):
        decode_block(data[:cut])
    with pytest.raises(DecodeError, match="193 bytes, not 192"):
        decode_block(data + b"\x00")
