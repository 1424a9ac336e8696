"""All orders of a strategy host: those that may still change, and those that are closed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nautilus_common.messages.packed import pack_orders, unpack_orders
from nautilus_common.model.identifiers import ClientOrderId, unchecked_client_order_id
from nautilus_common.model.orders import order_from_events

if TYPE_CHECKING:
    from nautilus_common.model.orders import Order

_State = tuple[list[str], list["Order"], list["Order"], int, list[bytes]]


class OrderIndex:
    """Orders in the sequence in which they came, the active ones apart so that asking for them stays cheap.

    A closed order is packed by the first snapshot after its end, once, and a host that comes out of a snapshot makes
    closed orders again when somebody first asks for one: writing a snapshot costs what has happened since the last, and
    a restart what is still open. So what a user puts on an order is kept if it is there when the order closes, and a
    closed order that a strategy holds is afterwards an object of its own, equal to that in here.
    """

    def __init__(self) -> None:
        self.active: dict[ClientOrderId, Order] = {}
        self.closed_count = 0
        self._names: dict[ClientOrderId, None] = {}  # all of them, in their sequence
        self._orders: dict[ClientOrderId, Order] = {}
        self._unpacked: dict[ClientOrderId, Order] = {}  # closed ones that no snapshot has packed as they are now
        self._packed: list[bytes] = []  # where an order is twice, the later one is as it is now
        self._is_whole = True  # False after a snapshot, until somebody has asked for a closed order

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, client_order_id: ClientOrderId) -> bool:
        return client_order_id in self._names

    def __iter__(self) -> Iterator[Order]:
        if not self._is_whole:
            self._make_whole()
        return iter(self._orders.values())

    def get(self, client_order_id: ClientOrderId) -> Order | None:
        order = self._orders.get(client_order_id)
        if order is None and not self._is_whole and client_order_id in self._names:
            self._make_whole()
            return self._orders[client_order_id]
        return order

    def add(self, order: Order) -> None:
        client_order_id = order.client_order_id
        self._names.setdefault(client_order_id)
        self._orders[client_order_id] = order
        self.active[client_order_id] = order

    def update(self, order: Order) -> None:
        """An event was applied: a closed order is no longer active, and is again when a late fill has opened it."""
        client_order_id = order.client_order_id
        if order.is_closed:
            if self.active.pop(client_order_id, None) is not None:
                self.closed_count += 1
            self._unpacked[client_order_id] = order
        elif client_order_id not in self.active:
            self.active[client_order_id] = order
            self.closed_count -= 1
            self._unpacked.pop(client_order_id, None)

    def __getstate__(self) -> _State:
        packable = [order for order in self._unpacked.values() if order.is_made_of_events]
        if packable:
            self._packed.append(pack_orders(order.events for order in packable))
            for order in packable:
                del self._unpacked[order.client_order_id]
        names = [client_order_id.value for client_order_id in self._names]
        return names, list(self.active.values()), list(self._unpacked.values()), self.closed_count, self._packed

    def __setstate__(self, state: _State) -> None:
        names, active, unpacked, self.closed_count, self._packed = state
        self._names = dict.fromkeys(map(unchecked_client_order_id, names))
        self.active = {order.client_order_id: order for order in active}
        self._unpacked = {order.client_order_id: order for order in unpacked}
        self._orders = {**self._unpacked, **self.active}
        self._is_whole = False

    def _make_whole(self) -> None:
        """Make the closed orders that are only packed, and bring all into their sequence."""
        newest = {}
        for packed in self._packed:
            for events in unpack_orders(packed):
                newest[events[0].client_order_id] = events
        here = self._orders
        made = {name: order_from_events(events) for name, events in newest.items() if name not in here}
        self._orders = {name: here[name] if name in here else made[name] for name in self._names}
        self._is_whole = True
