"""The pages are true: every setting, command and decision is on its page, and no link is dead."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.tidy import house


def pages() -> list[Path]:
    return [path for path in house.files() if path.suffix == ".md"]


@pytest.mark.parametrize("path", pages(), ids=house.name)
def test_no_link_is_dead(path: Path) -> None:
    text = path.read_text("utf-8")
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", text)
    # The tearsheet's picture is made by a run.
    made = {"docs/images/tearsheet.png"}
    dead = [t for t in targets if t not in made and not (path.parent / t).exists()]
    assert not dead, f"{house.name(path)}: {dead}"


def test_every_setting_is_in_the_reference() -> None:
    from nautilus_fleet import config
    from pydantic import BaseModel

    page = (house.ROOT / "docs/reference/config.md").read_text("utf-8")
    models = [m for m in vars(config).values() if isinstance(m, type) and issubclass(m, BaseModel)]
    names = {name for model in models for name in model.model_fields}
    latency = {n for n in names if re.fullmatch(r"(base|insert|update|cancel)_(us|ns)", n)}
    missing = [name for name in sorted(names - latency) if not re.search(rf"\b{name}\b", page)]
    assert not missing, f"docs/reference/config.md says nothing of {missing}"


def test_every_command_is_in_the_reference() -> None:
    from nautilus_fleet.cli import COMMANDS

    page = (house.ROOT / "docs/reference/cli.md").read_text("utf-8")
    assert not [name for name in COMMANDS if f"`fleet {name}" not in page]


def test_every_decision_is_listed() -> None:
    folder = house.ROOT / "docs/adr"
    index = (folder / "README.md").read_text("utf-8")
    numbered = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert not [name for name in numbered if f"({name})" not in index]
    assert len({name[:4] for name in numbered}) == len(numbered), "a number is taken twice"


def test_every_verb_of_the_readme_exists() -> None:
    makefile = (house.ROOT / "Makefile").read_text("utf-8")
    for verb in re.findall(r"make ([a-z-]+)", (house.ROOT / "README.md").read_text("utf-8")):
        assert re.search(rf"^{verb}:", makefile, re.MULTILINE), verb
