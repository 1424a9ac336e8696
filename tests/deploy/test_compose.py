"""docker-compose.yml without an engine: the schema of the Compose Specification, and the rules that we hold it to."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from nautilus_common.settings import ProcessSettings
from nautilus_fleet.cli import COMMANDS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOTS = {"bus", "replay"}
ROLES = {"execution_gateway", "risk", "portfolio", "strategy_host", "recorder"}
OURS = sorted(ROLES | ONE_SHOTS)
SCHEMA = json.loads((Path(__file__).parent / "schemas/compose-spec.json").read_text("utf-8"))


def environment(name: str) -> dict[str, str]:
    """The environment of a service with the defaults filled in."""
    return {key: filled(str(value)) for key, value in SERVICES[name].get("environment", {}).items()}


def filled(text: str) -> str:
    return re.sub(r"\$\{[A-Z_]+:?-([^}]*)\}", r"\1", text)


def test_it_is_a_compose_file() -> None:
    errors = [f"{list(e.path)}: {e.message}" for e in jsonschema.Draft7Validator(SCHEMA).iter_errors(COMPOSE)]
    assert not errors


def test_the_schema_is_awake() -> None:
    broken = {**COMPOSE, "services": {"risk": {**SERVICES["risk"], "helthcheck": {}}}}
    assert list(jsonschema.Draft7Validator(SCHEMA).iter_errors(broken))


def test_all_that_a_stack_has_is_there() -> None:
    assert set(SERVICES) == {"nats-control", "nats-data", "valkey", "postgres"} | ROLES | ONE_SHOTS


@pytest.mark.parametrize("name", SERVICES)
def test_no_container_has_more_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    forbidden = {"privileged", "cap_add", "devices", "pid", "ipc", "network_mode", "userns_mode", "group_add"}
    assert not forbidden & set(service)
    assert "docker.sock" not in json.dumps(service)
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["pids_limit"] <= 512
    assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", SERVICES)
def test_images_have_a_version(name: str) -> None:
    _, _, tag = filled(SERVICES[name]["image"]).rpartition(":")
    assert re.match(r"\d", tag), "no latest, and never none"


@pytest.mark.parametrize("name", SERVICES)
def test_who_stays_is_watched_and_started_again(name: str) -> None:
    service = SERVICES[name]
    if name in ONE_SHOTS:
        assert service["healthcheck"] == {"disable": True}
        assert service["restart"] in ("no", "on-failure:5")
        return
    check = service["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert {"interval", "timeout", "retries", "start_period"} <= set(check)
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_is_published_but_to_this_machine(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:")
    if name not in ROLES:
        assert "ports" not in SERVICES[name]
        assert SERVICES[name]["networks"] == ["bus"]
    assert COMPOSE["networks"]["bus"] == {"internal": True}


def test_published_ports_are_each_one_s_own() -> None:
    ports = [filled(port) for name in ROLES for port in SERVICES[name]["ports"]]
    assert len(set(ports)) == len(ROLES)


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_written_is_in_a_named_volume_or_in_memory(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source, target, *mode = volume.split(":")
        if source.startswith("."):
            assert mode == ["ro"]
            assert (ROOT / source).is_dir()
        else:
            assert source in COMPOSE["volumes"]
            assert source == name, f"{target} is shared"
    for mount in SERVICES[name].get("tmpfs", []):
        assert "size=" in mount


def test_no_volume_is_left_over() -> None:
    used = {v.split(":")[0] for s in SERVICES.values() for v in s.get("volumes", []) if not v.startswith(".")}
    assert used == set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", SERVICES)
def test_who_is_waited_for_is_there_and_can_be_waited_for(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        wanted = "service_completed_successfully" if other in ONE_SHOTS else "service_healthy"
        assert how == {"condition": wanted}
        assert "profiles" not in SERVICES[other]


def test_the_image_is_built_once() -> None:
    """Built for each service it would be six images that differ in a label, and the last one would have the name."""
    assert [name for name in SERVICES if "build" in SERVICES[name]] == ["bus"]
    assert {SERVICES[name]["image"] for name in OURS} == {SERVICES["bus"]["image"]}
    for name in OURS:
        if name != "bus":
            assert SERVICES[name]["pull_policy"] == "never"
            chain = SERVICES[name]["depends_on"]
            assert "bus" in chain or all("bus" in SERVICES[other]["depends_on"] for other in chain)


@pytest.mark.parametrize("name", OURS)
def test_commands_exist(name: str) -> None:
    words = SERVICES[name]["command"]
    expected = {"bus": ["bus", "apply"], "replay": ["replay", "/project/backtest.toml"]}.get(name, ["serve", name])
    assert words[:2] == expected
    assert words[0] in COMMANDS or " ".join(words[:2]) in COMMANDS


@pytest.mark.parametrize("name", OURS)
def test_settings_can_be_read_and_name_the_right_user(name: str) -> None:
    values = environment(name)
    settings = ProcessSettings.from_environ((name,), values)
    user = "fleet" if name == "bus" else name
    passwords = COMPOSE["x-passwords"]
    password = filled(passwords[f"FLEET_NATS_PASSWORD_{user.upper()}"])
    assert settings.nats_control == f"nats://{user}:{password}@nats-control:4222"
    assert settings.nats_data == f"nats://{user}:{password}@nats-data:4222"
    assert bool(settings.postgres) is bool(settings.valkey) is (name == "recorder")


def test_every_user_of_the_servers_has_a_password_that_they_can_read() -> None:
    permissions = (ROOT / "deploy/nats/permissions.conf").read_text("utf-8")
    needed = set(re.findall(r"\$(FLEET_NATS_\w+)", permissions))
    assert needed == set(COMPOSE["x-passwords"])
    for name in ("nats-control", "nats-data"):
        assert needed <= set(SERVICES[name]["environment"])
    for value in COMPOSE["x-passwords"].values():
        assert re.fullmatch(r"[a-z][a-z0-9]+", filled(value))


@pytest.mark.parametrize("name", ["control", "data"])
def test_every_variable_of_a_server_is_set(name: str) -> None:
    used = set(re.findall(r"\$(FLEET_\w+)", (ROOT / f"deploy/nats/{name}.conf").read_text("utf-8")))
    assert used <= set(SERVICES[f"nats-{name}"]["environment"])
    assert SERVICES[f"nats-{name}"]["command"] == ["-c", f"/etc/fleet/{name}.conf"]


def test_the_same_default_is_written_everywhere() -> None:
    found: dict[str, set[str]] = {}
    for variable, default in re.findall(r"\$\{([A-Z_]+):?-([^}]*)\}", TEXT):
        found.setdefault(variable, set()).add(default)
    assert not {variable: values for variable, values in found.items() if len(values) > 1}
