"""The Parquet tables of a run folder: NautilusTrader's report columns under schemas that do not depend on the rows.

Where NautilusTrader shows a Timestamp the column is `timestamp[ns, UTC]` under its name, and the int64 ns stand beside
it as `<name>_ns`; its integer time stamps stay int64.
"""

from __future__ import annotations

from collections.abc import Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from .result import Row, RunResult

STRING, INT, FLOAT, BOOL, STRINGS, TIME = "string", "int", "float", "bool", "strings", "time"


def _columns(spec: str) -> dict[str, str]:
    pairs = (part.partition(":") for part in spec.split())
    return {name: kind or STRING for name, _, kind in pairs}


ORDERS = _columns(
    "client_order_id trader_id strategy_id instrument_id venue_order_id position_id account_id last_trade_id type side "
    "quantity time_in_force is_reduce_only:bool is_quote_quantity:bool is_post_only:bool filled_qty liquidity_side "
    "price trigger_price trigger_type activation_price limit_offset trailing_offset trailing_offset_type display_qty "
    "expire_time_ns:int avg_px:float slippage:float commissions:strings emulation_trigger trigger_instrument_id status "
    "contingency_type order_list_id linked_order_ids:strings parent_order_id exec_algorithm_id exec_algorithm_params "
    "exec_spawn_id tags:strings init_id ts_init:int ts_last:int"
)
FILLS = _columns(
    "client_order_id trader_id strategy_id instrument_id venue_order_id account_id trade_id position_id order_side "
    "order_type last_qty last_px currency commission liquidity_side event_id ts_event:time ts_init:time info "
    "reconciliation:bool"
)
POSITIONS = _columns(
    "position_id trader_id strategy_id instrument_id account_id opening_order_id closing_order_id entry side quantity "
    "peak_qty ts_init:int ts_opened:time ts_last:int ts_closed:time duration_ns:int avg_px_open:float "
    "avg_px_close:float commissions:strings realized_return:float realized_pnl is_snapshot:bool"
)
ACCOUNT = _columns(
    "ts:time total locked free currency account_id account_type base_currency margins reported:bool info"
)
EQUITY = _columns("account_id currency ts:time equity:float balance:float unrealized:float")
PRICES = _columns("instrument_id ts:time open:float high:float low:float close:float")

_ROW_TABLES = {
    "orders": ("orders", ORDERS),
    "fills": ("fills", FILLS),
    "positions": ("positions", POSITIONS),
    "account": ("account_states", ACCOUNT),
}


def write_tables(result: RunResult, folder: Path) -> None:
    """Write all Parquet tables of the run. Raises ValueError for a row with a column that its schema does not have."""
    import pyarrow.parquet as pq

    for name, (attribute, columns) in _ROW_TABLES.items():
        table = rows_to_table(name, getattr(result, attribute), columns)
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
    pq.write_table(_equity_table(result), folder / "equity.parquet", compression="zstd")
    pq.write_table(_prices_table(result), folder / "prices.parquet", compression="zstd")


def read_tables(result: RunResult, folder: Path) -> None:
    """Fill the rows and arrays of `result` from the folder's tables. A missing price table is taken as empty."""
    for name, (attribute, columns) in _ROW_TABLES.items():
        setattr(result, attribute, _table_to_rows(_read(folder / f"{name}.parquet"), columns))
    equity = _read(folder / "equity.parquet")
    keys = [f"{a}/{c}" for a, c in zip(equity["account_id"].to_pylist(), equity["currency"].to_pylist(), strict=True)]
    result.equity = _split(keys, equity, ("equity", "balance", "unrealized"))
    if (folder / "prices.parquet").is_file():
        prices = _read(folder / "prices.parquet")
        result.prices = _split(prices["instrument_id"].to_pylist(), prices, ("open", "high", "low", "close"))


def _read(path: Path) -> pa.Table:
    """The file's table. `ParquetFile` and not `read_table`, whose datasets import pandas where it is installed."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return file.read()


def schema(columns: dict[str, str]) -> pa.Schema:
    """The Arrow schema of a table's columns."""
    import pyarrow as pa

    types = {
        STRING: pa.string(), INT: pa.int64(), FLOAT: pa.float64(), BOOL: pa.bool_(), STRINGS: pa.list_(pa.string()),
        TIME: pa.timestamp("ns", tz="UTC"),
    }  # fmt: skip
    fields = []
    for name, kind in columns.items():
        fields.append(pa.field(name, types[kind]))
        if kind == TIME:
            fields.append(pa.field(f"{name}_ns", pa.int64()))
    return pa.schema(fields)


def rows_to_table(name: str, rows: list[Row], columns: dict[str, str]) -> pa.Table:
    """Rows as an Arrow table; absent columns are null, containers in text columns become JSON."""
    import pyarrow as pa

    for index, row in enumerate(rows):
        for key in row:
            if key not in columns:
                raise ValueError(f"{name} row {index}: unknown column {key!r}; the table has {', '.join(columns)}")
    arrays: dict[str, list[Any]] = {}
    for key, kind in columns.items():
        convert = _CONVERT[kind]
        values = [None if row.get(key) is None else convert(row[key]) for row in rows]
        arrays[key] = values
        if kind == TIME:
            arrays[f"{key}_ns"] = values
    wanted = schema(columns)
    return pa.Table.from_arrays([arrow_column(arrays[f.name], f.type) for f in wanted], schema=wanted)


def arrow_column(values: list[Any], kind: pa.DataType) -> pa.Array:
    """An Arrow array from Python values of the column's kind, None being null.

    Built from buffers: `pa.array` of a list imports pandas where it is installed, which takes a second.
    """
    import pyarrow as pa

    valid = _bitmap([value is not None for value in values])
    if pa.types.is_string(kind):
        texts = [b"" if value is None else value.encode("utf-8") for value in values]
        return pa.Array.from_buffers(kind, len(values), [valid, _offsets(texts), pa.py_buffer(b"".join(texts))])
    if pa.types.is_list(kind):
        lists = [value or [] for value in values]
        items = arrow_column([item for value in lists for item in value], kind.value_type)
        return pa.Array.from_buffers(kind, len(values), [valid, _offsets(lists)], children=[items])
    if pa.types.is_boolean(kind):
        return pa.Array.from_buffers(kind, len(values), [valid, _bitmap([bool(value) for value in values])])
    number = np.float64 if pa.types.is_floating(kind) else np.int64
    data = np.asarray([0 if value is None else value for value in values], dtype=number)
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(data)])


def _bitmap(flags: list[bool]) -> pa.Buffer:
    import pyarrow as pa

    return pa.py_buffer(np.packbits(np.asarray(flags, dtype=np.bool_), bitorder="little").tobytes())


def _offsets(parts: Sequence[Sized]) -> pa.Buffer:
    """Where each part begins, and the end of the last: int32, as Arrow's strings and lists want."""
    import pyarrow as pa

    ends = np.cumsum([0, *(len(part) for part in parts)], dtype=np.int64)
    if int(ends[-1]) >= 2**31:
        raise ValueError("a column of more than 2 GiB of text does not fit one Arrow array")
    return pa.py_buffer(ends.astype(np.int32).tobytes())


def _text(value: object) -> str:
    if isinstance(value, (dict, list, tuple)):
        return msgspec.json.encode(value, order="sorted").decode()
    return str(value)


_CONVERT: dict[str, Any] = {
    STRING: _text,
    INT: int,
    FLOAT: float,
    BOOL: bool,
    STRINGS: lambda value: [str(v) for v in ([value] if isinstance(value, str) else value)],
    TIME: int,
}


def _table_to_rows(table: pa.Table, columns: dict[str, str]) -> list[Row]:
    """Back to rows with int time stamps; a column that is null throughout was not written and stays away."""
    names = {name: f"{name}_ns" if kind == TIME else name for name, kind in columns.items()}
    loaded = {name: table[source].to_pylist() for name, source in names.items()}
    used = [name for name, values in loaded.items() if any(v is not None for v in values)]
    return [{name: loaded[name][i] for name in used} for i in range(table.num_rows)]


def _equity_table(result: RunResult) -> pa.Table:
    keys = [(key.rpartition("/")[0], key.rpartition("/")[2]) for key in result.equity]
    labels = {"account_id": [key[0] for key in keys], "currency": [key[1] for key in keys]}
    return _array_table(labels, list(result.equity.values()), EQUITY)


def _prices_table(result: RunResult) -> pa.Table:
    return _array_table({"instrument_id": list(result.prices)}, list(result.prices.values()), PRICES)


def _array_table(labels: dict[str, list[str]], blocks: list[dict[str, Any]], columns: dict[str, str]) -> pa.Table:
    import pyarrow as pa

    wanted = schema(columns)
    lengths = [len(block["ts"]) for block in blocks]

    def column(field: pa.Field) -> pa.Array:
        name = field.name
        if name in labels:
            names = [label for label, n in zip(labels[name], lengths, strict=True) for _ in range(n)]
            return arrow_column(names, field.type)
        source = "ts" if name == "ts_ns" else name
        kind = np.int64 if source == "ts" else np.float64
        parts = [np.asarray(block.get(source, np.zeros(len(block["ts"]))), dtype=kind) for block in blocks]
        data = np.concatenate(parts) if parts else np.zeros(0, dtype=kind)
        return pa.Array.from_buffers(field.type, len(data), [None, pa.py_buffer(data)])

    return pa.Table.from_arrays([column(field) for field in wanted], schema=wanted)


def _split(keys: list[str], table: pa.Table, names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Arrays per key, in order of first appearance; the rows of a key stand together."""
    found: dict[str, dict[str, Any]] = {}
    columns = {"ts": _numbers(table, "ts_ns", np.int64), **{name: _numbers(table, name, np.float64) for name in names}}
    labels = np.asarray(keys, dtype=object)
    for key in dict.fromkeys(keys):
        mine = labels == key
        found[key] = {name: values[mine] for name, values in columns.items()}
    return found


def _numbers(table: pa.Table, name: str, kind: type) -> NDArray[Any]:
    """A column of numbers without nulls; read from its buffers, as `to_numpy` of a column imports pandas."""
    parts = []
    for chunk in table[name].chunks:
        values: NDArray[Any] = np.frombuffer(chunk.buffers()[1], dtype=kind)
        parts.append(values[chunk.offset : chunk.offset + len(chunk)])
    return np.concatenate(parts) if parts else np.zeros(0, dtype=kind)
