"""Strategy: an actor that trades. One file runs in a backtest, in a replay, on paper and live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nautilus_common.messages import subjects
from nautilus_common.messages.commands import CancelAllOrders, CancelOrder, ModifyOrder, SubmitOrder
from nautilus_common.messages.events import (
    OrderInitialized,
    OrderPendingCancel,
    OrderPendingUpdate,
    OrderSubmitted,
)
from nautilus_common.model.enums import OrderSide, OrderStatus, PositionSide, TimeInForce
from nautilus_common.model.identifiers import InstrumentId, PositionId, StrategyId, Venue
from nautilus_common.model.order_states import InvalidStateTransition
from nautilus_common.strategy.actor import Actor, Host
from nautilus_common.strategy.config import ComponentConfig, StrategyConfig
from nautilus_common.strategy.dispatch import EventHandlers
from nautilus_common.strategy.order_factory import NotAvailableYet, OrderFactory

if TYPE_CHECKING:
    from nautilus_common.messages.events import (
        OrderAccepted,
        OrderCanceled,
        OrderCancelRejected,
        OrderDenied,
        OrderEvent,
        OrderExpired,
        OrderFilled,
        OrderModifyRejected,
        OrderRejected,
        OrderTriggered,
        OrderUpdated,
        PositionChanged,
        PositionClosed,
        PositionEvent,
        PositionOpened,
    )
    from nautilus_common.model.orders import Order
    from nautilus_common.model.position import Position
    from nautilus_common.model.values import Price, Quantity
    from nautilus_common.strategy.cache import Cache
    from nautilus_common.strategy.clock import Clock
    from nautilus_common.strategy.log import Logger
    from nautilus_common.strategy.portfolio import Portfolio

_ON_THE_WAY = (OrderStatus.SUBMITTED, OrderStatus.PENDING_UPDATE)
"""States in which risk may still have the command: a cancel follows it through risk, so that it cannot overtake it."""


class Strategy(Actor):
    """The base of trading strategies.

    An order event goes to its own handler (`on_order_filled`), then to `on_order_event`, then to `on_event`; a position
    event likewise. When they run, orders, positions and balances already include the event.
    """

    order_factory: OrderFactory

    def __init__(self, config: ComponentConfig | None = None) -> None:
        super().__init__(config)
        self.order_id_tag: str | None = getattr(self.config, "order_id_tag", None)
        self._handlers = EventHandlers(self)
        self._risk_channel = ""
        self._exec_channels: dict[Venue, str] = {}

    def _default_config(self) -> ComponentConfig:
        return StrategyConfig()

    # -- to override -------------------------------------------------------------------------------------------------

    def on_order_event(self, event: OrderEvent) -> None:
        pass

    def on_order_initialized(self, event: OrderInitialized) -> None:
        pass

    def on_order_denied(self, event: OrderDenied) -> None:
        pass

    def on_order_submitted(self, event: OrderSubmitted) -> None:
        pass

    def on_order_accepted(self, event: OrderAccepted) -> None:
        pass

    def on_order_rejected(self, event: OrderRejected) -> None:
        pass

    def on_order_canceled(self, event: OrderCanceled) -> None:
        pass

    def on_order_expired(self, event: OrderExpired) -> None:
        pass

    def on_order_triggered(self, event: OrderTriggered) -> None:
        pass

    def on_order_pending_update(self, event: OrderPendingUpdate) -> None:
        pass

    def on_order_pending_cancel(self, event: OrderPendingCancel) -> None:
        pass

    def on_order_modify_rejected(self, event: OrderModifyRejected) -> None:
        pass

    def on_order_cancel_rejected(self, event: OrderCancelRejected) -> None:
        pass

    def on_order_updated(self, event: OrderUpdated) -> None:
        pass

    def on_order_filled(self, event: OrderFilled) -> None:
        pass

    def on_position_event(self, event: PositionEvent) -> None:
        pass

    def on_position_opened(self, event: PositionOpened) -> None:
        pass

    def on_position_changed(self, event: PositionChanged) -> None:
        pass

    def on_position_closed(self, event: PositionClosed) -> None:
        pass

    # -- orders ------------------------------------------------------------------------------------------------------

    def submit_order(
        self,
        order: Order,
        position_id: PositionId | None = None,
        client_id: object = None,
        params: dict[str, Any] | None = None,
    ) -> None:
        """Send a new order. It is SUBMITTED when this returns; what becomes of it comes as events.

        Raises ValueError for an order that has been submitted before.
        """
        host = self._runtime("submit_order")
        init = order.init_event
        if order.status is not OrderStatus.INITIALIZED:
            raise ValueError(
                f"order {order.client_order_id} is {order.status.name}: an order is submitted once; make a new one"
            )
        if self.cache.order_exists(init.client_order_id):
            raise ValueError(f"client order id {init.client_order_id} was used before; let the order factory choose it")
        account_id = host.account_of(init.instrument_id).id  # raises for an unknown venue, before anything is known
        now = host.now_ns()
        handlers = self._handlers
        handlers.deliver(init)
        host.add_order(order)
        submitted = OrderSubmitted(
            init.trader_id,
            init.strategy_id,
            init.instrument_id,
            init.client_order_id,
            account_id,
            now,
            now,
        )
        order.apply(submitted)
        handlers.deliver(submitted)
        host.say(self._risk_channel, SubmitOrder(init.trader_id, init.strategy_id, init, position_id, now))

    def modify_order(
        self,
        order: Order,
        quantity: Quantity | None = None,
        price: Price | None = None,
        trigger_price: Price | None = None,
        client_id: object = None,
        params: dict[str, Any] | None = None,
    ) -> None:
        """Change an open order. Nothing is sent when nothing would change, or when the order is closed."""
        host = self._runtime("modify_order")
        unchanged = (
            (quantity is None or quantity == order.quantity)
            and (price is None or price == getattr(order, "price", None))
            and (trigger_price is None or trigger_price == getattr(order, "trigger_price", None))
        )
        if unchanged or order.is_closed or order.is_pending_cancel:
            self.log.warning(f"modify_order: nothing to do for {order.client_order_id} ({order.status.name})")
            return
        now = host.now_ns()
        pending = OrderPendingUpdate(
            order.trader_id,
            order.strategy_id,
            order.instrument_id,
            order.client_order_id,
            order.venue_order_id,
            order.account_id,
            now,
            now,
        )
        order.apply(pending)
        self._handlers.deliver(pending)
        command = ModifyOrder(
            order.trader_id,
            order.strategy_id,
            order.instrument_id,
            order.client_order_id,
            order.venue_order_id,
            quantity,
            price,
            trigger_price,
            now,
        )
        host.say(self._risk_channel, command)

    def cancel_order(self, order: Order, client_id: object = None, params: dict[str, Any] | None = None) -> None:
        """Cancel an order; nothing happens when it is closed or being canceled already."""
        host = self._runtime("cancel_order")
        in_flight = order.status in _ON_THE_WAY
        if not self._mark_pending_cancel(order, host):
            return
        command = CancelOrder(
            order.trader_id,
            order.strategy_id,
            order.instrument_id,
            order.client_order_id,
            order.venue_order_id,
            host.now_ns(),
        )
        host.say(self._risk_channel if in_flight else self._exec_channel(order.instrument_id.venue), command)

    def cancel_orders(
        self, orders: list[Order], client_id: object = None, params: dict[str, Any] | None = None
    ) -> None:
        """Cancel several orders, in this order."""
        for order in orders:
            self.cancel_order(order, client_id, params)

    def cancel_all_orders(
        self,
        instrument_id: InstrumentId,
        order_side: OrderSide = OrderSide.NO_ORDER_SIDE,
        client_id: object = None,
        params: dict[str, Any] | None = None,
    ) -> None:
        """Cancel this strategy's open and in-flight orders of an instrument (and side)."""
        host = self._runtime("cancel_all_orders")
        filters: dict[str, Any] = {"instrument_id": instrument_id, "strategy_id": self.id, "side": order_side}
        orders = list(dict.fromkeys([*self.cache.orders_open(**filters), *self.cache.orders_inflight(**filters)]))
        if not orders:
            return
        in_flight = any(order.status in _ON_THE_WAY for order in orders)
        for order in orders:
            self._mark_pending_cancel(order, host)
        assert self.trader_id is not None
        assert isinstance(self.id, StrategyId)
        command = CancelAllOrders(self.trader_id, self.id, instrument_id, order_side, host.now_ns())
        host.say(self._risk_channel if in_flight else self._exec_channel(instrument_id.venue), command)

    def _mark_pending_cancel(self, order: Order, host: Host) -> bool:
        if order.is_closed or order.is_pending_cancel or order.status is OrderStatus.INITIALIZED:
            return False
        now = host.now_ns()
        pending = OrderPendingCancel(
            order.trader_id,
            order.strategy_id,
            order.instrument_id,
            order.client_order_id,
            order.venue_order_id,
            order.account_id,
            now,
            now,
        )
        try:
            order.apply(pending)
        except InvalidStateTransition:
            return False
        self._handlers.deliver(pending)
        return True

    def close_position(
        self,
        position: Position,
        client_id: object = None,
        tags: list[str] | None = None,
        time_in_force: TimeInForce = TimeInForce.GTC,
        reduce_only: bool = True,
        quote_quantity: bool = False,
        params: dict[str, Any] | None = None,
    ) -> None:
        """Close a position with a market order; nothing happens when it is closed."""
        if position.is_closed:
            return
        order = self.order_factory.market(
            instrument_id=position.instrument_id,
            order_side=position.closing_order_side(),
            quantity=position.quantity,
            time_in_force=time_in_force,
            reduce_only=reduce_only,
            quote_quantity=quote_quantity,
            tags=tags,
        )
        self.submit_order(order, position_id=position.id)

    def close_all_positions(
        self,
        instrument_id: InstrumentId,
        position_side: PositionSide = PositionSide.NO_POSITION_SIDE,
        client_id: object = None,
        tags: list[str] | None = None,
        time_in_force: TimeInForce = TimeInForce.GTC,
        reduce_only: bool = True,
        quote_quantity: bool = False,
        params: dict[str, Any] | None = None,
    ) -> None:
        """Close this strategy's open positions in an instrument (and side)."""
        assert isinstance(self.id, StrategyId)
        for position in self.cache.positions_open(None, instrument_id, self.id, position_side):
            self.close_position(position, client_id, tags, time_in_force, reduce_only, quote_quantity, params)

    # -- for the host ------------------------------------------------------------------------------------------------

    def attach(self, host: Host, clock: Clock, cache: Cache, portfolio: Portfolio, log: Logger) -> None:
        super().attach(host, clock, cache, portfolio, log)
        assert isinstance(self.id, StrategyId)
        _refuse_what_is_not_there_yet(self.id, self.config)
        self._risk_channel = subjects.risk_commands(self.id)
        self.order_factory = OrderFactory(
            host.trader_id,
            self.id,
            clock,
            use_hyphens_in_client_order_ids=getattr(self.config, "use_hyphens_in_client_order_ids", True),
        )

    def change_id(self, strategy_id: StrategyId) -> None:
        """Take the id that the host has given this instance."""
        self.id = strategy_id
        self.order_id_tag = strategy_id.get_tag()

    @property
    def event_handlers(self) -> EventHandlers:
        return self._handlers

    def _exec_channel(self, venue: Venue) -> str:
        channel = self._exec_channels.get(venue)
        if channel is None:
            channel = self._exec_channels[venue] = subjects.execution_commands(venue)
        return channel


def _refuse_what_is_not_there_yet(strategy_id: StrategyId, config: ComponentConfig) -> None:
    """A setting that would be ignored is an error: raises NotAvailableYet naming it."""
    for name in ("oms_type", "external_order_claims", "manage_gtd_expiry"):
        if getattr(config, name, None):
            raise NotAvailableYet(f"{strategy_id}: {name} is not available yet; leave it out (docs/reference/sdk.md)")
