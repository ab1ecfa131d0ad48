"""The cart: takes orders, at the catalog's prices."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import urlopen

from cart.database import connect

CATALOG = os.environ["CATALOG"]


def order(product: str) -> dict[str, object]:
    """Take an order. Raises HTTPError for what is not in the catalog."""
    with urlopen(f"{CATALOG}/products/{product}", timeout=5) as answer:  # noqa: S310 - our own address
        found = json.load(answer)
    database = connect()
    [[number]] = database.run(
        "insert into orders (product, cents) values (:product, :cents) returning id",
        product=found["id"],
        cents=found["cents"],
    )
    database.close()
    return {"order": number, "product": found["name"], "cents": found["cents"]}


def orders() -> list[dict[str, object]]:
    """The newest ten."""
    database = connect()
    rows = database.run("select id, product, cents, mailed from orders order by id desc limit 10")
    database.close()
    return [dict(zip(("order", "product", "cents", "mailed"), row, strict=True)) for row in rows]


class Cart(BaseHTTPRequestHandler):
    """GET /orders, POST /orders/PRODUCT, GET /healthz."""

    def do_GET(self) -> None:
        """Look."""
        if self.path == "/healthz":
            self.answer(200, {"ok": True})
        elif self.path == "/orders":
            self.answer(200, orders())
        else:
            self.answer(404, {"error": "there is nothing here"})

    def do_POST(self) -> None:
        """Order."""
        try:
            self.answer(201, order(self.path.removeprefix("/orders/")))
        except HTTPError as error:
            self.answer(error.code, {"error": "the catalog does not have it"})

    def answer(self, status: int, value: object) -> None:
        """Send JSON."""
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Health checks come too often to be news."""
        if self.path != "/healthz":
            super().log_request(code, size)


ThreadingHTTPServer(("", int(os.environ["PORT"])), Cart).serve_forever()
