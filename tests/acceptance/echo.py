"""A service that shows what it was given, and a folder of such services whose manifest a test writes."""

from __future__ import annotations

import http.client
import json
import urllib.request
from pathlib import Path
from textwrap import dedent
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from tests.acceptance.test_cli import Host, until

SERVER = """import json, os, signal, socket, sys, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = "one"

class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind, _, name = self.path.lstrip("/").partition("/")
        if kind == "env":
            text = json.dumps(dict(os.environ))
        elif kind == "ask":  # another service, at the address in that variable
            with urllib.request.urlopen(os.environ[name], timeout=5) as answer:
                text = answer.read().decode()
        elif kind == "tcp":
            with socket.create_connection(os.environ[name].split(":"), timeout=5) as there:
                there.sendall(b"ping")
                there.shutdown(socket.SHUT_WR)
                text = there.makefile().read()
        else:
            text = (sys.argv[1:] or [VERSION])[0]
        self.send_response(200)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    do_POST = do_GET

    def log_message(self, *_):
        pass

class Server(ThreadingHTTPServer):
    request_queue_size = 128

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
Server(("127.0.0.1", int(os.environ["PORT"])), Echo).serve_forever()
"""
TCP = """import os, socket
with socket.create_server(("127.0.0.1", int(os.environ["PORT"]))) as server:
    while True:
        there, _ = server.accept()
        with there:
            there.sendall(there.makefile("rb").read().upper())
"""


class Folder:
    """Programs, and the manifest for them, and a server that runs."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.path = host.home.parent / "project"
        self.path.mkdir()
        self.write("server.py", SERVER)
        self.write("tcp.py", TCP)
        self.marks = host.home.parent / "marks"
        """A folder into which services may write, whoever they run as."""
        self.marks.mkdir()
        self.marks.chmod(0o777)
        host.start("serve")
        until(lambda: host.server() is not None, "the server is there")

    def write(self, name: str, text: str) -> None:
        (self.path / name).parent.mkdir(exist_ok=True)
        (self.path / name).write_text(text)

    def manifest(self, services: str, name: str = "deployd.yaml") -> None:
        self.write(name, f"deployd: 1\n{dedent(services)}")

    def version(self, text: str) -> None:
        self.write("server.py", SERVER.replace('VERSION = "one"', f'VERSION = "{text}"'))

    def deploy(self, *argv: str, code: int = 0) -> str:
        return self.host.run("deploy", str(self.path), *argv, code=code)

    def get(self, service: str, path: str = "/", *argv: str) -> str:
        address = self.host.json("status", service, *argv)["address"]
        with urllib.request.urlopen(f"{address}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    def env(self, service: str, *argv: str) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.get(service, "/env", *argv))
        return found


def ask(port: int, name: str, path: str = "/") -> tuple[int, str]:
    """At an entrypoint, as somebody whose resolver takes the name to this host."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": name})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


async def sql(url: str, *statements: str) -> Any:
    """Run them in a service's database, as the service; what the last one answers."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


def folder_of_postgres(host: Host, url: str) -> Path:
    """Where the world's server keeps what serves at this address."""
    where = urlsplit(url).port
    [found] = [
        one.parent
        for one in (host.home / "drivers").glob("local-postgres/*/port")
        if one.read_text().strip() == str(where)
    ]
    return found
