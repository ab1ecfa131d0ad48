"""What `observe` says of programs that answer, answer badly, or not at all."""

from __future__ import annotations

import asyncio

import pytest

from deployd.drivers.process import health
from deployd.model.spec import HealthSpec
from deployd.model.state import Health
from tests.integration.drivers.process.place import Place

SERVER = """
import os, http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if os.path.exists(os.environ["HOME"] + "/sick") else 204)
        self.end_headers()
        if self.path == "/sick":
            open(os.environ["HOME"] + "/sick", "w").close()
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


async def get(url: str, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    await reader.read()
    writer.close()
    await writer.wait_closed()


async def test_http(place: Place) -> None:
    release = place.python(SERVER, ports={"http": 8080}, health=HealthSpec(path="/healthz"))
    url = (await place.apply(release)).outputs["url"]
    well = await place.until(release, lambda seen: seen.health is not Health.PROGRESSING)
    assert well.health is Health.HEALTHY
    assert well.address == url
    await get(url, "/sick")
    # Before, it may have been too slow to answer at all.
    sick = await place.until(release, lambda seen: seen.reason and "503" in seen.reason.evidence)
    assert sick.health is Health.DEGRADED
    assert sick.reason is not None
    assert "GET /healthz" in sick.reason.summary


async def test_tcp(place: Place) -> None:
    program = """
import os, socket, time
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
time.sleep(60)
"""
    release = place.python(program, ports={"tcp": 5000})
    assert (await place.apply(release)).outputs["url"].startswith("tcp://127.0.0.1:2")
    await place.until(release, lambda seen: seen.health is Health.HEALTHY)


async def test_a_program_that_listens_elsewhere_is_told_so(place: Place) -> None:
    program = """
import socket, time
server = socket.create_server(("127.0.0.1", 0))
print("at", server.getsockname()[1], flush=True)
time.sleep(60)
"""
    release = place.python(program, ports={"http": 8080})
    await place.apply(release)
    elsewhere = (await place.logged("at ")).text.split()[1]
    seen = await place.until(release, lambda seen: seen.reason)
    assert seen.health is Health.PROGRESSING  # never healthy yet
    assert seen.reason is not None
    assert seen.reason.code == "NOT_LISTENING"
    assert f"it listens on {elsewhere}" in seen.reason.summary
    assert "PORT" in seen.reason.remedy


async def test_what_speaks_no_http_is_not_well(place: Place) -> None:
    program = """
import os, socket
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    there, _ = server.accept()
    there.sendall(b"220 mail\\r\\n")
    there.close()
"""
    release = place.python(program, ports={"http": 8080}, health=HealthSpec(path="/"))
    await place.apply(release)
    seen = await place.until(release, lambda seen: seen.reason and seen.reason.code == "UNHEALTHY")
    assert seen.reason is not None
    assert "no HTTP" in seen.reason.evidence or "reset" in seen.reason.evidence


async def test_a_worker_has_to_stay_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    release = place.release("sleep 600")
    await place.apply(release)
    with monkeypatch.context() as patched:
        patched.setattr(health, "STEADY", 3600.0)  # however late it is looked at
        seen = await place.see(release)
    assert seen is not None
    assert seen.health is Health.PROGRESSING
    assert seen.address is None
    await place.until(release, lambda seen: seen.health is Health.HEALTHY)
