"""The risk engine of a run, made from its plan."""

from __future__ import annotations

from nautilus_common.limits import RateLimit, RiskEngineConfig
from nautilus_common.model.ledger import Ledger
from nautilus_common.plan import RunPlan, Seat

from services.risk.engine import RiskEngine

__all__ = ["RateLimit", "RiskEngineConfig", "build"]


def build(plan: RunPlan, seat: Seat, ledger: Ledger) -> RiskEngine:
    """The engine of `seat`."""
    return RiskEngine(plan.risk, plan.instruments_by_id(), ledger, seat.rank)
