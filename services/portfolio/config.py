"""The portfolio engine of a run, made from its plan."""

from __future__ import annotations

from nautilus_common.model.ledger import Ledger
from nautilus_common.plan import RunPlan, Seat

from services.portfolio.engine import PortfolioEngine


def build(plan: RunPlan, seat: Seat, ledger: Ledger) -> PortfolioEngine:
    """The engine of `seat`."""
    return PortfolioEngine(ledger, seat.rank, plan.equity_interval_ns, keep_states=False)
