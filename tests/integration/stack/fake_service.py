"""A service for the supervisor's tests: it tells of itself as processes.md says, and behaves as FAKE_<ROLE> wants.

`crash`: ends at once. `waits`: is never ready. `stubborn`: does not end when asked. `chatty`: writes without end.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NAME = os.environ["FLEET_NAME"]
ROLES = sys.argv[1:]
MANNER = os.environ.get(f"FAKE_{NAME.upper()}", "")


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = 200, b"ok"
        if self.path == "/readyz" and MANNER == "waits":
            status, body = 503, b"waiting for nats://nowhere"
        if self.path == "/status":
            told = {"process": NAME, "roles": ROLES, "pid": os.getpid(), "state": "ready", "uptime_s": 1.5, "lag": 7}
            told |= {"last_message_ns": time.time_ns(), "envs": [os.environ["FLEET_ENV"]], "detail": "fake"}
            body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""


def main() -> int:
    settings = {key: value for key, value in os.environ.items() if key.startswith("FLEET_")}
    print(json.dumps({"serving": ROLES, "cwd": os.getcwd(), **settings}), file=sys.stderr, flush=True)
    if MANNER == "crash":
        print("no such strategy: nowhere.py", file=sys.stderr)
        return 3
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: None if MANNER == "stubborn" else asked.set())
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        run_file = Path(os.environ["FLEET_HOME"], "run", f"{NAME}.json")
        told = {"process": NAME, "pid": os.getpid(), "http": f"127.0.0.1:{server.server_port}", "started_ns": 1}
        run_file.write_text(json.dumps(told))
        while MANNER == "chatty" and not asked.is_set():
            print("x" * 1000, file=sys.stderr)
        # Looked at again and again: after a SIGCONT the kernel may hand the waiting SIGTERM to the other thread, and
        # then nothing wakes this one, which alone runs the handler.
        while not asked.wait(0.02):
            pass
        server.shutdown()
    print("drained", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
