"""The shop's pages: what the catalog has, a button that orders it, and the newest orders."""

import json
import os
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import URLError
from urllib.request import Request, urlopen

CATALOG, CART = os.environ["CATALOG_URL"], os.environ["CART_URL"]

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>The shop</title>
<style>body {{ font: 1.1rem/1.6 system-ui; max-width: 40rem; margin: 3rem auto }} form {{ display: inline }}
li {{ margin: .4rem 0 }} button {{ font: inherit }}</style></head>
<body><h1>The shop</h1><ul>{products}</ul><h2>Newest orders</h2><ul>{orders}</ul></body></html>"""
PRODUCT = (
    """<li>{name}, {price:.2f} <form method="post" action="/order/{id}"><button>order</button></form></li>"""
)


def ask(url: str, *, post: bool = False) -> object:
    """What another service answers. Raises URLError."""
    request = Request(url, method="POST" if post else "GET", data=b"" if post else None)  # noqa: S310
    with urlopen(request, timeout=5) as answer:  # noqa: S310 - our own addresses
        return json.load(answer)


def page() -> str:
    """The one page. Raises URLError."""
    products = "".join(
        PRODUCT.format(id=escape(one["id"]), name=escape(one["name"]), price=one["cents"] / 100)
        for one in ask(f"{CATALOG}/products")
    )
    orders = "".join(
        f"<li>{one['order']}: {escape(one['product'])}{' ✓ confirmed' if one['mailed'] else ''}</li>"
        for one in ask(f"{CART}/orders")
    )
    return PAGE.format(products=products, orders=orders or "<li>none yet</li>")


class Web(BaseHTTPRequestHandler):
    """GET /, POST /order/PRODUCT, GET /healthz."""

    def do_GET(self) -> None:
        """Look."""
        if self.path == "/healthz":
            self.answer(200, "ok")
        elif self.path == "/":
            try:
                self.answer(200, page())
            except URLError as error:
                self.answer(502, f"a part of the shop does not answer: {escape(str(error))}")
        else:
            self.answer(404, "there is nothing here")

    def do_POST(self) -> None:
        """Order, then look."""
        try:
            ask(f"{CART}/orders/{self.path.removeprefix('/order/')}", post=True)
        except URLError as error:
            self.answer(502, f"it could not be ordered: {escape(str(error))}")
        else:
            self.send_response(303)
            self.send_header("Location", "/")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def answer(self, status: int, text: str) -> None:
        """Send a page."""
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Health checks come too often to be news."""
        if self.path != "/healthz":
            super().log_request(code, size)


ThreadingHTTPServer(("", int(os.environ["PORT"])), Web).serve_forever()
