"""Which methods of a strategy an event goes to: only those that it overrides, looked up once.

The base methods do nothing, so that leaving them out changes nothing but the time it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nautilus_common.messages import events
from nautilus_common.model.enums import ComponentState

if TYPE_CHECKING:
    from nautilus_common.messages.base import Event
    from nautilus_common.strategy.strategy import Strategy

_ORDER_EVENTS = {
    events.OrderInitialized: "on_order_initialized",
    events.OrderDenied: "on_order_denied",
    events.OrderSubmitted: "on_order_submitted",
    events.OrderAccepted: "on_order_accepted",
    events.OrderRejected: "on_order_rejected",
    events.OrderCanceled: "on_order_canceled",
    events.OrderExpired: "on_order_expired",
    events.OrderTriggered: "on_order_triggered",
    events.OrderPendingUpdate: "on_order_pending_update",
    events.OrderPendingCancel: "on_order_pending_cancel",
    events.OrderModifyRejected: "on_order_modify_rejected",
    events.OrderCancelRejected: "on_order_cancel_rejected",
    events.OrderUpdated: "on_order_updated",
    events.OrderFilled: "on_order_filled",
}
_POSITION_EVENTS = {
    events.PositionOpened: "on_position_opened",
    events.PositionChanged: "on_position_changed",
    events.PositionClosed: "on_position_closed",
}

Handler = Callable[[Any], None]
RUNNING = ComponentState.RUNNING


class EventHandlers:
    """The handlers of one strategy by type of event."""

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy
        self._by_type: dict[type, tuple[Handler, ...]] | None = None
        self._wants_positions: bool | None = None

    def deliver(self, event: Event) -> None:
        """Call the handlers of `event`, if the strategy is running."""
        table = self._by_type
        if table is None:
            table = self._by_type = self._build()
        handlers = table.get(type(event))
        if handlers and self._strategy.state is RUNNING:
            for handler in handlers:
                handler(event)

    @property
    def wants_positions(self) -> bool:
        """True when some position event would reach a handler; else none needs to be made."""
        wants = self._wants_positions
        if wants is None:
            wants = self._wants_positions = any(self.of(kind) for kind in _POSITION_EVENTS)
        return wants

    def of(self, kind: type) -> tuple[Handler, ...]:
        """The overridden handlers of a type of event, most specific first."""
        table = self._by_type
        if table is None:
            table = self._by_type = self._build()
        return table.get(kind, ())

    def _build(self) -> dict[type, tuple[Handler, ...]]:
        table: dict[type, tuple[Handler, ...]] = {}
        for names, general in ((_ORDER_EVENTS, "on_order_event"), (_POSITION_EVENTS, "on_position_event")):
            for kind, specific in names.items():
                found = [self._overridden(name) for name in (specific, general, "on_event")]
                table[kind] = tuple(handler for handler in found if handler is not None)
        return table

    def _overridden(self, name: str) -> Handler | None:
        from nautilus_common.strategy.strategy import Strategy

        method: Handler = getattr(self._strategy, name)
        if getattr(method, "__func__", None) is getattr(Strategy, name):
            return None
        return method
