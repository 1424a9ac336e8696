"""`[stack]` of fleet.toml, and which services share a process."""

from __future__ import annotations

from pathlib import Path

import pytest
from nautilus_fleet.errors import UsageError
from nautilus_fleet.stack.settings import DEFAULT_SERVICES, StackSettings, processes_of, read_settings


def test_a_service_is_a_process_unless_told_otherwise() -> None:
    assert processes_of(["risk", "portfolio"], []) == {"risk": ("risk",), "portfolio": ("portfolio",)}


def test_a_group_is_one_process_named_for_its_roles() -> None:
    alive = processes_of(["execution_gateway", "risk", "portfolio", "recorder"], [["portfolio", "risk"]])
    assert list(alive.items()) == [
        ("execution_gateway", ("execution_gateway",)),
        ("portfolio+risk", ("portfolio", "risk")),
        ("recorder", ("recorder",)),
    ]


def test_all_is_one_process_of_all_engines() -> None:
    engines = [service for service in DEFAULT_SERVICES if service != "recorder"]
    assert list(processes_of(DEFAULT_SERVICES, [["all"]])) == ["+".join(engines), "recorder"]
    assert list(processes_of(["recorder"], [["all"]])) == ["recorder"]


def test_without_a_database_nothing_is_recorded() -> None:
    engines = [service for service in DEFAULT_SERVICES if service != "recorder"]
    assert list(StackSettings(postgres=False, valkey=False).processes()) == engines
    assert "recorder" in StackSettings(postgres=False).processes()


def test_a_second_host_has_a_name_of_its_own() -> None:
    assert list(processes_of(["strategy_host", "strategy_host.fast"], [])) == ["strategy_host", "strategy_host.fast"]


@pytest.mark.parametrize(
    ("services", "together", "words"),
    [
        (["rusk"], [], "did you mean risk?"),
        (["risk", "risk"], [], "'risk' is named twice"),
        (["risk"], [["risk", "portfolio"]], "'portfolio' is none of the services"),
        (["risk", "risk.b"], [["all"]], "risk+risk.b serves a role twice"),
        (["risk", "recorder"], [["risk", "recorder"]], "'recorder' is a process of its own"),
        (["risk", "portfolio"], [["risk"], ["portfolio", "risk"]], "'risk' is named twice"),
    ],
)
def test_a_topology_that_cannot_be(services: list[str], together: list[list[str]], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        processes_of(services, together)
    assert words in str(caught.value)


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert read_settings(tmp_path) == StackSettings()
    (tmp_path / "fleet.toml").write_text("[other]\na = 1\n")
    assert read_settings(tmp_path) == StackSettings()


def test_the_table_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text(
        '[stack]\ntogether = [["risk", "portfolio"]]\nvalkey = false\nports = { nats_control = 4222 }\n'
    )
    settings = read_settings(tmp_path)
    assert (settings.together, settings.valkey, settings.ports) == (
        (("risk", "portfolio"),),
        False,
        {"nats_control": 4222},
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[stack\n", "not valid TOML"),
        ("[stack]\ntogehter = []\n", "unknown field `togehter`"),
        ("[stack]\npostgres = 1\n", "Expected `bool`"),
        ('[stack]\nservices = ["rusk"]\n', "did you mean risk?"),
        ("[stack]\nports = { nats = 4222 }\n", "no server 'nats'"),
        ("[stack]\nports = { valkey = 70000 }\n", "70000 of valkey is no port"),
    ],
)
def test_a_mistake_in_the_file_names_the_file(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        read_settings(tmp_path)
    assert words in str(caught.value)
    assert str(tmp_path / "fleet.toml") in str(caught.value)
