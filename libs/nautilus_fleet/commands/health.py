"""`fleet health`: asks one process whether it is ready, as a container's health check does."""

from __future__ import annotations

import http.client
import os
import sys

from nautilus_fleet.errors import EXIT_ERROR, EXIT_OK, UsageError

ANSWER_BYTES_MAX = 65_536


def health(address: str | None = None, *, timeout: float = 3.0) -> int:
    """Ask a process whether it is ready; its answer on stdout, exit code 0 when it is and 1 when it is not.

    Usage: fleet health [ADDRESS] [--timeout SECONDS]

      ADDRESS     host:port on which the process tells of itself (default: FLEET_HTTP; 0.0.0.0 there means this machine)
      --timeout   how long to wait for the answer (default 3)

    Example:
      fleet health 127.0.0.1:8080
    """
    address = address or os.environ.get("FLEET_HTTP", "")
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(
            f"{address!r} is no address of a process" if address else "no address of a process",
            remedy="fleet health 127.0.0.1:8080; the port of a local process is in .fleet/run/<process>.json",
        )
    connection = http.client.HTTPConnection("127.0.0.1" if host == "0.0.0.0" else host, int(port), timeout=timeout)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        text = answer.read(ANSWER_BYTES_MAX).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        print(f"nobody answers at {address}: {error or type(error).__name__}", file=sys.stderr)
        return EXIT_ERROR
    finally:
        connection.close()
    print(text)
    return EXIT_OK if answer.status == 200 else EXIT_ERROR
