"""Configuration of the execution gateway."""

from __future__ import annotations

from nautilus_common.venues.simulated.config import SimulatedVenueConfig

__all__ = ["SimulatedVenueConfig"]
