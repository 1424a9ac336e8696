"""A TCP port of this machine that nobody else gets, from before a server starts until after it has stopped."""

from __future__ import annotations

import errno
import socket
import sys

HOST = "127.0.0.1"


class PortTaken(Exception):
    """Somebody else listens on, or holds, the port that was asked for."""


class PortHold:
    """A bound socket that never listens: the system gives its port to nobody who asks for any port.

    On Linux a server that sets SO_REUSEADDR, as all of ours do, may bind the same port beside it, since a socket that
    does not listen is no conflict. So there is no moment at which the port of a server, first started or restarted,
    is free for others; nor can a client that tries to reconnect end up connected to itself. Elsewhere two such sockets
    exclude each other, and the hold is let go just before the server starts.
    """

    def __init__(self, port: int = 0) -> None:
        self._socket: socket.socket | None = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((HOST, port))
        except OSError as error:
            self._socket.close()
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                raise PortTaken(f"port {port} of {HOST} cannot be had: {error.strerror}") from None
            raise
        self.port: int = self._socket.getsockname()[1]

    def yield_to_server(self) -> None:
        """The server is about to bind."""
        if sys.platform != "linux":
            self.release()

    def release(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
