"""How a simulated venue behaves; the defaults are those of the field."""

from __future__ import annotations

from dataclasses import dataclass, field

from nautilus_common.model.account import AccountSpec
from nautilus_common.model.identifiers import Venue
from nautilus_common.venues.simulated.models import FillModel, LatencyModel, MakerTakerFeeModel
from nautilus_common.venues.simulated.rollover import RolloverRates


@dataclass
class SimulatedVenueConfig:
    """One venue: its account, its models and its rules."""

    venue: Venue
    account: AccountSpec
    fill_model: FillModel = field(default_factory=FillModel)
    fee_model: MakerTakerFeeModel = field(default_factory=MakerTakerFeeModel)
    latency_model: LatencyModel | None = None
    rollover_rates: RolloverRates | None = None
    reject_stop_orders: bool = True
    support_gtd_orders: bool = True
    use_reduce_only: bool = True
    use_market_order_acks: bool = False
    bar_execution: bool = True
    bar_adaptive_high_low_ordering: bool = False
    trade_execution: bool = True
