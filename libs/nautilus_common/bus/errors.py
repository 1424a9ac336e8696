"""What can be wrong with the bus, told so that it can be mended.

BusError
+-- BusUnreachable      nothing listens there, or what listens there is no nats-server
+-- BusRefused          the server does not know the user, or the password is wrong
+-- ServerTooOld        a nats-server without atomic batches
+-- ServerUnfit         JetStream is off, or a log that is not written to disk before it is acknowledged
+-- StreamConflict      a stream that is there and not as it must be
+-- LayoutError         `streams.toml` cannot be used
+-- MessageTooLarge     found before a byte is sent
"""

from __future__ import annotations

from nautilus_common.errors import FleetError


class BusError(FleetError):
    """What is wrong with the bus, where, and the next useful action."""


class BusUnreachable(BusError):
    """Nothing listens there, or it is no nats-server."""


class BusRefused(BusError):
    """Unknown user, wrong password, or none given."""


class ServerTooOld(BusError):
    """The server lacks what the fleet stands on."""


class ServerUnfit(BusError):
    """The server is new enough and not set up as it must be."""


class StreamConflict(BusError):
    """A stream that is there has a setting that cannot be changed, or whose change would lose messages."""


class LayoutError(BusError):
    """The file of streams cannot be read, or the name of a world cannot be used."""

    exit_code = 2


class MessageTooLarge(BusError):
    """More bytes than the server takes in one message."""
