"""Market-data blocks on the wire."""

import numpy as np
import pytest
from nautilus_common.messages.blocks import KIND_COLUMNS, ROWS_MAX, Block, decode_block, encode_block
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
def test_round_trip_is_exact(kind: str, rows: int) -> None:
    block = make_block(kind, rows)
    data = encode_block(block)
    again = decode_block(data)
    for name in ("stream", "kind", "instrument_id", "bar_type", "first_row", "end", "row_count"):
        assert getattr(again, name) == getattr(block, name)
    assert tuple(again.columns) == KIND_COLUMNS[kind]
    for name, column in again.columns.items():
        assert column.dtype == np.int64
        assert not column.flags.writeable
        assert column.ctypes.data % 8 == 0
        assert np.array_equal(column, block.columns[name])
    assert encode_block(again) == data


def test_columns_of_a_writable_buffer_are_read_only_too() -> None:
    column = decode_block(bytearray(encode_block(make_block()))).columns["bid"]  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="read-only"):
        column[0] = 1


INT64 = np.iinfo(np.int64)
EXTREMES = [INT64.min, INT64.max, 0, -1, 1, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, -(2**32), INT64.max, INT64.min]


@pytest.mark.parametrize("name", KIND_COLUMNS["quote"])
@pytest.mark.parametrize("cut", range(1, len(EXTREMES) + 1))
def test_any_values_come_out_exactly(name: str, cut: int) -> None:
    for values in (EXTREMES[:cut], EXTREMES[-cut:], EXTREMES[:cut][::-1]):
        columns = make_block(rows=cut).columns | {name: np.array(values, np.int64)}
        again = decode_block(encode_block(Block(0, "quote", USD_JPY, None, 0, columns, ())))
        assert {key: column.tolist() for key, column in again.columns.items()} == {
            key: column.tolist() for key, column in columns.items()
        }


@pytest.mark.parametrize(
    ("span", "width"),
    [(0, 0), (1, 1), (2**8 - 1, 1), (2**8, 2), (2**16 - 1, 2), (2**16, 4), (2**32 - 1, 4), (2**32, 8)],
)
def test_a_column_takes_the_bytes_that_its_values_need(span: int, width: int) -> None:
    rows = 8
    constant = {name: np.full(rows, 5, np.int64) for name in KIND_COLUMNS["trade"]}
    price = np.full(rows, -7, np.int64)
    price[3] += span
    least = len(encode_block(Block(0, "trade", USD_JPY, None, 0, constant, ())))
    size = len(encode_block(Block(0, "trade", USD_JPY, None, 0, constant | {"price": price}, ())))
    assert least + width * rows <= size <= least + width * rows + 8  # the header's numbers vary in length


def test_sorted_times_with_a_fixed_delay_take_four_bytes() -> None:
    rows = 1024
    ts = 1_700_000_000_000_000_000 + np.cumsum(np.arange(rows) * 1_000_000 % 1_000_000_007)
    columns = make_block(rows=rows).columns | {"ts_event": ts, "ts_init": ts + 2_000_000}
    fixed = {name: np.zeros(rows, np.int64) for name in columns}
    least = len(encode_block(Block(0, "quote", USD_JPY, None, 0, fixed, ())))
    size = len(
        encode_block(Block(0, "quote", USD_JPY, None, 0, fixed | {k: columns[k] for k in ("ts_event", "ts_init")}, ()))
    )
    assert 4 * rows < size - least < 4 * rows + 64


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


def test_cut_bytes_are_refused() -> None:
    data = encode_block(make_block(rows=40))
    for cut in range(len(data)):
        with pytest.raises(DecodeError):
            decode_block(data[:cut])
    with pytest.raises(DecodeError, match=f"{len(data) + 1} bytes, not {len(data)}"):
        decode_block(data + b"\x00")


def test_more_rows_than_a_block_may_have_are_refused() -> None:
    rows = ROWS_MAX + 1
    block = Block(0, "quote", USD_JPY, None, 0, {name: np.zeros(rows, np.int64) for name in KIND_COLUMNS["quote"]}, ())
    with pytest.raises(ValueError, match="1,048,577 rows"):
        encode_block(block)
    data = encode_block(make_block("quote", 0))
    # First row 40, then the number of rows, in four bytes more.
    header = data[8:].rstrip(b"\x00").replace(b"\x28\x00", b"\x28\xce\x00\x10\x00\x01")
    many = data[:4] + len(header).to_bytes(4, "little") + header + bytes(-len(header) % 8)
    with pytest.raises(DecodeError, match="block of 1048577 rows"):
        decode_block(many)


def test_no_byte_that_is_wrong_is_more_than_a_decode_error() -> None:
    data = encode_block(make_block())
    for place in range(len(data)):
        for value in (0, 1, 0x7F, 0x90, 0xC0, 0xCF, 0xFF):
            changed = bytearray(data)
            changed[place] = value
            try:
                block = decode_block(bytes(changed))
            except DecodeError:
                continue
            assert all(len(column) == block.row_count for column in block.columns.values())
