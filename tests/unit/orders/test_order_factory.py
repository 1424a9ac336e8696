"""The order factory: ids and refusals."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from nautilus_common.model.enums import OrderSide, OrderStatus, OrderType, TimeInForce, TriggerType
from nautilus_common.model.identifiers import ClientOrderId, ExecAlgorithmId, InstrumentId, StrategyId, TraderId
from nautilus_common.model.values import Price, Quantity
from nautilus_common.strategy.order_factory import NotAvailableYet, OrderFactory, datetime_to_ns

EUR_USD = InstrumentId.from_str("EUR/USD.SIM")
ONE = Quantity(1, 0)
PRICE = Price(1.5, 2)
START = datetime_to_ns(datetime(2024, 1, 2, tzinfo=UTC))


class FixedClock:
    def __init__(self) -> None:
        self.now = START

    def timestamp_ns(self) -> int:
        return self.now


def make_factory(**options: Any) -> tuple[OrderFactory, FixedClock]:
    clock = FixedClock()
    return OrderFactory(TraderId("TESTER-000"), StrategyId("S-001"), clock, **options), clock


def test_ids_count_for_the_strategy_and_carry_the_time() -> None:
    """porting.md A5 34."""
    factory, clock = make_factory()
    assert factory.generate_client_order_id().value == "O-20240102-000000-000-001-1"
    clock.now += 999_999_999
    assert factory.generate_client_order_id().value == "O-20240102-000000-000-001-2"
    clock.now += 1 + (23 * 3600 + 59 * 60 + 58) * 10**9
    assert factory.generate_client_order_id().value == "O-20240102-235959-000-001-3"
    clock.now += 10**9
    assert factory.generate_client_order_id().value == "O-20240103-000000-000-001-4"
    clock.now = START
    assert factory.generate_order_list_id().value == "OL-20240102-000000-000-001-1"
    assert (factory.get_client_order_id_count(), factory.get_order_list_id_count()) == (4, 1)
    factory.reset()
    assert factory.market(EUR_USD, OrderSide.BUY, ONE).client_order_id.value == "O-20240102-000000-000-001-1"


def test_ids_without_hyphens() -> None:
    factory, _ = make_factory(use_hyphens_in_client_order_ids=False)
    assert factory.generate_client_order_id().value == "O202401020000000000011"


def test_random_ids_are_refused() -> None:
    with pytest.raises(ValueError, match="uuid"):
        make_factory(use_uuid_client_order_ids=True)


def test_known_ids_are_passed_over() -> None:
    class Known:
        def order(self, client_order_id: ClientOrderId) -> object | None:
            return True if client_order_id.value.endswith(("-1", "-2")) else None

    factory, _ = make_factory(cache=Known())
    assert factory.generate_client_order_id().value.endswith("-3")


def test_orders_carry_what_was_asked_for() -> None:
    factory, _ = make_factory()
    expiry = datetime(2024, 1, 2, 1, tzinfo=timezone(timedelta(hours=1)))
    order = factory.stop_limit(
        EUR_USD,
        OrderSide.SELL,
        ONE,
        PRICE,
        Price(1.6, 2),
        time_in_force=TimeInForce.GTD,
        expire_time=expiry,
        post_only=True,
        reduce_only=True,
        display_qty=Quantity(0, 0),
        exec_algorithm_id=ExecAlgorithmId("TWAP"),
        exec_algorithm_params={"horizon_secs": 5},
        tags=["EXIT"],
    )
    assert order.status is OrderStatus.INITIALIZED
    assert (order.order_type, order.side, order.price, order.trigger_price) == (
        OrderType.STOP_LIMIT,
        OrderSide.SELL,
        PRICE,
        Price(1.6, 2),
    )
    assert (order.trigger_type, order.expire_time_ns, order.expire_time) == (TriggerType.DEFAULT, START, expiry)
    assert (order.is_post_only, order.is_reduce_only, order.display_qty, order.tags) == (True, True, 0, ["EXIT"])
    assert order.is_primary
    assert order.ts_init == START
    assert factory.limit(EUR_USD, OrderSide.BUY, ONE, PRICE).price == PRICE
    assert factory.stop_market(EUR_USD, OrderSide.BUY, ONE, PRICE).trigger_price == PRICE
    assert not hasattr(factory.market(EUR_USD, OrderSide.BUY, ONE), "price")


@pytest.mark.parametrize(
    ("method", "arguments", "error", "text"),
    [
        ("market", {"quantity": Quantity(0, 0)}, ValueError, "`quantity` must be positive"),
        ("market", {"quantity": 1.0}, TypeError, "make_qty"),
        ("market", {"order_side": OrderSide.NO_ORDER_SIDE}, ValueError, "order_side"),
        ("market", {"order_side": "BUY"}, ValueError, "order_side"),
        ("market", {"time_in_force": TimeInForce.GTD}, ValueError, "GTD"),
        ("limit", {"price": 1.5}, TypeError, "make_price"),
        ("limit", {"price": PRICE, "time_in_force": TimeInForce.GTD}, ValueError, "expire_time"),
        ("limit", {"price": PRICE, "expire_time": datetime(2024, 1, 3)}, ValueError, "only possible with"),
        ("limit", {"price": PRICE, "time_in_force": TimeInForce.GTD, "expire_time": 5}, TypeError, "datetime"),
        ("limit", {"price": PRICE, "display_qty": Quantity(2, 0)}, ValueError, "display_qty"),
        ("stop_market", {"trigger_price": None}, TypeError, "trigger_price"),
        ("stop_market", {"trigger_price": PRICE, "trigger_type": TriggerType.NO_TRIGGER}, ValueError, "trigger_type"),
    ],
)
def test_mistakes_are_named(method: str, arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    factory, _ = make_factory()
    given = {"instrument_id": EUR_USD, "order_side": OrderSide.BUY, "quantity": ONE} | arguments
    with pytest.raises(error, match=text):
        getattr(factory, method)(**given)


@pytest.mark.parametrize(
    "method",
    [
        "market_to_limit",
        "market_if_touched",
        "limit_if_touched",
        "trailing_stop_market",
        "trailing_stop_limit",
        "bracket",
        "create_list",
    ],
)
def test_what_is_missing_says_so(method: str) -> None:
    factory, _ = make_factory()
    with pytest.raises(NotAvailableYet, match=f"{method} is not available yet"):
        getattr(factory, method)(EUR_USD)


def test_times_without_a_zone_are_utc_and_exact() -> None:
    assert datetime_to_ns(datetime(2024, 1, 2)) == START
    assert datetime_to_ns(datetime(2024, 1, 2, 0, 0, 0, 7)) == START + 7_000
