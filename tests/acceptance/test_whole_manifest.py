"""What deployd.yaml says of how a service starts, runs and is reached: each from the file to its effect."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.echo import Folder, ask, sql
from tests.acceptance.rolling import Load
from tests.acceptance.test_cli import Host, get, host, until
from tests.acceptance.test_entrypoint import port
from tests.acceptance.test_secrets import set_secret

__all__ = ["host", "port"]

RUN = "/usr/bin/python3 -S server.py"


@pytest.fixture
def folder(host: Host, port: int) -> Folder:
    return Folder(host)


def commands() -> list[str]:
    """Of all processes of this host."""
    found = []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(one.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            pass  # it ended meanwhile
    return found


def test_before_runs_once_for_each_deployment_and_can_be_cancelled(folder: Folder, host: Host) -> None:
    def manifest(before: str) -> None:
        folder.manifest(f"""
            services:
              cart: {{run: {RUN}, port: 8080, before: "{before}", env: {{KEY: "${{secrets.payment}}"}}}}
        """)

    set_secret(host, "payment", "hush-4711")
    ran, began = folder.marks / "ran", folder.marks / "began"
    manifest(f"echo before with $KEY; echo $KEY >> {ran}")
    folder.deploy()
    assert ran.read_text() == "hush-4711\n"
    assert "before with [secret payment]" in host.run("logs", "cart")
    folder.version("two")
    folder.deploy()
    assert ran.read_text() == "hush-4711\n" * 2
    assert "nothing to do" in folder.deploy()
    assert ran.read_text() == "hush-4711\n" * 2

    sleep = f"{time.time_ns() % 10**9 + 10**9}"  # to be known by
    manifest(f"echo began > {began}; sleep {sleep}")
    folder.version("three")
    folder.deploy("--no-wait")
    until(began.exists, "it began")
    assert any(f"sleep {sleep}" in one for one in commands())
    host.run("cancel", "cart")
    until(lambda: host.json("history", "cart")[0]["state"] == "CANCELLED", "it is cancelled")
    until(lambda: not any(f"sleep {sleep}" in one for one in commands()), "what ran before it has ended")
    assert folder.get("cart") == "two"
    assert host.json("status", "cart")["serving"]["number"] == 2

    manifest("sleep 0.1")
    folder.deploy()
    assert folder.get("cart") == "three"


async def test_a_job_with_a_secret_and_a_database(folder: Folder, host: Host) -> None:
    given, broken = folder.marks / "given", folder.marks / "broken"
    folder.write(
        "job.py",
        f"import os, sys\nopen({str(given)!r}, 'a').write(os.environ['URL'] + chr(10))\n"
        "print('counting for', os.environ['KEY'])\n"
        f"sys.exit('no paper' if os.path.exists({str(broken)!r}) else 0)\n",
    )
    folder.manifest("""
        services:
          report:
            run: python3 job.py
            schedule: "0 3 1 1 *"
            resources: {db: {slug: postgres, params: {connections: 3}}}
            env: {KEY: "${secrets.payment}", URL: "${resources.db.url}"}
    """)
    assert "deployd secret set payment" in folder.deploy(code=1)
    set_secret(host, "payment", "hush-4711")
    folder.deploy()
    assert not given.exists(), "it is not due"
    assert re.search(
        r"^report +serving +healthy +1 +next run \d{4}-01-01 \d\d:00 ", host.run("status"), re.MULTILINE
    )
    assert "succeeded" in host.run("run", "report")
    until(lambda: "counting for [secret payment]" in host.run("logs", "report"), "what it wrote is there")
    [url] = given.read_text().split()
    assert await sql(url, "select rolconnlimit from pg_roles where rolname = current_user") == 3
    assert await sql(url, "create table counts (n int)", "select count(*) from counts") == 0
    broken.touch()
    said = host.run("run", "report", code=1)
    assert "exited with code 1" in said
    assert "no paper" in said
    assert host.json("status", "report")["lastRunReason"]["code"] != "RUN_SUCCEEDED"
    assert given.read_text().split() == [url, url]


def test_rollouts_under_load(folder: Folder, host: Host, port: int) -> None:
    def roll(version: str, rollout: str) -> str:
        folder.manifest(f"services:\n  cart: {{run: {RUN}, port: 8080, rollout: {rollout}}}\n")
        folder.version(version)
        return folder.deploy()

    def settled(load: Load, version: str) -> None:
        seen = len(load.answers)
        until(lambda: len(load.answers) > seen + 20, "answers")
        assert set(load.answers[-10:]) == {version}

    roll("one", "rolling")
    outside = f"http://127.0.0.1:{port}"
    with Load((outside,)) as load:
        for version, rollout in (
            ("two", "rolling"),
            ("three", "{strategy: blue-green, keep: 1s}"),
            ("four", "{strategy: canary, steps: [30], interval: 1s}"),
        ):
            before = len(load.answers)
            roll(version, rollout)
            settled(load, version)
            if "canary" in rollout:
                during = load.answers[before:]
                first = during.index(version)
                assert "three" in during[first : first + 200], "it began with a share"
        assert load.failures == []
        roll("five", "recreate")
        settled(load, "five")
    assert set(load.failures) == {(503, "service cart is being replaced\n", "1")}
    assert set(load.answers) == {"one", "two", "three", "four", "five"}


def test_addresses_routes_and_gates(folder: Folder, host: Host, port: int) -> None:
    folder.manifest(f"""
        services:
          cart:
            run: {RUN} cart
            port: 8080
            requires: [web-shop]
            routes: [{{host: shop.test, path: /cart}}, {{host: office.test, gate: office}}]
          web-shop:
            run: {RUN} web
            port: 8080
            requires: [cart]
            routes: [{{host: shop.test}}]
            env:
              CART: "${{services.cart.url}}/deeper"
              STORE: "${{services.store.host}}:${{services.store.port}}"
              STORE_ADDRESS: "${{services.store.url}}"
          store: {{run: python3 tcp.py, ports: {{tcp: 6379}}}}
    """)
    said = folder.deploy(code=1)
    assert re.search(r"deployd\.yaml:\d+:\d+: .*gate.*office", said), said
    host.run("world", "gate", "office", "--allow", "192.0.2.0/24")
    folder.deploy()

    # Two that need each other, and one that speaks no HTTP.
    assert folder.get("cart", "/ask/WEB_SHOP_URL") == "web"
    assert folder.get("web-shop", "/ask/CART_URL") == "cart"
    assert folder.get("web-shop", "/ask/CART") == "cart"
    assert folder.get("web-shop", "/tcp/STORE") == "PING"
    env = folder.env("web-shop")
    assert env["STORE_ADDRESS"] == f"tcp://{env['STORE']}"
    assert env["CART"] == f"{env['CART_URL']}/deeper"

    # From outside, by host and path; each segment whole.
    assert ask(port, "shop.test", "/cart/1") == (200, "cart")
    assert ask(port, "shop.test", "/carts") == (200, "web")
    assert ask(port, "SHOP.test:7080", "/") == (200, "web")
    assert ask(port, "cart.localhost") == (200, "cart")
    assert ask(port, "other.test")[0] == 404

    # A gate closes and opens without a deployment.
    assert ask(port, "office.test")[0] == 403
    host.run("world", "gate", "office", "--allow", "127.0.0.0/8", "--allow", "192.0.2.0/24")
    until(lambda: ask(port, "office.test") == (200, "cart"), "it lets us in")
    host.run("world", "gate", "office", "--allow", "192.0.2.0/24")
    until(lambda: ask(port, "office.test")[0] == 403, "it lets us in no more")
    assert "192.0.2.0/24" in host.run("world", "gate")

    # A new release of one is found by the other at the same address.
    before = env["CART_URL"]
    text = (folder.path / "deployd.yaml").read_text()
    folder.write("deployd.yaml", text.replace(f"{RUN} cart", f"{RUN} trolley"))
    assert "web-shop: nothing to do" in folder.deploy()
    assert folder.env("web-shop")["CART_URL"] == before
    assert folder.get("web-shop", "/ask/CART_URL") == "trolley"
    host.run("suspend", "cart")
    assert_refused(lambda: folder.get("web-shop", "/ask/CART_URL"))
    host.run("resume", "cart")
    assert folder.get("web-shop", "/ask/CART_URL") == "trolley"
    assert get(host.json("status", "cart")["address"]) == "trolley"


def assert_refused(call: Callable[[], object]) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - the service that asks ends the connection
        call()
