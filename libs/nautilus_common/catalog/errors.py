"""What can go wrong with market data, each error saying where, what and the remedy.

CatalogError            base: somebody's data or request, never a fault of the program
├── DataError           a file, a row or a column that cannot be taken as it is
└── OverlapError        a write that would store the same stretch of time twice
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class CatalogError(ValueError):
    """Base of the errors of data and catalogue: the user can mend each of them."""


class OverlapError(CatalogError):
    """A write overlaps what the catalogue already holds for the same instrument and kind."""


class DataError(CatalogError):
    """Data that cannot be taken; `source` is the file, `row` the 1-based data row (a header is not counted)."""

    def __init__(
        self,
        what: str,
        *,
        source: str,
        remedy: str = "",
        row: int | None = None,
        column: str | None = None,
        code: str = "invalid",
    ) -> None:
        where = source if row is None else f"{source}: row {row}"
        super().__init__(f"{where}: {what}" + (f". {remedy}" if remedy else ""))
        self.what = what
        self.source = source
        self.remedy = remedy
        self.row = row
        self.column = column
        self.code = code


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """The known names most like `name`, best first, whatever the case of the letters."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    return [by_folded[match] for match in get_close_matches(name.casefold(), list(by_folded), n=3, cutoff=0.5)]
