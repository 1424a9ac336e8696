"""Market data from the bus to the catalogue: every row once, whatever dies, and what cannot be stored is kept apart."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from nautilus_common.bus.connection import connect
from nautilus_common.catalog.catalog import Catalog
from nautilus_common.catalog.columns import concat_columns, row_count
from nautilus_common.messages.blocks import KIND_COLUMNS, Block, encode_block
from nautilus_common.model.data import BarType

from services.recorder.config import RecorderConfig
from services.recorder.market import MarketLane, folder_instruments
from tests.integration.recorder.worlds import Servers, World, alive, eventually, recording

START = 1_700_000_000_000_000_000
BARS = "USD/JPY.SIM-1-SECOND-BID-EXTERNAL"


def quotes(instrument: Any, first: int, rows: int) -> Block:
    ts = START + np.arange(first, first + rows, dtype=np.int64) * 1_000
    bid = 150_000 + (np.arange(first, first + rows, dtype=np.int64) * 7) % 50
    size = np.full(rows, 1_000, dtype=np.int64)
    columns = dict(zip(KIND_COLUMNS["quote"], (ts, ts, bid, bid + 2, size, size), strict=True))
    return Block(0, "quote", instrument.id, None, first, columns, (int(ts[-1]), 0, 0, 0))


def trades(instrument: Any, first: int, rows: int) -> Block:
    ts = START + np.arange(first, first + rows, dtype=np.int64) * 1_000
    number = np.arange(first, first + rows, dtype=np.int64)
    columns = {"ts_event": ts - 5, "ts_init": ts, "price": 150_000 + number % 9, "size": number % 5 + 1}
    columns |= {"aggressor": number % 2 + 1, "trade_id": number + 1}
    return Block(1, "trade", instrument.id, None, first, columns, (int(ts[-1]), 0, 1, 0))


def bars(instrument: Any, first: int, rows: int) -> Block:
    ts = START + np.arange(first, first + rows, dtype=np.int64) * 10**9
    price = np.full(rows, 150_000, dtype=np.int64)
    values = (ts, ts, price, price + 3, price - 3, price + 1, np.full(rows, 7, dtype=np.int64))
    columns = dict(zip(KIND_COLUMNS["bar"], values, strict=True))
    return Block(2, "bar", instrument.id, BarType.from_str(BARS), first, columns, (int(ts[-1]), 0, 2, 0))


class Market:
    """The stream of market data of one environment."""

    def __init__(self, servers: Servers, env: str) -> None:
        self.servers = servers
        self.env = env

    async def __aenter__(self) -> Market:
        self.client = await connect(self.servers.nats.url, "test")
        await self.client.jetstream().add_stream(name=f"MD_{self.env}", subjects=[f"fleet.{self.env}.md.>"])
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.client.close()

    async def publish(self, payload: bytes, subject: str = "md.SIM.USD/JPY.quote") -> int:
        return (await self.client.jetstream().publish(f"fleet.{self.env}.{subject}", payload)).seq


def instruments_in(folder: Path, instrument: Any) -> Path:
    Catalog(folder).write_instrument(instrument)
    return folder


def stored(folder: Path, kind: str, instrument: Any, bar_type: str | None = None) -> dict[str, Any]:
    return concat_columns(list(Catalog(folder).read(kind, instrument.id, bar_type)))


def same(found: dict[str, Any], blocks: list[Block]) -> bool:
    expected = concat_columns([block.columns for block in blocks])
    return list(found) == list(expected) and all(np.array_equal(found[name], expected[name]) for name in expected)


async def test_every_row_once_however_often_the_recorder_is_killed(
    shared: Servers, tmp_path: Path, usdjpy: Any
) -> None:
    random = Random(5)
    instruments = instruments_in(tmp_path / "instruments", usdjpy)
    settings = {
        "FLEET_RECORDER_INSTRUMENTS": str(instruments),
        "FLEET_RECORDER_CATALOG": str(tmp_path / "recorded"),
        "FLEET_RECORDER_MARKET_ROWS": "150",
    }
    sent: dict[str, list[Block]] = {"quote": [], "trade": [], "bar": []}
    make = {"quote": quotes, "trade": trades, "bar": bars}
    async with World(shared, "md"), Market(shared, "md") as market:
        process = await recording(shared, "md", tmp_path, **settings)
        try:
            for number in range(60):
                kind = random.choice(list(make))
                first = sum(block.row_count for block in sent[kind])
                block = make[kind](usdjpy, first, random.choice((1, 5, 40)))
                sent[kind].append(block)
                last = await market.publish(encode_block(block), f"md.SIM.USD/JPY.{kind}")
                await asyncio.sleep(random.uniform(0, 0.01))
                if number % 20 == 15:
                    process.kill()
                    process.wait()
                    process = await recording(shared, "md", tmp_path, **settings)
            lane = MarketLane("md", market.client, tmp_path / "recorded" / "md", lambda _: usdjpy, RecorderConfig())
            process.terminate()
            assert process.wait(30) == 0
            lane.start()
            await eventually(lambda: lane._read_seq == last, "all is read")
            await lane.close(10)
            assert lane.status()["stream_seq"] == last, lane.status()
        finally:
            if alive(process):
                process.kill()
                process.wait()
    folder = tmp_path / "recorded" / "md"
    for kind, bar_type in (("quote", None), ("trade", None), ("bar", BARS)):
        assert same(stored(folder, kind, usdjpy, bar_type), sent[kind]), kind
    assert not Catalog(folder).check(gap_multiple=1e9)
    assert not list(folder.glob("refused/*"))


async def test_what_cannot_be_stored_is_kept_apart(
    shared: Servers, tmp_path: Path, usdjpy: Any, btcusdt_perp: Any
) -> None:
    good = quotes(usdjpy, 0, 10)
    late = quotes(usdjpy, 3, 4)  # before the end of what is there
    twice = quotes(usdjpy, 9, 3)  # its first row is the last that is there
    async with Market(shared, "bad") as market:
        lane = MarketLane("bad", market.client, tmp_path, {usdjpy.id: usdjpy}.get, RecorderConfig(market_rows=1))
        lane.start()
        refused = [b"rubbish", encode_block(quotes(btcusdt_perp, 0, 5)), encode_block(late)]
        await market.publish(encode_block(good))
        for payload in refused:
            await market.publish(payload)
        await market.publish(encode_block(twice))
        await eventually(lambda: lane.status()["stream_seq"] == 5, "all is done with")
        status = lane.status()
        assert (status["state"], status["refused"], status["duplicate_rows"]) == ("ready", 3, 1)
        await lane.close(5)
    assert row_count(stored(tmp_path, "quote", usdjpy)) == 12
    assert [path.read_bytes() for path in sorted(tmp_path.glob("refused/*"))] == refused


async def test_a_second_recorder_of_the_same_folder_is_refused(shared: Servers, tmp_path: Path, usdjpy: Any) -> None:
    async with Market(shared, "one") as market:
        first, second = (
            MarketLane("one", market.client, tmp_path, lambda _: usdjpy, RecorderConfig()) for _ in range(2)
        )
        first.start()
        await eventually(lambda: first.state == "ready", "the first has it")
        second.start()
        await eventually(lambda: second.state == "failed", "the second has not")
        assert "another recorder writes to" in second.detail
        await second.close(5)
        await first.close(5)


async def test_it_writes_after_some_time_too(shared: Servers, tmp_path: Path, usdjpy: Any) -> None:
    async with Market(shared, "slow") as market:
        await market.publish(encode_block(quotes(usdjpy, 0, 10)))
        lane = MarketLane("slow", market.client, tmp_path, lambda _: usdjpy, RecorderConfig(market_seconds=1))
        lane.start()
        await eventually(lambda: lane.status()["rows_written"] == 10, "written without being full")
        assert lane.status()["rows_waiting"] == 0
        await lane.close(5)


async def test_a_full_disk_is_waited_for(shared: Servers, tmp_path: Path, usdjpy: Any, monkeypatch: Any) -> None:
    async with Market(shared, "full") as market:
        lane = MarketLane("full", market.client, tmp_path, lambda _: usdjpy, RecorderConfig(market_rows=1))
        full = [True]
        write = lane._catalog.write

        def no_room(*arguments: Any, **named: Any) -> Any:
            if full[0]:
                raise OSError(28, "No space left on device")
            return write(*arguments, **named)

        monkeypatch.setattr(lane._catalog, "write", no_room)
        lane.start()
        await market.publish(encode_block(quotes(usdjpy, 0, 10)))
        await eventually(lambda: lane.state == "waiting", "waiting for room")
        assert "No space left" in lane.detail
        full[0] = False
        await eventually(lambda: lane.status()["rows_written"] == 10, "written when there is room")
        await lane.close(5)


def test_instruments_that_come_later_are_found(tmp_path: Path, usdjpy: Any, btcusdt_perp: Any) -> None:
    find = folder_instruments(tmp_path)
    assert find(usdjpy.id) is None
    instruments_in(tmp_path, usdjpy)
    assert find(usdjpy.id) == usdjpy
    assert find(btcusdt_perp.id) is None
    instruments_in(tmp_path, btcusdt_perp)
    assert find(btcusdt_perp.id) == btcusdt_perp
