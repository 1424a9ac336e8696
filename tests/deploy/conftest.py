"""A Docker engine, where one answers: the image, and a stack of its own that leaves nothing behind."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PORTS = ("EXECUTION_GATEWAY", "RISK", "PORTFOLIO", "STRATEGY_HOST", "RECORDER")


def run(*command: str, seconds: float = 600, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
        stdin=subprocess.DEVNULL,
    )


def done(*command: str, seconds: float = 600, **environ: str) -> str:
    """What `command` says; it must succeed."""
    ended = run(*command, seconds=seconds, **environ)
    assert ended.returncode == 0, f"{' '.join(command)}\n{ended.stdout[-3000:]}\n{ended.stderr[-6000:]}"
    return ended.stdout


@pytest.fixture(scope="session")
def engine() -> None:
    """Skips where no engine answers; any with compose v2 will do."""
    if shutil.which("docker") is None:
        pytest.skip("no docker here: the image and the stack cannot be run")
    if run("docker", "info", seconds=30).returncode != 0:
        pytest.skip("docker is here and its engine does not answer (docker info)")
    if run("docker", "compose", "version", seconds=30).returncode != 0:
        pytest.skip("docker is here without compose v2")


@pytest.fixture(scope="session")
def image(engine: None) -> Iterator[str]:
    """The image, built from this very tree."""
    tag = f"test-{secrets.token_hex(4)}"
    name = f"nautilus-fleet:{tag}"
    done("docker", "build", "--quiet", "--tag", name, ".", seconds=1800)
    yield name
    done("docker", "image", "rm", "--force", name)


class Stack:
    """docker-compose.yml under a name, image and ports of its own."""

    def __init__(self, image: str) -> None:
        self.name = f"fleettest{secrets.token_hex(4)}"
        self.environ: Mapping[str, str] = {
            "COMPOSE_PROJECT_NAME": self.name,
            "FLEET_VERSION": image.rpartition(":")[2],
            "FLEET_NATS_PASSWORD_RISK": f"p{secrets.token_hex(8)}",
            **{f"FLEET_PORT_{role}": "" for role in PORTS},  # any free one
        }

    def compose(self, *arguments: str, seconds: float = 600) -> str:
        return done("docker", "compose", *arguments, seconds=seconds, **self.environ)

    def try_compose(self, *arguments: str, seconds: float = 600) -> subprocess.CompletedProcess[str]:
        return run("docker", "compose", *arguments, seconds=seconds, **self.environ)

    def address(self, service: str) -> str:
        """Where the service tells of itself; a restart may change the port."""
        return self.compose("port", service, "8080").strip()

    def inspect(self, service: str) -> dict[str, Any]:
        container = self.compose("ps", "--all", "--quiet", service).strip()
        found: dict[str, Any] = json.loads(done("docker", "inspect", container))[0]
        return found

    def sql(self, query: str) -> str:
        """One value out of the recorder's database."""
        psql = ("psql", "--username", "fleet", "--dbname", "fleet", "--no-align", "--tuples-only", "--command", query)
        return self.compose("exec", "--no-TTY", "postgres", *psql).strip()

    def leftovers(self) -> dict[str, str]:
        label = f"label=com.docker.compose.project={self.name}"
        listed = {
            "containers": done("docker", "ps", "--all", "--quiet", "--filter", label),
            "volumes": done("docker", "volume", "ls", "--quiet", "--filter", label),
            "networks": done("docker", "network", "ls", "--quiet", "--filter", label),
        }
        return {kind: found for kind, found in listed.items() if found}


@pytest.fixture(scope="session")
def stack(image: str) -> Iterator[Stack]:
    """The whole stack, up and healthy; taken down with everything that it made."""
    stack = Stack(image)
    try:
        stack.compose("up", "--detach", "--wait", "--wait-timeout", "180", "--no-build")
        yield stack
    finally:
        stack.compose("--profile", "replay", "down", "--volumes", "--remove-orphans", "--timeout", "20")
