"""Each order type is made from its event as its own class."""

import pytest
from nautilus_common.messages.events import OrderInitialized
from nautilus_common.model import orders
from nautilus_common.model.enums import OrderSide, OrderType
from nautilus_common.model.identifiers import ClientOrderId, InstrumentId, StrategyId, TraderId
from nautilus_common.model.values import Price, Quantity

IDS = (TraderId("TESTER-001"), StrategyId("S-001"), InstrumentId.from_str("EUR/USD.SIM"), ClientOrderId("O-1"))


@pytest.mark.parametrize("kind", OrderType)
def test_class_of_each_type(kind: OrderType) -> None:
    price = Price(1.5, 2)
    init = OrderInitialized(*IDS, OrderSide.BUY, kind, Quantity(1, 0), 5, price=price, trigger_price=price)
    order = orders.order_from_init(init)
    assert type(order) is getattr(orders, kind.name.title().replace("_", "") + "Order")
    assert order.has_price == (kind.name.endswith("LIMIT") or kind.name in ("LIMIT", "LIMIT_IF_TOUCHED"))
    assert order.has_trigger_price == (kind.name not in ("MARKET", "LIMIT", "MARKET_TO_LIMIT"))
    assert order.to_dict()["type"] == kind.name
    assert kind.name in repr(order)
    assert order.init_id == init.id
