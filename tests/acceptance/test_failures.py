"""What can go wrong, from the command line on: a clear end, and what served before serves on."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from deployd.cli import documents
from deployd.cli.client import Client
from deployd.cli.session import begin
from deployd.drivers.process.instance import read_status
from tests.acceptance.test_cli import PATIENCE, Host, get, host, process, until
from tests.integration.sources.https import https

__all__ = ["host"]

SERVER = """
import os, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        sick = self.path == "/healthz" and os.path.exists(os.environ["HOME"] + "/sick")
        self.send_response(500 if sick else 200)
        self.end_headers()
        self.wfile.write(b"release %d" % VERSION)
    def log_message(self, *_): pass

VERSION = 1
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
MANIFEST = """\
deployd: 1
services:
  cart:
    run: python3 server.py
    port: 8080
    health: {path: /healthz, timeout: 4s}
"""


class Shop:
    """One server with one service that serves its first release."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.folder = host.home.parent / "shop"
        self.folder.mkdir()
        self.write("server.py", SERVER)
        self.write("deployd.yaml", MANIFEST)
        host.start("serve")
        until(lambda: host.server() is not None, "the server is there")
        self.deploy()

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def add(self, line: str) -> None:
        """One more line for the service."""
        self.write("deployd.yaml", f"{MANIFEST}    {line}\n")

    def deploy(self, *argv: str, code: int = 0) -> str:
        return self.host.run("deploy", *(argv or (str(self.folder),)), code=code)

    def is_well(self) -> bool:
        service = self.host.json("status", "cart")
        return (service["state"], service["health"]) == ("SERVING", "HEALTHY")

    def serves(self, text: str = "release 1") -> None:
        [service] = self.host.json("status")
        assert (service["state"], service["health"]) == ("SERVING", "HEALTHY")
        assert get(service["address"]) == text


@pytest.fixture
def shop(host: Host) -> Shop:
    return Shop(host)


WRONG = {
    "broken YAML": ("env: {A: [}", r"deployd\.yaml:7:\d+: YAML: "),
    "an unknown key": ("helth: /", r"deployd\.yaml:7:5: services\.cart\.helth: is an unknown key.*`health`"),
    "an unknown slug": ("resources: {db: postgrs}", r"deployd\.yaml:7:\d+: .*resources\.db.*`?postgres"),
    "an unknown resource": (
        'env: {URL: "${resources.db.url}"}',
        r"deployd\.yaml:7:\d+: services\.cart\.env\.URL: .*db",
    ),
    "an unknown output": (
        'resources: {db: postgres}\n    env: {URL: "${resources.db.ulr}"}',
        r"deployd\.yaml:8:\d+: services\.cart\.env\.URL: .*url",
    ),
    "an unknown service": ("requires: [cat]", r"deployd\.yaml:7:\d+: services\.cart\.requires.*cat"),
    "an unknown secret": (
        'env: {KEY: "${secrets.payment}"}',
        r"deployd\.yaml:7:\d+: services\.cart\.env\.KEY: .*deployd secret set payment",
    ),
    "an unknown entrypoint": (
        "routes: [{host: shop.test, entrypoint: publik}]",
        r"deployd\.yaml:7:\d+: services\.cart\.routes.*entrypoint",
    ),
    "an unknown gate": (
        "routes: [{host: shop.test, gate: office}]",
        r"deployd\.yaml:7:\d+: services\.cart\.routes.*gate",
    ),
    "a scale that the world does not have": ("scale: 3", r"scale 3, but a world of processes runs one"),
}


def test_what_is_wrong_in_the_manifest_is_told_with_its_place(shop: Shop) -> None:
    for name, (line, expected) in WRONG.items():
        shop.add(line)
        said = shop.deploy(code=1)
        assert re.search(expected, said), f"{name}:\n{said}"
    shop.serves()
    assert len(shop.host.json("history", "cart")) == 1, "nothing was started for any of them"


def test_images_are_refused_by_a_world_of_processes(shop: Shop) -> None:
    shop.write("deployd.yaml", MANIFEST.replace("run: python3 server.py", "image: registry.test/cart:1"))
    assert "runs source trees, not images such as registry.test/cart:1" in shop.deploy(code=1)
    shop.serves()


def test_a_dockerfile_that_is_missing_or_broken(shop: Shop) -> None:
    shop.write("deployd.yaml", MANIFEST.replace("run: python3 server.py", "build: ."))
    assert re.search(r"Dockerfile", shop.deploy(code=1))
    shop.write("Dockerfile", "FROM python:3.12\nCPOY . .\nCMD python3 server.py\n")
    assert re.search(r"Dockerfile:2: .*CPOY", shop.deploy(code=1), re.IGNORECASE)
    shop.serves()


def test_programs_that_do_not_come_up(shop: Shop) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        for program, expected in (
            ('import sys; sys.exit("no configuration")', r"exited with code 1(?s:.*)no configuration"),
            ("import time; time.sleep(60)", r"does not listen on its port"),
            (SERVER.replace("500 if sick else 200", "503"), r"answered 503|503"),
            (SERVER.replace('int(os.environ["PORT"])', str(port)), r"Address already in use"),
        ):
            shop.write("server.py", program)
            said = shop.deploy(code=1)
            assert re.search(expected, said), said
            assert "rolled back" in said
            shop.serves()
    assert [one["state"] for one in shop.host.json("history", "cart")] == ["ROLLED_BACK"] * 4 + ["SUCCEEDED"]


def test_a_program_that_becomes_unhealthy_later_says_so_and_recovers(shop: Shop) -> None:
    shop.write("sick", "")
    [home] = (shop.host.home / "drivers").glob("deploy-process/*/*/home")
    (home / "sick").touch()
    until(lambda: shop.host.json("status")[0]["health"] == "DEGRADED", "it is degraded")
    assert "500" in shop.host.run("status")
    (home / "sick").unlink()
    until(lambda: shop.host.json("status")[0]["health"] == "HEALTHY", "it is well again")


def test_a_program_that_ignores_sigterm_is_replaced(shop: Shop) -> None:
    first = process(shop.host, "cart")
    patient = MANIFEST.replace("4s", "60s")  # a busy machine starts it beside one that does not end
    shop.write("deployd.yaml", patient.replace("server.py", "server.py stubborn"))
    shop.deploy()
    stubborn = process(shop.host, "cart", first)
    shop.write("deployd.yaml", patient)
    shop.write("server.py", SERVER.replace("VERSION = 1", "VERSION = 2"))
    shop.deploy()
    shop.serves("release 2")
    with pytest.raises(ProcessLookupError):
        os.kill(stubborn, 0)


def test_a_failing_before_starts_nothing(shop: Shop) -> None:
    shop.add("before: echo cannot migrate >&2; exit 3")
    shop.write("server.py", SERVER.replace("VERSION = 1", "VERSION = 2"))
    said = shop.deploy(code=1)
    assert re.search(r"exited with code 3(?s:.*)cannot migrate", said), said
    shop.serves()
    shop.add("before: test -f server.py")
    shop.deploy()
    shop.serves("release 2")


def git(*argv: str, cwd: Path) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.test", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *identity, *argv], cwd=cwd, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_git_that_is_not_there(shop: Shop) -> None:
    url = str(shop.host.home.parent / "repository")
    assert "repository" in shop.deploy("--git", f"file://{url}", code=1)
    shutil.copytree(shop.folder, url)
    git("init", "-q", cwd=Path(url))
    git("add", ".", cwd=Path(url))
    git("commit", "-qm", "one", cwd=Path(url))
    assert "'mein'" in (said := shop.deploy("--git", url, "--ref", "mein", code=1))
    assert "main" in said.replace("mein", "")
    assert "0123456789" in shop.deploy("--git", url, "--ref", "0123456789" * 4, code=1)
    shop.serves()


def test_a_git_server_that_lets_nobody_in(host: Host) -> None:
    root = host.home.parent / "repositories"
    with https(root) as server:
        host.environ["GIT_SSL_CAINFO"] = str(server.certificate)
        shop = Shop(host)
        shutil.copytree(shop.folder, root / "shop")
        for argv in (("init", "-q"), ("add", "."), ("commit", "-qm", "one")):
            git(*argv, cwd=root / "shop")
        url = f"{server.url}/shop/.git"
        said = shop.deploy("--git", url, code=1)
        assert "does not let deployd in" in said
        assert "git-credentials in DEPLOYD_HOME" in said
        allowed = host.home / "git-credentials"
        allowed.touch(mode=0o600)
        allowed.write_text(server.url.replace("//", "//ada:wr0ng@"))
        said = shop.deploy("--git", url, code=1)
        assert "does not let deployd in" in said
        assert "wr0ng" not in said
        shop.serves()
        allowed.write_text(server.url.replace("//", f"//ada:{server.password}@"))
        shop.deploy("--git", url, "--all")
        shop.serves()
        assert shop.host.json("status", "cart")["serving"]["number"] == 2


def test_a_full_disk_for_logs_costs_lines_not_the_service(host: Host) -> None:
    shop = Shop(host)
    flood = '        if self.path == "/flood": print("x" * 40_000_000, flush=True)\n'
    first = process(host, "cart")
    shop.write("server.py", SERVER.replace("        sick =", f"{flood}        sick ="))
    shop.deploy()
    pid = process(host, "cart", first)
    folders = [one.parent for one in (host.home / "drivers").glob("deploy-process/*/*/*/logs")]
    for folder in folders:
        (folder / "logs" / "0000000002.log").symlink_to("/dev/full")
    address = host.json("status", "cart")["address"]
    assert get(f"{address}/flood") == "release 1"
    until(lambda: any(read_status(folder).dropped for folder in folders), "lines are lost")
    # It answers one request at a time: who asks how it does may have waited in vain, and asks again.
    until(shop.is_well, "it is well")
    assert get(address) == "release 1"
    assert process(host, "cart") == pid
    shop.write("server.py", SERVER.replace("VERSION = 1", "VERSION = 2"))
    shop.deploy()
    shop.serves("release 2")


def automatically(host: Host, repository: Path) -> None:
    """Deploy the branch as a webhook would, and wait for the end."""

    async def ask() -> None:
        token = (host.home / "token").read_text().strip()
        source = {"repository": {"url": str(repository), "ref": "main"}, "automatic": True}
        async with Client(host.json("version")["url"], token) as client:
            change = await begin(client, "local", source, [])
            async with asyncio.timeout(PATIENCE):
                while not (await client.query(documents.CHANGE, {"id": change}))["change"]["finished"]:
                    await asyncio.sleep(0.05)

    asyncio.run(ask())


def test_a_commit_that_arrives_after_a_newer_one_changes_nothing(shop: Shop) -> None:
    url = shop.folder
    git("init", "-q", cwd=url)
    for version in (2, 3):
        shop.write("server.py", SERVER.replace("VERSION = 1", f"VERSION = {version}"))
        git("add", ".", cwd=url)
        git("commit", "-qm", str(version), cwd=url)
    automatically(shop.host, url)
    shop.serves("release 3")
    git("update-ref", "refs/heads/main", "HEAD~1", cwd=url)
    automatically(shop.host, url)
    shop.serves("release 3")
    shop.deploy("--git", str(url), "--ref", "main")  # a person may
    shop.serves("release 2")


def test_two_changes_at_once_end_with_the_newer_one(shop: Shop) -> None:
    for version in (2, 3, 4):
        shop.write("server.py", SERVER.replace("VERSION = 1", f"VERSION = {version}"))
        shop.deploy(str(shop.folder), "--no-wait")
        # The change takes its snapshot before the next edit; nothing else is waited for.
        until(lambda n=version: len(shop.host.json("history", "cart")) >= n, "its deployment is there")  # type: ignore[misc]
    final = {"SUCCEEDED", "SUPERSEDED"}
    until(lambda: all(one["state"] in final for one in shop.host.json("history", "cart")), "all have ended")
    until(lambda: shop.host.json("status", "cart")["deployment"] is None, "the service has heard of it")
    shop.serves("release 4")


def test_postgres_killed_in_the_middle(shop: Shop) -> None:
    shop.write("server.py", "import time; time.sleep(1)\n" + SERVER.replace("VERSION = 1", "VERSION = 2"))
    shop.deploy(str(shop.folder), "--no-wait")
    time.sleep(0.3)  # anywhere in the middle
    postmaster = int((shop.host.home / "postgres/data/postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)

    def served() -> bool:
        try:
            [service] = shop.host.json("status")
            return bool(service["serving"]["number"] == 2)
        except AssertionError:
            return False  # the database is starting again

    until(served, "the second release serves")
    shop.serves("release 2")
