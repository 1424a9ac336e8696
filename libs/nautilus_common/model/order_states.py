"""The lifecycle of an order as data: from which status an event may lead to which.

`TRANSITIONS[status][target]` is the status that results, or None where the step is illegal. It is NautilusTrader's
table with additions. A strategy of ours sees its order SUBMITTED when `submit_order` returns, and may change or cancel
it at once; a denial by risk comes as an event later in the same turn, from each of these three. And a stop can trigger
while its cancel is on the way.

Three events are not steps of the table. `OrderModifyRejected` and `OrderCancelRejected` give an order that is pending
its previous status back, and say nothing to another order (a cancel may be refused because the order has just been
filled). `OrderUpdated` ends a pending update in the same way, and is legal wherever the order is alive.
"""

from nautilus_common.model.enums import OrderStatus

_S = OrderStatus

_FILLS = (_S.PARTIALLY_FILLED, _S.FILLED)

#: What follows each status; a status that is not a key is final.
FOLLOWERS: dict[OrderStatus, tuple[OrderStatus, ...]] = {
    # The last five are for orders that were made elsewhere and first seen in a later state.
    _S.INITIALIZED: (
        _S.DENIED,
        _S.EMULATED,
        _S.RELEASED,
        _S.SUBMITTED,
        _S.REJECTED,
        _S.ACCEPTED,
        _S.CANCELED,
        _S.EXPIRED,
        _S.TRIGGERED,
    ),
    _S.EMULATED: (_S.CANCELED, _S.EXPIRED, _S.RELEASED),
    _S.RELEASED: (_S.DENIED, _S.SUBMITTED, _S.CANCELED),
    _S.SUBMITTED: (
        _S.DENIED,  # our addition, see above
        _S.PENDING_UPDATE,
        _S.PENDING_CANCEL,
        _S.REJECTED,
        _S.CANCELED,
        _S.ACCEPTED,
        *_FILLS,
    ),
    _S.ACCEPTED: (
        _S.REJECTED,
        _S.PENDING_UPDATE,
        _S.PENDING_CANCEL,
        _S.CANCELED,
        _S.TRIGGERED,
        _S.EXPIRED,
        *_FILLS,
    ),
    # A fill can cross a cancel on its way: the venue's fills always win.
    _S.CANCELED: _FILLS,
    _S.PENDING_UPDATE: (
        _S.DENIED,  # our addition
        _S.REJECTED,
        _S.ACCEPTED,
        _S.CANCELED,
        _S.EXPIRED,
        _S.TRIGGERED,
        _S.SUBMITTED,
        _S.PENDING_UPDATE,
        _S.PENDING_CANCEL,
        *_FILLS,
    ),
    _S.PENDING_CANCEL: (
        _S.DENIED,  # our addition
        _S.TRIGGERED,  # our addition
        _S.REJECTED,
        _S.PENDING_CANCEL,
        _S.CANCELED,
        _S.EXPIRED,
        _S.ACCEPTED,
        *_FILLS,
    ),
    _S.TRIGGERED: (_S.REJECTED, _S.PENDING_UPDATE, _S.PENDING_CANCEL, _S.CANCELED, _S.EXPIRED, *_FILLS),
    _S.PARTIALLY_FILLED: (_S.PENDING_UPDATE, _S.PENDING_CANCEL, _S.CANCELED, _S.EXPIRED, *_FILLS),
}

#: Steps that end elsewhere than where the event points: the acknowledgement of a submit does not end a pending update,
#: nor a trigger a pending cancel.
_REDIRECTED = {
    (_S.PENDING_UPDATE, _S.SUBMITTED): _S.PENDING_UPDATE,
    (_S.PENDING_CANCEL, _S.TRIGGERED): _S.PENDING_CANCEL,
}

_SIZE = max(OrderStatus) + 1


def _build_transitions() -> tuple[tuple[OrderStatus | None, ...], ...]:
    rows: list[list[OrderStatus | None]] = [[None] * _SIZE for _ in range(_SIZE)]
    for status, targets in FOLLOWERS.items():
        for target in targets:
            rows[status][target] = _REDIRECTED.get((status, target), target)
    return tuple(tuple(row) for row in rows)


TRANSITIONS = _build_transitions()


def steps_to(target: OrderStatus) -> tuple[OrderStatus | None, ...]:
    """The table's column for `target`: what results from it, indexed by the status before."""
    return tuple(row[target] for row in TRANSITIONS)


def flags(*statuses: OrderStatus) -> tuple[bool, ...]:
    """A table of truth indexed by status."""
    return tuple(value in statuses for value in range(_SIZE))


IS_ACTIVE_LOCAL = flags(_S.INITIALIZED, _S.EMULATED, _S.RELEASED)
IS_INFLIGHT = flags(_S.SUBMITTED, _S.PENDING_UPDATE, _S.PENDING_CANCEL)
IS_OPEN = flags(_S.ACCEPTED, _S.TRIGGERED, _S.PENDING_UPDATE, _S.PENDING_CANCEL, _S.PARTIALLY_FILLED)
IS_CLOSED = flags(_S.DENIED, _S.REJECTED, _S.CANCELED, _S.EXPIRED, _S.FILLED)
IS_PENDING = flags(_S.PENDING_UPDATE, _S.PENDING_CANCEL)
IS_UPDATABLE = tuple(not closed for closed in IS_CLOSED)


class OrderError(ValueError):
    """An event that cannot be applied to the order. The order is as it was before.

    InvalidStateTransition  the order's status does not allow the event
    DuplicateFill           the order already has a fill with this trade id
    OverfillError           the fill is for more than the order still has
    """


class InvalidStateTransition(OrderError):
    """The order's status does not allow the event."""


class DuplicateFill(OrderError):
    """The order already has a fill with this trade id."""


class OverfillError(OrderError):
    """The fill is for more than the order still has, and overfills are not allowed."""
