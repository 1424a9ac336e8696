"""What the rules of the house are applied to: the files that are, or will be, committed."""

from __future__ import annotations

import ast
import functools
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


@functools.cache
def files() -> tuple[Path, ...]:
    """Every file that git tracks or would track; without git, every file outside the environment."""
    try:
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
        names = [name for name in listed.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        hidden = {".venv", ".git", ".fleet", ".bench", "runs", "__pycache__"}
        found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
        names = [str(path) for path in found if not hidden & set(path.parts)]
    return tuple(path for path in (ROOT / name for name in sorted(names)) if path.is_file())


def sources(*folders: str) -> list[Path]:
    """The Python files under these folders of the project."""
    tops = tuple(ROOT / folder for folder in folders)
    return [path for path in files() if path.suffix == ".py" and any(path.is_relative_to(top) for top in tops)]


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))
