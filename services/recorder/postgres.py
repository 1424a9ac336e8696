"""PostgreSQL: the event log with its chain, fills, account states, entries; orders and positions as they stand.

A batch and the place that it reaches are one transaction. The place is moved only if it stands where the batch began,
so of two recorders of one environment only one ever gets through, and none writes a row twice. Rows go in by COPY,
projections by one statement over arrays. The session works as `fleet_recorder`, which cannot change what was written;
only migrations and `drop` use the rights of whoever FLEET_POSTGRES names.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg
import msgspec

from services.recorder.migrations import MigrationError, migrate
from services.recorder.sink import Census, SinkAway, SinkMoved, SinkRefused
from services.recorder.state import Batch, OrderState, Place, PositionState, Row

CONNECT_SECONDS = 5.0
COMMAND_SECONDS = 60.0
CONNECTIONS_MAX = 4

#: Columns of the append-only tables after `env`, in the order of the engine's rows.
COLUMNS: dict[str, tuple[str, ...]] = {
    "event_log": ("stream_seq", "index", "rank", "seq", "ts", "channel", "type", "payload", "prev_hash", "hash"),
    "fills": (
        "stream_seq",
        "index",
        "rank",
        "seq",
        "ts_event",
        "ts_init",
        "trader_id",
        "strategy_id",
        "instrument_id",
        "client_order_id",
        "venue_order_id",
        "account_id",
        "trade_id",
        "position_id",
        "order_side",
        "order_type",
        "last_qty",
        "last_px",
        "currency",
        "commission",
        "commission_currency",
        "liquidity_side",
        "reconciliation",
    ),
    "account_states": (
        "stream_seq",
        "index",
        "rank",
        "seq",
        "ts_event",
        "account_id",
        "account_type",
        "base_currency",
        "reported",
        "balances",
        "margins",
    ),
    "entries": ("stream_seq", "roles", "process", "epoch", "number", "ts", "counts", "records", "inputs"),
    "rejected": ("stream_seq", "index", "subject", "kind", "reason", "rank", "seq", "size", "payload"),
}
APPENDED = tuple(COLUMNS)
PROJECTED = ("orders", "positions")
TABLES = (*APPENDED, *PROJECTED, "recorder_position")

_TYPES = {
    "first_seq": "bigint",
    "last_seq": "bigint",
    "fills": "bigint",
    "ts_init": "bigint",
    "ts_last": "bigint",
    "ts_opened": "bigint",
    "ts_closed": "bigint",
    "quantity": "numeric",
    "filled": "numeric",
    "notional": "numeric",
    "price": "numeric",
    "trigger_price": "numeric",
    "said_quantity": "numeric",
    "avg_px_open": "numeric",
    "realized_pnl": "numeric",
    "is_open": "boolean",
}
_State = TypeVar("_State", OrderState, PositionState)
_Answer = TypeVar("_Answer")

#: Faults that pass: the server is away, starting, stopping, full of connections, or its disk is.
_PASSING = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.exceptions.TransactionRollbackError,
    asyncpg.exceptions.InternalClientError,
    asyncpg.exceptions.PostgresSystemError,
)


class PostgresSink:
    """`Sink` of what is kept for good."""

    name = "postgres"

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()  # the lanes of several environments share the pool
        self._upserts = {
            "orders": _upsert("orders", OrderState.__struct_fields__, "client_order_id"),
            "positions": _upsert("positions", PositionState.__struct_fields__, "position_id"),
        }

    async def open(self) -> None:
        await self._guarded(self._open)

    async def _open(self) -> None:
        async with self._opening:
            if self._pool is None:
                self._pool = await self._connect()

    async def _connect(self) -> asyncpg.Pool:
        connection = await asyncpg.connect(self._dsn, timeout=CONNECT_SECONDS, command_timeout=COMMAND_SECONDS)
        try:
            await migrate(connection)
        finally:
            await connection.close(timeout=CONNECT_SECONDS)
        return await asyncpg.create_pool(
            self._dsn,
            min_size=0,  # with more asyncpg keeps trying in the background, and tells of it in its own way
            max_size=CONNECTIONS_MAX,
            timeout=CONNECT_SECONDS,
            command_timeout=COMMAND_SECONDS,
            setup=_work_as_recorder,
        )

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                await asyncio.wait_for(pool.close(), CONNECT_SECONDS)
            except (*_PASSING, asyncpg.PostgresError):
                pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A connection that works as `fleet_recorder`, for reports and checks."""
        await self.open()
        assert self._pool is not None
        async with self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
            yield connection

    async def load(self, env: str) -> Place | None:
        async def ask() -> Place | None:
            async with self.connection() as connection:
                return await load_place(connection, env)

        return await self._guarded(ask)

    async def find(
        self, env: str, orders: list[str], positions: list[str]
    ) -> tuple[list[OrderState], list[PositionState]]:
        async def ask() -> tuple[list[OrderState], list[PositionState]]:
            async with self.connection() as connection:
                return (
                    await _states(connection, env, OrderState, "orders", "client_order_id", orders),
                    await _states(connection, env, PositionState, "positions", "position_id", positions),
                )

        return await self._guarded(ask)

    async def commit(self, env: str, batch: Batch) -> None:
        async def write() -> None:
            async with self.connection() as connection, connection.transaction():
                await self._move(connection, env, batch)
                await self._append(connection, env, batch)
                await self._project(connection, "orders", env, batch.orders.values())
                await self._project(connection, "positions", env, batch.positions.values())

        await self._guarded(write)

    async def drop(self, env: str) -> None:
        """Needs the rights of the owner: the recorder's own role cannot remove what it has written."""

        async def remove() -> None:
            async with self.connection() as connection:
                await connection.execute("RESET ROLE")
                async with connection.transaction():
                    # The place goes first: a recorder that runs meanwhile waits for this lock, and then begins anew.
                    for table in reversed(TABLES):
                        await connection.execute(f"DELETE FROM fleet.{table} WHERE env = $1", env)

        await self._guarded(remove)

    async def envs(self) -> list[str]:
        async def ask() -> list[str]:
            async with self.connection() as connection:
                rows = await connection.fetch("SELECT env FROM fleet.recorder_position ORDER BY env")
                return [row["env"] for row in rows]

        return await self._guarded(ask)

    async def census(self, env: str) -> Census | None:
        async def ask() -> Census | None:
            async with self.connection() as connection, connection.transaction(isolation="repeatable_read"):
                place = await load_place(connection, env)
                return None if place is None else await _count(connection, env, place)

        return await self._guarded(ask)

    async def _guarded(self, work: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Do `work`, and tell a server that is away from one that refuses."""
        try:
            return await work()
        except MigrationError as error:
            raise SinkRefused(f"PostgreSQL: {error}") from error
        except _PASSING as error:
            await self._renew_pool(error)
            raise SinkAway(f"PostgreSQL: {str(error) or type(error).__name__}") from error
        except asyncpg.PostgresError as error:
            raise SinkRefused(f"PostgreSQL refuses: {type(error).__name__}: {error}") from error

    async def _renew_pool(self, error: BaseException) -> None:
        """Connections to a server that went away may look alive; none of them is used again."""
        pool, self._pool = self._pool, None
        if pool is not None and not isinstance(error, asyncpg.exceptions.TransactionRollbackError):
            pool.terminate()
        elif pool is not None:
            self._pool = pool

    async def _move(self, connection: Any, env: str, batch: Batch) -> None:
        """Move the place; SinkMoved if it is not where the batch begins."""
        after = batch.after
        values = [
            env,
            after.stream_seq,
            after.created,
            after.head,
            after.records,
            after.entries,
            after.rejected,
            _json(after.ranks),
            _json(after.roles),
            _json(after.unread),
        ]
        if batch.before.stream_seq == 0:
            moved = await connection.execute(_FIRST_PLACE, *values)
        else:
            moved = await connection.execute(_NEXT_PLACE, *values, batch.before.stream_seq, batch.before.head)
        if moved.split()[-1] != "1":
            raise SinkMoved(f"PostgreSQL: the place of {env} is not {batch.before.stream_seq} any more")

    async def _append(self, connection: Any, env: str, batch: Batch) -> None:
        for table, rows in (
            ("event_log", batch.events),
            ("fills", batch.fills),
            ("account_states", batch.account_states),
            ("entries", batch.entries),
            ("rejected", batch.rejected),
        ):
            if rows:
                await connection.copy_records_to_table(
                    table, schema_name="fleet", columns=("env", *COLUMNS[table]), records=_with_env(env, rows)
                )

    async def _project(self, connection: Any, table: str, env: str, states: Iterable[_State]) -> None:
        rows = [msgspec.structs.astuple(state) for state in states]
        if rows:
            await connection.execute(self._upserts[table], env, *map(list, zip(*rows, strict=True)))


_FIRST_PLACE = """
INSERT INTO fleet.recorder_position (env, stream_seq, created, head, records, entries, rejected, ranks, roles, unread)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (env) DO NOTHING
"""
_NEXT_PLACE = """
UPDATE fleet.recorder_position SET stream_seq = $2, created = $3, head = $4, records = $5, entries = $6, rejected = $7,
    ranks = $8, roles = $9, unread = $10, updated_at = now()
WHERE env = $1 AND stream_seq = $11 AND head = $12
"""


async def load_place(connection: Any, env: str) -> Place | None:
    """The recorder's place in `env`, from its table."""
    row = await connection.fetchrow("SELECT * FROM fleet.recorder_position WHERE env = $1", env)
    if row is None:
        return None
    return Place(
        stream_seq=row["stream_seq"],
        created=row["created"],
        head=row["head"],
        records=row["records"],
        entries=row["entries"],
        rejected=row["rejected"],
        ranks=msgspec.json.decode(row["ranks"], type=dict[int, int]),
        roles=msgspec.json.decode(row["roles"], type=dict[int, list[str]]),
        unread=msgspec.json.decode(row["unread"], type=dict[int, list[int]]),
    )


async def _count(connection: Any, env: str, place: Place) -> Census:
    """Counted in the tables, not taken from the place, so that the two are held against each other as well."""
    counts = {
        table: await connection.fetchval(f"SELECT count(*) FROM fleet.{table} WHERE env = $1", env)
        for table in (*APPENDED, *PROJECTED)
    }
    # A sum of hashes, so that no order and no memory is needed.
    sums = [
        await connection.fetchval(
            f"SELECT coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM fleet.{table} AS t WHERE env = $1",
            env,
        )
        for table in ("orders", "positions", "account_states")
    ]
    return Census(
        stream_seq=place.stream_seq,
        head=place.head.hex(),
        records=counts["event_log"],
        entries=counts["entries"],
        rejected=counts["rejected"],
        fills=counts["fills"],
        account_states=counts["account_states"],
        orders=counts["orders"],
        positions=counts["positions"],
        content=":".join(map(str, sums)),
    )


async def _states(connection: Any, env: str, kind: type[_State], table: str, key: str, keys: list[str]) -> list[_State]:
    if not keys:
        return []
    columns = ", ".join(kind.__struct_fields__)
    query = f"SELECT {columns} FROM fleet.{table} WHERE env = $1 AND {key} = ANY($2::text[])"
    return [kind(*row.values()) for row in await connection.fetch(query, env, keys)]


async def _work_as_recorder(connection: Any) -> None:
    await connection.execute("SET ROLE fleet_recorder")


def _upsert(table: str, fields: Sequence[str], key: str) -> str:
    arrays = ", ".join(f"${number}::{_TYPES.get(field, 'text')}[]" for number, field in enumerate(fields, 2))
    changes = ", ".join(f"{field} = excluded.{field}" for field in fields if field not in (key, "first_seq"))
    columns = ", ".join(fields)
    return (
        f"INSERT INTO fleet.{table} (env, {columns}) SELECT $1, * FROM unnest({arrays}) "
        f"ON CONFLICT (env, {key}) DO UPDATE SET {changes}"
    )


def _with_env(env: str, rows: list[Row]) -> list[Row]:
    return [(env, *row) for row in rows]


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
