"""Streams as data: made once, left alone, changed where that is safe, and otherwise an error that names the setting."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from nautilus_common.bus.api import ask_jetstream
from nautilus_common.bus.connection import Connection, connect
from nautilus_common.bus.errors import LayoutError, ServerUnfit, StreamConflict
from nautilus_common.bus.fitness import check_servers
from nautilus_common.bus.layout import apply_streams, find_changes, layout_folder, load_layout, remove_streams
from nautilus_common.servers import NatsServer

from tests.integration.bus.conftest import ConfiguredServer

Pair = tuple[Connection, Connection]
Servers = tuple[ConfiguredServer, ConfiguredServer]


@pytest.fixture
async def pair(servers: Servers) -> AsyncIterator[Pair]:
    control, data = [await connect(server.url_of("fleet"), "test") for server in servers]
    yield control, data
    await control.close()
    await data.close()


async def config_of(connection: Connection, stream: str) -> dict[str, Any]:
    found = await ask_jetstream(connection, f"STREAM.INFO.{stream}")
    assert found is not None
    config: dict[str, Any] = found["config"]
    return config


async def test_streams_are_made_once_and_then_left_alone(pair: Pair) -> None:
    first = await apply_streams(*pair, "r-once")
    second = await apply_streams(*pair, "r-once")
    assert [(c.stream, c.server, c.action) for c in first] == [
        ("CTL_r-once", "control", "created"),
        ("MD_r-once", "data", "created"),
    ]
    assert [c.action for c in second] == ["unchanged", "unchanged"]
    control = await config_of(pair[0], "CTL_r-once")
    assert (control["discard"], control["storage"], control["max_age"]) == ("new", "file", 0)
    assert control["duplicate_window"] == 100_000_000, "nothing may depend on it"
    assert (await config_of(pair[1], "MD_r-once"))["discard"] == "old"
    assert [c.action for c in await remove_streams(*pair, "r-once")] == ["removed", "removed"]
    assert [c.action for c in await remove_streams(*pair, "r-once")] == ["absent", "absent"]


async def test_two_at_once_make_one(pair: Pair) -> None:
    results = await asyncio.gather(*(apply_streams(*pair, "r-race") for _ in range(4)))
    assert all(c.action in ("created", "unchanged") for changes in results for c in changes)
    assert [c.action for c in await find_changes(*pair, "r-race")] == ["unchanged", "unchanged"]
    await remove_streams(*pair, "r-race")


async def test_the_live_log_is_kept_longer_and_cannot_be_edited(pair: Pair) -> None:
    await apply_streams(*pair, "live")
    live = await config_of(pair[0], "CTL_live")
    assert live["deny_delete"] is True
    assert live["max_bytes"] > load_layout().of("r-1")[0].config("r-1")["max_bytes"]
    await pair[0].request("fleet.live.log.portfolio.A", b"1", timeout=2)
    with pytest.raises(StreamConflict, match="message delete not permitted"):
        await ask_jetstream(pair[0], "STREAM.MSG.DELETE.CTL_live", {"seq": 1})
    await remove_streams(*pair, "live")


@pytest.mark.parametrize(
    ("server", "name", "drift", "field"),
    [
        (0, "CTL_r-drift", {"duplicate_window": 120_000_000_000}, "duplicate_window"),
        (0, "CTL_r-drift", {"allow_atomic": True}, "allow_atomic"),
        (0, "CTL_r-drift", {"discard": "old"}, "discard"),
        (0, "CTL_r-drift", {"max_age": 60_000_000_000}, "max_age"),
        (0, "CTL_r-drift", {"max_bytes": 1000}, "max_bytes"),
        (1, "MD_r-drift", {"subjects": ["fleet.r-drift.md.OLD.>"]}, "subjects"),
    ],
)
async def test_what_may_be_changed_is_changed(
    pair: Pair, server: int, name: str, drift: dict[str, Any], field: str
) -> None:
    await apply_streams(*pair, "r-drift")
    wanted = await config_of(pair[server], name)
    await ask_jetstream(pair[server], f"STREAM.UPDATE.{name}", {**wanted, **drift})
    assert [c.action for c in await find_changes(*pair, "r-drift")].count("updated") == 1
    (change,) = [c for c in await apply_streams(*pair, "r-drift") if c.action == "updated"]
    assert change.stream == name
    assert change.fields == {field: (drift[field], wanted.get(field, False))}
    assert await config_of(pair[server], name) == wanted
    await remove_streams(*pair, "r-drift")


@pytest.mark.parametrize(
    ("drift", "told"),
    [
        ({"storage": "memory", "max_bytes": 1_000_000}, "storage is 'memory', wanted 'file'"),
        ({"max_consumers": 3}, "max_consumers is 3, wanted 256"),
        ({"persist_mode": "async"}, "persist_mode is 'async', wanted 'default'"),
        ({"retention": "workqueue"}, "retention is 'workqueue', wanted 'limits'"),
    ],
)
async def test_what_cannot_be_changed_is_an_error(pair: Pair, drift: dict[str, Any], told: str) -> None:
    wanted = load_layout().of("r-wrong")[0].config("r-wrong")
    await ask_jetstream(pair[0], "STREAM.CREATE.CTL_r-wrong", {**wanted, **drift})
    with pytest.raises(StreamConflict) as caught:
        await apply_streams(*pair, "r-wrong")
    assert f"stream CTL_r-wrong on the control server is not as it must be: {told}" in str(caught.value)
    assert "fleet bus remove --env r-wrong" in caught.value.remedy
    found = await config_of(pair[0], "CTL_r-wrong")
    assert {field: found[field] for field in drift if field != "allow_atomic"}.items() <= drift.items(), "left alone"
    await remove_streams(*pair, "r-wrong")


async def test_a_change_that_would_lose_records_is_refused(pair: Pair, tmp_path: Path) -> None:
    await apply_streams(*pair, "r-lose")
    for _ in range(3):
        await pair[0].request("fleet.r-lose.log.portfolio.A", bytes(1000), timeout=2)
    for old, new in [('max_age = "0s"', 'max_age = "1s"'), ('max_bytes = "2GiB"', 'max_bytes = "2KiB"')]:
        path = tmp_path / "streams.toml"
        path.write_text((layout_folder() / "streams.toml").read_text().replace(old, new))
        with pytest.raises(StreamConflict, match="is not as it must be: max_"):
            await apply_streams(*pair, "r-lose", layout=load_layout(path))
    info = await ask_jetstream(pair[0], "STREAM.INFO.CTL_r-lose")
    assert info is not None
    assert info["state"]["messages"] == 3
    await remove_streams(*pair, "r-lose")


async def test_a_full_control_stream_refuses_and_keeps(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "streams.toml"
    path.write_text((layout_folder() / "streams.toml").read_text().replace('max_bytes = "2GiB"', 'max_bytes = "4KiB"'))
    await apply_streams(*pair, "r-full", layout=load_layout(path))
    answers = [await pair[0].request("fleet.r-full.log.portfolio.A", bytes(1000), timeout=2) for _ in range(5)]
    refused = [json.loads(answer.data)["error"]["description"] for answer in answers if b"error" in answer.data]
    assert refused
    assert set(refused) == {"maximum bytes exceeded"}
    info = await ask_jetstream(pair[0], "STREAM.INFO.CTL_r-full")
    assert info is not None
    assert (info["state"]["first_seq"], info["state"]["messages"]) == (1, 5 - len(refused))
    await remove_streams(*pair, "r-full")


async def test_replicas_need_a_cluster(pair: Pair) -> None:
    with pytest.raises(StreamConflict, match="replicas > 1 not supported") as caught:
        await apply_streams(*pair, "r-three", replicas=3)
    assert "cluster" in caught.value.remedy
    await remove_streams(*pair, "r-three")


async def test_a_server_without_room_says_so(start_server: Callable[..., NatsServer]) -> None:
    small = "jetstream: {max_file_store: 100MB}"
    server = start_server(config_extra=small)
    connection = await connect(server.url, "test")
    with pytest.raises(StreamConflict, match="insufficient storage") as caught:
        await apply_streams(connection, connection, "live")
    assert "FLEET_NATS_MAX_FILE" in caught.value.remedy
    await connection.close()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('storage = "file"', 'storage = "memory"', "Invalid enum value 'memory'"),
        ('max_age = "0s"', 'max_age = "forever"', "'forever' is not a number"),
        ("allow_direct = true", "allow_everything = true", "allow_everything"),
        ('server = "data"', 'server = "control"', "one of the data server"),
        ("[stream.replay]", "[stream.replay", "cannot be read"),
        ('name = "MD_{env}"', 'name = "MD_{world}"', "world"),
    ],
)
def test_a_bad_file_of_streams_is_told(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = tmp_path / "streams.toml"
    path.write_text((layout_folder() / "streams.toml").read_text().replace(old, new))
    with pytest.raises(LayoutError) as caught:
        load_layout(path)
    assert told in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("env", ["", "a.b", "live*", "sys", "x" * 65, "é"])
def test_a_bad_world_is_told(env: str) -> None:
    with pytest.raises(LayoutError, match="cannot be the name of an environment"):
        load_layout().of(env)


# -- what the servers are --------------------------------------------------------------------------------------------


async def test_our_servers_are_fit(pair: Pair) -> None:
    control, data = await check_servers(*pair)
    assert control.sync_always is True
    assert control.warning == ""
    assert tuple(map(int, data.version.split("."))) >= (2, 12, 0)


async def test_a_lazy_control_server_is_refused_unless_told_otherwise(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    lazy = pair[1]
    with pytest.raises(ServerUnfit, match="acknowledges before it has written to disk"):
        await check_servers(lazy, lazy)
    monkeypatch.setenv("FLEET_ALLOW_LAZY_SYNC", "1")
    facts, _ = await check_servers(lazy, lazy)
    assert facts.sync_always is False
    assert "FLEET_ALLOW_LAZY_SYNC" in facts.warning


async def test_how_a_foreign_server_writes_is_read_from_its_monitoring_port(
    start_server: Callable[..., NatsServer], servers: Servers
) -> None:
    connection = await connect(start_server().url, "test")
    facts, _ = await check_servers(connection, connection)
    assert facts.sync_always is None
    assert "cannot be known" in facts.warning
    facts, _ = await check_servers(connection, connection, monitor=servers[0].monitor)
    assert facts.sync_always is True
    with pytest.raises(ServerUnfit):
        await check_servers(connection, connection, monitor=servers[1].monitor)
    await connection.close()


async def test_the_local_configuration_asks_for_no_password_and_tells_how_it_writes(
    start_server: Callable[..., NatsServer],
) -> None:
    extra = (layout_folder() / "local.conf").read_text()
    connection = await connect(start_server(sync_always=True, config_extra=extra).url, "test")
    facts, _ = await check_servers(connection, connection)
    assert facts.sync_always is True
    assert [c.action for c in await apply_streams(connection, connection, "r-local")] == ["created", "created"]
    await connection.close()


async def test_a_server_without_jetstream_is_unfit(start_server: Callable[..., NatsServer]) -> None:
    accounts = "accounts { A { users: [{user: a, password: a}] } }\nno_auth_user: a"
    connection = await connect(start_server(config_extra=accounts).url, "test")
    with pytest.raises(ServerUnfit, match="JetStream is off"):
        await check_servers(connection, connection)
    await connection.close()
