"""The error that a user can mend; the tree of those of the command is in nautilus_fleet/errors.py."""

from __future__ import annotations


class FleetError(Exception):
    """What happened, where it happened, and the next useful action."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.remedy:
            lines.append(f"  do:    {self.remedy}")
        return "\n".join(lines)
