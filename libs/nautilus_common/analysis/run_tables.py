"""The Parquet tables of a run folder: NautilusTrader's report columns under schemas that do not depend on the rows.

Where NautilusTrader shows a Timestamp the column is `timestamp[ns, UTC]` under its name, and the int64 ns stand beside
it as `<name>_ns`; its integer time stamps stay int64.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

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
    """Fill the rows and arrays of `result` from the folder's tables. Missing price tables are taken as empty."""
    import pyarrow.parquet as pq

    for name, (attribute, columns) in _ROW_TABLES.items():
        setattr(result, attribute, _table_to_rows(pq.read_table(folder / f"{name}.parquet"), columns))
    equity = pq.read_table(folder / "equity.parquet")
    keys = [f"{a}/{c}" for a, c in zip(equity["account_id"].to_pylist(), equity["currency"].to_pylist(), strict=True)]
    result.equity = _split(keys, equity, ("equity", "balance", "unrealized"))
    if (folder / "prices.parquet").is_file():
        prices = pq.read_table(folder / "prices.parquet")
        result.prices = _split(prices["instrument_id"].to_pylist(), prices, ("open", "high", "low", "close"))


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
    return pa.table([pa.array(arrays[f.name], type=f.type) for f in wanted], schema=wanted)


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

    def column(name: str) -> Iterable[Any]:
        if name in labels:
            return [label for label, n in zip(labels[name], lengths, strict=True) for _ in range(n)]
        source = "ts" if name == "ts_ns" else name
        kind = np.int64 if source == "ts" else np.float64
        parts = [np.asarray(block.get(source, np.zeros(len(block["ts"]))), dtype=kind) for block in blocks]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=kind)

    arrays = []
    for field in wanted:
        values = pa.array(column(field.name), type=pa.int64() if field.name == "ts" else field.type)
        arrays.append(values.cast(field.type))
    return pa.table(arrays, schema=wanted)


def _split(keys: list[str], table: pa.Table, names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Arrays per key, in order of first appearance; the rows of a key stand together."""
    found: dict[str, dict[str, Any]] = {}
    columns = {"ts": table["ts_ns"].to_numpy(), **{name: table[name].to_numpy() for name in names}}
    labels = np.asarray(keys, dtype=object)
    for key in dict.fromkeys(keys):
        mine = labels == key
        found[key] = {name: values[mine] for name, values in columns.items()}
    return found
