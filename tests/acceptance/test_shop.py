"""The example shop from the command line: services that need each other, a worker, a job, a database."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.acceptance.test_cli import PATIENCE, Host, get, host, until
from tests.acceptance.test_entrypoint import port

__all__ = ["host", "port"]

SHOP = Path(__file__).parents[2] / "examples" / "shop"
FIVE = ["cart", "catalog", "mailer", "report", "web"]
CALM = {"cart": 1, "catalog": 1, "mailer": 1, "report": 1, "web": 1}


class Shop:
    """A copy of the example in a git repository of its own."""

    def __init__(self, host: Host, port: int) -> None:
        self.host, self.port = host, port
        self.folder = host.home.parent / "shop"
        shutil.copytree(SHOP, self.folder)
        # No run of its own comes between: the next one is half an hour away.
        half = (datetime.now(UTC).minute + 30) % 60
        self.edit("deployd.yaml", '"*/5 * * * *" # every five minutes', f'"{half} * * * *"')
        for argv in (["init", "-q"], ["add", "."], ["commit", "-qm", "The shop"]):
            identity = ["-c", "user.name=a", "-c", "user.email=a@b.test"]
            subprocess.run(["git", *identity, *argv], cwd=self.folder, check=True)

    def request(self, method: str, path: str) -> tuple[int, str]:
        """As a browser asks web.localhost, which resolvers other than browsers' may not know."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, headers={"Host": f"web.localhost:{self.port}"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def page(self) -> str:
        try:
            status, text = self.request("GET", "/")
        except OSError:
            return ""  # nobody listens there, for the moment
        return text if status == 200 else ""

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.folder / path).read_text()
        assert old in text
        written = self.folder.parent / "edited"  # whole at once: `up` may take a snapshot now
        written.write_text(text.replace(old, new))
        written.replace(self.folder / path)

    def releases(self) -> dict[str, int]:
        services = self.host.json("status")
        assert {(one["name"], one["state"], one["health"]) for one in services} == {
            (name, "SERVING", "HEALTHY") for name in FIVE
        }
        return {one["name"]: one["serving"]["number"] for one in services}

    def deploy(self) -> set[str]:
        """Which services were deployed; the others are told as left alone."""
        said = self.host.run("deploy", str(self.folder))
        deployed = set(re.findall(r"^(\w+) (?:answers at|runs)", said, re.MULTILINE))
        for name in {*FIVE} - deployed:
            assert re.search(rf"^{name}: nothing to do, it serves this already", said, re.MULTILINE), said
        return deployed


@pytest.fixture
def shop(host: Host, port: int) -> Shop:
    return Shop(host, port)


def processes(home: Path) -> Iterator[str]:
    """The command lines of all processes that have to do with this home."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            place = bytes((folder / "cwd").readlink())
            environ = (folder / "environ").read_bytes()
        except OSError:
            continue  # it ended meanwhile
        if any(bytes(home) in one for one in (command, place, environ)):
            yield command.replace(b"\0", b" ").decode(errors="replace")


def test_a_day_of_the_shop(shop: Shop, host: Host) -> None:
    said = host.run("up", str(shop.folder), "-d")
    assert f"web answers at http://web.localhost:{shop.port}\n" in said
    assert "\nmailer runs\n" in said
    moment = r"(\d{4}-\d\d-\d\d \d\d:\d\d|\d\d:\d\d:\d\d)"  # tomorrow's have a date
    assert re.search(rf"^report: next run {moment}$", said, re.MULTILINE), said
    assert shop.releases() == CALM
    table = host.run("status")
    orders = r"^orders +postgres +ready +healthy +managed +cart, mailer, report +\d+s$"
    assert re.search(orders, table, re.MULTILINE), table
    report = rf"^report +serving +healthy +1 +next run {moment} "
    assert re.search(report, table, re.MULTILINE), table

    # An order goes from the page by the cart and its catalog into the database, and the mailer confirms it.
    page = shop.page()
    assert "Green tea, 8.90" in page
    assert "none yet" in page
    assert shop.request("POST", "/order/tea")[0] == 303
    assert shop.request("POST", "/order/nothing")[0] == 502, "the catalog does not have it"
    until(lambda: "1: tea ✓ confirmed" in shop.page(), shop.page)
    until(lambda: "order 1 (tea) is confirmed" in host.run("logs", "mailer"), "the mailer says so")
    assert "the database is up to date (2 steps)" in host.run("logs", "cart")
    assert "succeeded" in host.run("run", "report")
    until(lambda: "tea: 1 sold for 8.90\n" in host.run("logs", "report"), "the report counts it")

    # Only what an edit touches is deployed.
    shop.edit("web/server.py", "<h1>The shop</h1>", "<h1>The tea shop</h1>")
    assert shop.deploy() == {"web"}
    assert "<h1>The tea shop</h1>" in shop.page()
    shop.edit("catalog/products.json", "890", "990")
    assert shop.deploy() == {"catalog"}
    assert "Green tea, 9.90" in shop.page()
    (shop.folder / "README.md").write_text("A shop\n")
    assert shop.deploy() == set()
    assert shop.releases() == CALM | {"web": 2, "catalog": 2}

    assert "suspending" in host.run("down")
    until(lambda: not [*processes(host.home)], lambda: [*processes(host.home)])

    # In the foreground: what is edited is served; a broken manifest is told, and mended by the next edit.
    up = host.start("up", str(shop.folder))
    host.hears(up, "what is edited is deployed; Ctrl-C ends it")
    assert "1: tea ✓ confirmed" in shop.page()
    shop.edit("web/server.py", "The tea shop", "The open shop")
    until(lambda: "<h1>The open shop</h1>" in shop.page(), lambda: host.said(up))
    shop.edit("deployd.yaml", "health: /healthz", "helth: /healthz")
    host.hears(up, "is an unknown key, would be `health`")
    shop.edit("web/server.py", "The open shop", "The mended shop")
    shop.edit("deployd.yaml", "helth: /healthz", "health: /healthz")
    until(lambda: "<h1>The mended shop</h1>" in shop.page(), lambda: host.said(up))
    up.send_signal(signal.SIGINT)
    assert up.wait(PATIENCE) == 0, host.said(up)
    until(lambda: not [*processes(host.home)], lambda: [*processes(host.home)])

    host.run("up", str(shop.folder), "-d")
    assert "1: tea ✓ confirmed" in shop.page()
    kept = json.loads(get(f"{host.json('status', 'cart')['address']}/orders"))
    assert kept == [{"order": 1, "product": "tea", "cents": 890, "mailed": True}]
