"""The catalog: what there is to buy, from a file."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PRODUCTS = json.loads(Path(__file__).with_name("products.json").read_text())


class Catalog(BaseHTTPRequestHandler):
    """GET /products, GET /products/ID, GET /healthz."""

    def do_GET(self) -> None:
        """Answer with JSON."""
        found = {f"/products/{one['id']}": one for one in PRODUCTS}
        answers = {"/healthz": {"ok": True}, "/products": PRODUCTS, **found}
        content = json.dumps(answers.get(self.path, {"error": "there is no such product"})).encode()
        self.send_response(200 if self.path in answers else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Health checks come too often to be news."""
        if self.path != "/healthz":
            super().log_request(code, size)


ThreadingHTTPServer(("", int(os.environ["PORT"])), Catalog).serve_forever()
