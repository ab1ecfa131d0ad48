"""Asks a service how it does: over HTTP, or by whether its port accepts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

__all__ = ["Answer", "ask", "listens_on"]

PATIENCE = 2.0
"""Seconds for all of one question."""
LARGEST = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking."""

    well: bool
    seen: str
    """`GET /healthz on port 24017: 503 Service Unavailable`."""
    refused: bool = False
    """Nothing listens."""


async def ask(port: int, path: str | None) -> Answer:
    """A question; never raises for what the service does. 200 to 399 is well; without path, accepting is."""
    what = f"GET {path} on port {port}" if path else f"connecting to port {port}"
    try:
        async with asyncio.timeout(PATIENCE):
            return await _ask(port, path, what)
    except TimeoutError:
        return Answer(False, f"{what}: no answer within {PATIENCE:g} s")
    except ConnectionRefusedError:
        return Answer(False, f"{what}: nothing listens there", refused=True)
    except (OSError, ValueError) as error:
        return Answer(False, f"{what}: {error or type(error).__name__}")


async def _ask(port: int, path: str | None, what: str) -> Answer:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=LARGEST)
    try:
        if path is None:
            return Answer(True, f"{what}: accepted")
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: deployd\r\nAccept: */*\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        await writer.drain()
        first = (await reader.readline()).decode("latin-1").strip()
        version, _, status = first.partition(" ")
        if not version.startswith("HTTP/") or not status[:3].isdigit():
            return Answer(
                False, f"{what}: " + ("the answer is no HTTP" if first else "closed without an answer")
            )
        return Answer(200 <= int(status[:3]) < 400, f"{what}: {_words(int(status[:3]))}")
    finally:
        writer.close()


def _words(status: int) -> str:
    """The status with its standard phrase: the service's own might hold anything, a secret too."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def listens_on(pid: int) -> tuple[int, ...]:
    """The TCP ports that this process listens on; empty where that cannot be seen (Linux only)."""
    try:
        held = {str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir()}
        lines = [
            line.split()
            for table in ("tcp", "tcp6")
            for line in Path(f"/proc/{pid}/net/{table}").read_text(encoding="ascii").splitlines()[1:]
        ]
    except OSError:
        return ()
    listening = "0A"
    found = {
        int(line[1].rpartition(":")[2], 16)
        for line in lines
        if line[3] == listening and f"socket:[{line[9]}]" in held
    }
    return tuple(sorted(found))
