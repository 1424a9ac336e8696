"""The execution engine of one venue of a run, made from its plan."""

from __future__ import annotations

from nautilus_common.model.ledger import Ledger
from nautilus_common.plan import RunPlan, Seat

from services.execution_gateway.engine import ExecutionEngine


def build(plan: RunPlan, seat: Seat, ledger: Ledger) -> ExecutionEngine:
    """The engine of `seat`; a venue has a view of the market of its own, so the ledger is not used."""
    venue = plan.venue_of(seat.engine).config()
    return ExecutionEngine(venue, plan.instruments_by_id(), plan.streams, seat.rank, plan.data_rank)
