"""Valkey or Redis: how everything stands now, for queries and dashboards.

    fleet:<env>:order:<client order id>   JSON of an `OrderState`; decimals are texts
    fleet:<env>:orders:open               set of the orders that may still be filled
    fleet:<env>:orders:closed             sorted set of the others, by their last stream sequence; the newest are kept
    fleet:<env>:positions                 hash: position id -> JSON of a `PositionState`
    fleet:<env>:positions:closed          sorted set of the flat ones, likewise
    fleet:<env>:balances                  hash: account id -> JSON of an `AccountNow`
    fleet:<env>:position                  hash: the recorder's own place, `stream_seq` and `place` (JSON)

A batch and the place that it reaches are one MULTI, guarded by a WATCH of the place: what is read there is the state
after message `stream_seq` of the stream, exactly. Should the server lose its data, the place is lost with them, and the
recorder begins at the first message again.
"""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any

import msgspec
import redis.asyncio as redis
from redis import exceptions as faults

from services.recorder.sink import Census, SinkAway, SinkMoved, SinkRefused
from services.recorder.state import Batch, OrderState, Place, PositionState

CLOSED_KEPT = 100_000
"""Closed orders, and flat positions, that stay readable; older ones are in PostgreSQL."""

SECONDS = 5.0
SCAN_KEYS = 1_000

_encode = msgspec.json.Encoder().encode
_decode_order = msgspec.json.Decoder(OrderState).decode
_decode_position = msgspec.json.Decoder(PositionState).decode
_decode_place = msgspec.json.Decoder(Place).decode

#: Faults that pass: away, starting, out of memory, or a disk that is full (it then refuses to write).
_PASSING = (
    OSError,
    asyncio.TimeoutError,
    faults.ConnectionError,
    faults.TimeoutError,
    faults.BusyLoadingError,
    faults.OutOfMemoryError,
    faults.ReadOnlyError,
)


class HotSink:
    """`Sink` of what is kept at hand."""

    name = "valkey"

    def __init__(self, url: str, *, closed_kept: int = CLOSED_KEPT) -> None:
        self._url = url
        self._closed_kept = closed_kept
        self._client: Any = None

    async def open(self) -> None:
        if self._client is None:
            self._client = redis.Redis.from_url(self._url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS)
        await self._guarded(self._client.ping())

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def load(self, env: str) -> Place | None:
        await self.open()
        data = await self._guarded(self._client.hget(place_key(env), "place"))
        return None if data is None else _decode_place(data)

    async def find(
        self, env: str, orders: list[str], positions: list[str]
    ) -> tuple[list[OrderState], list[PositionState]]:
        await self.open()
        found_orders = found_positions = []
        if orders:
            found_orders = await self._guarded(self._client.mget([order_key(env, key) for key in orders]))
        if positions:
            found_positions = await self._guarded(self._client.hmget(positions_key(env), positions))
        return (
            [_decode_order(data) for data in found_orders if data is not None],
            [_decode_position(data) for data in found_positions if data is not None],
        )

    async def commit(self, env: str, batch: Batch) -> None:
        await self.open()
        await self._guarded(self._commit(env, batch))

    async def _commit(self, env: str, batch: Batch) -> None:
        async with self._client.pipeline(transaction=True) as pipe:
            await pipe.watch(place_key(env))
            stands = await pipe.hget(place_key(env), "stream_seq")
            if int(stands or 0) != batch.before.stream_seq:
                raise SinkMoved(f"Valkey: the place of {env} is {int(stands or 0)}, not {batch.before.stream_seq}")
            closed = {key: order.last_seq for key, order in batch.orders.items() if not order.is_open}
            flat = {key: position.last_seq for key, position in batch.positions.items() if not position.quantity}
            old_orders = await self._oldest(pipe, closed_key(env), closed)
            old_positions = await self._oldest(pipe, flat_key(env), flat)
            pipe.multi()
            self._write_orders(pipe, env, batch, closed, old_orders)
            self._write_positions(pipe, env, batch, flat, old_positions)
            if batch.accounts:
                pipe.hset(balances_key(env), mapping={key: _encode(value) for key, value in batch.accounts.items()})
            after = batch.after
            pipe.hset(place_key(env), mapping={"stream_seq": after.stream_seq, "place": _encode(after)})
            await pipe.execute()

    async def _oldest(self, pipe: Any, key: str, more: dict[str, int]) -> list[str]:
        """Those of a sorted set that have to go when `more` come."""
        surplus = await pipe.zcard(key) + len(more) - self._closed_kept if more else 0
        found = await pipe.zrange(key, 0, surplus - 1) if surplus > 0 else []
        return [name.decode() for name in found]

    def _write_positions(self, pipe: Any, env: str, batch: Batch, flat: dict[str, int], oldest: list[str]) -> None:
        if not batch.positions:
            return
        pipe.hset(positions_key(env), mapping={key: _encode(value) for key, value in batch.positions.items()})
        held = [key for key in batch.positions if key not in flat]
        if held:
            pipe.zrem(flat_key(env), *held)
        if flat:
            pipe.zadd(flat_key(env), flat)
        gone = [key for key in oldest if key not in batch.positions]
        if gone:
            pipe.zrem(flat_key(env), *gone)
            pipe.hdel(positions_key(env), *gone)

    def _write_orders(self, pipe: Any, env: str, batch: Batch, closed: dict[str, int], oldest: list[str]) -> None:
        opened = [key for key in batch.orders if key not in closed]
        if batch.orders:
            pipe.mset({order_key(env, key): _encode(order) for key, order in batch.orders.items()})
        if opened:
            pipe.sadd(open_key(env), *opened)
            pipe.zrem(closed_key(env), *opened)  # a late fill opens a canceled order again
        if closed:
            pipe.srem(open_key(env), *closed)
            pipe.zadd(closed_key(env), closed)
        gone = [key for key in oldest if key not in batch.orders]
        if gone:
            pipe.zrem(closed_key(env), *gone)
            pipe.delete(*[order_key(env, key) for key in gone])

    async def drop(self, env: str) -> None:
        await self.open()
        await self._guarded(self._drop(env))

    async def _drop(self, env: str) -> None:
        # The place goes first: a recorder that runs meanwhile then finds that it has moved, and begins anew.
        await self._client.delete(place_key(env))
        keys: list[bytes] = []
        async for key in self._client.scan_iter(match=f"fleet:{env}:*", count=SCAN_KEYS):
            keys.append(key)
            if len(keys) >= SCAN_KEYS:
                await self._client.unlink(*keys)
                keys.clear()
        if keys:
            await self._client.unlink(*keys)

    async def envs(self) -> list[str]:
        await self.open()
        return sorted(await self._guarded(self._find_places()))

    async def _find_places(self) -> list[str]:
        keys = [key.decode().split(":") async for key in self._client.scan_iter(match=place_key("*"), count=SCAN_KEYS)]
        return [parts[1] for parts in keys if len(parts) == 3]  # four: an order whose id is `position`

    async def census(self, env: str) -> Census | None:
        place = await self.load(env)
        return None if place is None else await self._guarded(self._count(env, place))

    async def _count(self, env: str, place: Place) -> Census:
        orders, total, keys = 0, 0, []
        async for key in self._client.scan_iter(match=f"fleet:{env}:order:*", count=SCAN_KEYS):
            keys.append(key)
            if len(keys) >= SCAN_KEYS:
                orders, total = orders + len(keys), total + _hash_of(keys, await self._client.mget(keys))
                keys = []
        orders, total = orders + len(keys), total + _hash_of(keys, await self._client.mget(keys) if keys else [])
        positions = await self._client.hgetall(positions_key(env))
        balances = await self._client.hgetall(balances_key(env))
        opened = await self._client.smembers(open_key(env))
        sums = [total, *(_hash_of(list(found), list(found.values())) for found in (positions, balances))]
        sums.append(_hash_of(list(opened), list(opened)))
        return Census(
            stream_seq=place.stream_seq,
            head=place.head.hex(),
            records=place.records,
            entries=place.entries,
            rejected=place.rejected,
            orders=orders,
            positions=len(positions),
            content=":".join(map(str, sums)),
        )

    async def _guarded(self, work: Any) -> Any:
        """Await `work`, and tell a server that is away from one that refuses."""
        try:
            return await work
        except faults.WatchError as error:
            raise SinkMoved(f"Valkey: somebody else has moved the place: {error}") from error
        except (faults.AuthenticationError, faults.AuthorizationError) as error:
            raise SinkRefused(f"Valkey: {error}") from error
        except _PASSING as error:
            raise SinkAway(f"Valkey: {str(error) or type(error).__name__}") from error
        except faults.ResponseError as error:
            if str(error).startswith(("MISCONF", "OOM", "LOADING", "READONLY", "MASTERDOWN")):
                raise SinkAway(f"Valkey: {error}") from error
            raise SinkRefused(f"Valkey refuses: {error}") from error


def _hash_of(keys: list[bytes], values: list[bytes | None]) -> int:
    """A sum of hashes: the order in which keys are found does not matter."""
    pairs = zip(keys, values, strict=True)
    return sum(int.from_bytes(sha256(key + b"\0" + (value or b"")).digest()[:8]) for key, value in pairs)


def order_key(env: str, client_order_id: str) -> str:
    return f"fleet:{env}:order:{client_order_id}"


def open_key(env: str) -> str:
    return f"fleet:{env}:orders:open"


def closed_key(env: str) -> str:
    return f"fleet:{env}:orders:closed"


def positions_key(env: str) -> str:
    return f"fleet:{env}:positions"


def flat_key(env: str) -> str:
    return f"fleet:{env}:positions:closed"


def balances_key(env: str) -> str:
    return f"fleet:{env}:balances"


def place_key(env: str) -> str:
    return f"fleet:{env}:position"
