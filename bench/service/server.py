"""The service that is started and changed: listens at once, and answers everything with TEXT.

`server.py [STARTED FILE]`: into FILE it writes, once it listens, its process id, the moment at which it was
started (as it was told) and the moment at which it listens, in seconds since 1970.
"""

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TEXT = "first"


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    def do_GET(self) -> None:
        """Answer GET."""
        body = TEXT.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write nothing: there are many."""


def end(*_: object) -> None:
    """On SIGTERM and SIGINT, at once."""
    raise SystemExit(0)


with ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "0"))), Handler) as server:
    listening = time.time()
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    if len(sys.argv) == 3:
        started = float(sys.argv[1].replace(",", "."))  # bash writes it as the locale has it
        part = Path(f"{sys.argv[2]}.part")
        part.write_text(json.dumps({"pid": os.getpid(), "started": started, "listening": listening}))
        part.rename(sys.argv[2])
    server.serve_forever()
