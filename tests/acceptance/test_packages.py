"""A Dockerfile with `pip install`, from the command line to an answer that its packages give."""

from __future__ import annotations

import re
from pathlib import Path

from tests.acceptance.test_cli import Host, get, host
from tests.integration.drivers.process.test_packages import write_wheel

__all__ = ["host"]

DOCKERFILE = """\
FROM python:3.12-slim
WORKDIR /app
COPY requirements.txt .
COPY wheels wheels
RUN pip install --no-cache-dir --no-index --find-links wheels -r requirements.txt
COPY server.py .
EXPOSE 8080
CMD ["python", "server.py"]
"""
SERVER = """\
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
import greet

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(greet.__name__.encode() + b" is there")

HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def write_project(host: Host, requirements: str = "greet==1.0\n") -> Path:
    folder = host.home.parent / "packaged"
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "server.py").write_text(SERVER)
    (folder / "requirements.txt").write_text(requirements)
    write_wheel(folder / "wheels", "greet", "hello")
    (folder / "deployd.yaml").write_text(
        "deployd: 1\nservice:\n  name: packaged\n  port: 8080\n  health: /\n"
    )
    return folder


def test_packages(host: Host) -> None:
    said = host.run("up", str(write_project(host)), "-d")
    found = re.search(r"^packaged answers at (http://127\.0\.0\.1:\d+)$", said, re.MULTILINE)
    assert found, said
    assert get(found[1]) == "greet is there"
    assert "Successfully installed greet-1.0" in host.run("logs", "packaged", "--tail", "1000")

    failed = host.run("deploy", str(write_project(host, "greet==7\n")), code=1)
    assert "packages of requirements.txt could not be installed" in failed
    assert "greet==7" in failed
    assert get(found[1]) == "greet is there"

    refused = host.run("run", "packaged", code=2)
    assert "no schedule" in refused
