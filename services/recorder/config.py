"""The recorder's limits and where it writes market data, from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nautilus_common.settings import SettingsError


@dataclass(frozen=True)
class RecorderConfig:
    """Bounds of what the recorder holds in memory; beyond the backlog it stops reading and says so."""

    batch_messages: int = 1_000  # entries of the control stream that are committed as one
    batch_bytes: int = 2**20  # they are folded in one go: a tenth of a second in which nobody else is answered
    backlog_messages: int = 20_000  # read and not committed, for each database of each environment
    backlog_bytes: int = 32 * 2**20
    closed_orders: int = 100_000  # kept in Valkey
    market: bool = True
    market_rows: int = 500_000  # of all streams together, before they are written
    market_bytes: int = 128 * 2**20
    market_seconds: int = 300
    catalog: Path | None = None  # a folder; each environment has its own below it
    instruments: Path | None = None  # a catalogue whose instruments are those of the market data

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> RecorderConfig:
        """The settings `FLEET_RECORDER_*`. Raises SettingsError."""
        numbers = {}
        for name in (
            "batch_messages",
            "batch_bytes",
            "backlog_messages",
            "backlog_bytes",
            "closed_orders",
            "market_rows",
            "market_bytes",
            "market_seconds",
        ):
            variable = f"FLEET_RECORDER_{name.upper()}"
            text = environ.get(variable)
            if text is None:
                continue
            if not text.isascii() or not text.isdigit() or not 0 < int(text) < 2**40:
                raise SettingsError(f"{variable} is {text!r}; write a whole number greater than 0")
            numbers[name] = int(text)
        market = environ.get("FLEET_RECORDER_MARKET", "1")
        if market not in ("0", "1"):
            raise SettingsError(f"FLEET_RECORDER_MARKET is {market!r}; write 1 to record market data, 0 to leave it")
        catalog, instruments = (environ.get(f"FLEET_RECORDER_{name}") for name in ("CATALOG", "INSTRUMENTS"))
        return cls(
            **numbers,
            market=market == "1",
            catalog=Path(catalog) if catalog else None,
            instruments=Path(instruments) if instruments else None,
        )
