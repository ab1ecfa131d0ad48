"""A small web server: greets at /, says at /healthz that it is well, and ends cleanly when told to."""

import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GREETING = os.environ.get("GREETING", "Hello!")
PORT = int(os.environ.get("PORT", "8080"))


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    def do_GET(self):
        """Answer GET."""
        path = self.path.partition("?")[0]
        if path == "/":
            self.answer(200, GREETING)
        elif path == "/healthz":
            self.answer(200, "ok")
        else:
            self.answer(404, "There is nothing here.")

    def do_HEAD(self):
        """Answer HEAD as GET, without the body."""
        self.do_GET()

    def answer(self, status, text):
        """Send a line of text."""
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_request(self, code="-", size="-"):
        """One line for each request, at once; health checks come too often to be news."""
        if self.path != "/healthz":
            print(repr(self.requestline), int(code), flush=True)


def main():
    """Serve until SIGTERM."""
    server = ThreadingHTTPServer(("", PORT), Handler)
    # shutdown() waits for serve_forever(), which this very thread runs: hence another thread.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"listening on port {PORT}", flush=True)
    with server:
        server.serve_forever()
    print("ended", flush=True)


if __name__ == "__main__":
    main()
