"""The numbered SQL files of the recorder's tables, and how they are applied.

Each is applied once, in a transaction of its own, by whoever comes first; the others wait at a lock. What was applied
is in `fleet.schema_migrations` with its checksum: a file that has changed since is refused, since nobody can know
which of the two the tables are.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOCK_KEY = 0x666C656574  # "fleet"
_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")

_BOOKS = """
CREATE SCHEMA IF NOT EXISTS fleet;
CREATE TABLE IF NOT EXISTS fleet.schema_migrations (
    number      integer      PRIMARY KEY,
    name        text         NOT NULL,
    sha256      text         NOT NULL,
    applied_at  timestamptz  NOT NULL DEFAULT now()
);
"""


class MigrationError(Exception):
    """The tables are not those of this release: says what differs and what to do."""


@dataclass(frozen=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def load_migrations(folder: Path = Path(__file__).parent) -> list[Migration]:
    """The files in the order of their numbers, which leave no gap."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path}: the name of a migration is NNNN_what_it_does.sql")
        found.append(Migration(int(match[1]), path.name, path.read_text("utf-8")))
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationError(
            f"{folder}: the numbers of the migrations are not 0001, 0002, ... without gap or repetition"
        )
    return found


async def migrate(connection: Any, migrations: list[Migration] | None = None) -> list[str]:
    """Apply what is missing; the names of what was applied. Needs the owner of the database only if something is."""
    migrations = load_migrations() if migrations is None else migrations
    if not _missing(migrations, await _applied(connection)):
        return []
    await connection.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
    try:
        await connection.execute(_BOOKS)
        missing = _missing(migrations, await _applied(connection))
        for migration in missing:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO fleet.schema_migrations (number, name, sha256) VALUES ($1, $2, $3)",
                    migration.number,
                    migration.name,
                    migration.sha256,
                )
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", LOCK_KEY)
    return [migration.name for migration in missing]


async def _applied(connection: Any) -> dict[int, tuple[str, str]]:
    if await connection.fetchval("SELECT to_regclass('fleet.schema_migrations')") is None:
        return {}
    rows = await connection.fetch("SELECT number, name, sha256 FROM fleet.schema_migrations")
    return {row["number"]: (row["name"], row["sha256"]) for row in rows}


def _missing(migrations: list[Migration], applied: dict[int, tuple[str, str]]) -> list[Migration]:
    known = {migration.number: migration for migration in migrations}
    for number, (name, sha256) in sorted(applied.items()):
        if number not in known:
            raise MigrationError(
                f"the database has migration {name}, which this release does not know: use the release that applied it"
            )
        if known[number].sha256 != sha256:
            raise MigrationError(
                f"migration {name} was applied with other content (SHA-256 {sha256[:12]}, now "
                f"{known[number].sha256[:12]}): put the file back, and write a new migration for what shall change"
            )
    return [migration for migration in migrations if migration.number not in applied]
