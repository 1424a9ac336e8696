"""BacktestNode: runs as data, from a catalogue, through the same engine."""

from pathlib import Path

import numpy as np
import pytest
from nautilus_common.catalog.catalog import Catalog
from nautilus_common.catalog.columns import DataColumns
from nautilus_common.model.currencies import AUD, USD
from nautilus_fleet import (
    BacktestDataConfig,
    BacktestEngine,
    BacktestNode,
    BacktestRunConfig,
    BacktestVenueConfig,
    CurrencyPair,
    ImportableStrategyConfig,
    InstrumentId,
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
    Strategy,
    StrategyConfig,
    Symbol,
)
from nautilus_fleet.errors import NoDataError

AUDUSD = InstrumentId.from_str("AUD/USD.SIM")


class BuyOnceConfig(StrategyConfig, frozen=True):
    instrument_id: InstrumentId
    size: int = 1000


class BuyOnce(Strategy):
    def __init__(self, config: BuyOnceConfig) -> None:
        super().__init__(config)
        self.done = False

    def on_start(self) -> None:
        self.subscribe_quote_ticks(self.config.instrument_id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        if not self.done:
            self.done = True
            size = Quantity.from_int(self.config.size)
            self.submit_order(self.order_factory.market(tick.instrument_id, OrderSide.BUY, size))


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    made = Catalog(tmp_path / "catalog")
    pair = CurrencyPair(
        AUDUSD, Symbol("AUD/USD"), AUD, USD, 5, 0, Price.from_str("0.00001"), Quantity.from_int(1), 0, 0
    )
    made.write_instrument(pair)
    ts = np.arange(1, 101, dtype=np.int64) * 10**9
    bid = 70_000 + np.arange(100, dtype=np.int64)
    size = np.full(100, 10**6, dtype=np.int64)
    columns = {"ts_event": ts, "ts_init": ts, "bid": bid, "ask": bid + 1, "bid_size": size, "ask_size": size}
    made.write("quote", pair, DataColumns("quote", AUDUSD, None, columns))
    return made


def run_config(catalog: Catalog, **changes: object) -> BacktestRunConfig:
    settings: dict[str, object] = {
        "venues": [
            BacktestVenueConfig(
                name="SIM",
                oms_type="NETTING",
                account_type="MARGIN",
                base_currency="USD",
                starting_balances=["1_000_000 USD"],
            )
        ],
        "data": [BacktestDataConfig(catalog_path=str(catalog.path), data_cls=QuoteTick, instrument_id=AUDUSD)],
        "strategies": [
            ImportableStrategyConfig(
                strategy_path=f"{__name__}:BuyOnce",
                config_path=f"{__name__}:BuyOnceConfig",
                config={"instrument_id": "AUD/USD.SIM", "size": 2000},
            )
        ],
    }
    return BacktestRunConfig(**(settings | changes))  # type: ignore[arg-type]


def test_a_run_as_data_is_the_run_of_a_script(catalog: Catalog) -> None:
    [whole] = BacktestNode([run_config(catalog)]).run()
    [pieces] = BacktestNode([run_config(catalog, chunk_size=7)]).run()
    assert (whole.total_data, whole.total_orders, whole.total_positions) == (100, 1, 1)
    assert pieces.digest == whole.digest
    node = BacktestNode([run_config(catalog, dispose_on_completion=False, name="kept")])
    node.run()
    engine = node.get_engine("kept")
    assert isinstance(engine, BacktestEngine)
    assert engine.generate_orders_report()[0]["quantity"] == "2000"


def test_a_run_that_matches_no_data_says_what_there_is(catalog: Catalog) -> None:
    data = [BacktestDataConfig(catalog_path=str(catalog.path), data_cls="TradeTick", instrument_id=AUDUSD)]
    with pytest.raises(NoDataError, match=r"no trade data of AUD/USD\.SIM .*the catalogue has quote AUD/USD\.SIM"):
        BacktestNode([run_config(catalog, data=data)]).run()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": {"instrument": "AUD/USD.SIM"}}, "no field instrument: did you mean instrument_id"),
        ({"strategy_path": "nowhere.at.all:Mine"}, "there is no module nowhere"),
        ({"strategy_path": "json:Mine"}, "json has no Mine"),
        ({"strategy_path": "json"}, "names no class"),
    ],
)
def test_a_wrong_strategy_is_named(catalog: Catalog, changes: dict[str, object], message: str) -> None:
    good = {"strategy_path": f"{__name__}:BuyOnce", "config_path": f"{__name__}:BuyOnceConfig", "config": {}}
    strategy = ImportableStrategyConfig(**(good | changes))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        BacktestNode([run_config(catalog, strategies=[strategy])]).run()


def test_data_that_is_not_available_yet_is_refused() -> None:
    with pytest.raises(ValueError, match=r"OrderBookDelta.*QuoteTick, TradeTick, Bar"):
        _ = BacktestDataConfig(catalog_path="x", data_cls="OrderBookDelta").kind
