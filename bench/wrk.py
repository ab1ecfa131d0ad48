"""wrk, the load generator: closed connections, each of which asks again as soon as it is answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Load", "Post", "load"]

REPORT = """\
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\n{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "failed": %d, "refused": %d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.read + e.write + e.timeout + e.connect, e.status))
end
"""


@dataclass(frozen=True, slots=True)
class Post:
    """What is sent, where it is not a GET of /."""

    path: str
    body: str
    headers: Mapping[str, str]

    def script(self) -> str:
        """The same for wrk; JSON texts are texts of Lua, as long as they have no escapes of Unicode."""
        lines = ['wrk.method = "POST"', f"wrk.body = {json.dumps(self.body)}"]
        for name, value in self.headers.items():
            lines.append(f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}")
        return "\n".join([*lines, ""])


@dataclass(frozen=True, slots=True)
class Load:
    """What came of it. Latencies in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    failed: int
    """Connections that were refused or broke, and answers that took more than two seconds."""
    refused: int
    """Answers with a status of 400 and above."""


async def load(
    port: int,
    host: str,
    connections: int,
    seconds: int,
    *,
    keep_alive: bool,
    folder: Path,
    post: Post | None = None,
) -> Load:
    """So many connections at once for so many seconds, from one thread. Raises RuntimeError."""
    script = folder / "report.lua"
    script.write_text(REPORT + (post.script() if post else ""))
    headers = ["-H", f"Host: {host}"] + ([] if keep_alive else ["-H", "Connection: close"])
    process = await asyncio.create_subprocess_exec(
        *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), *headers),
        f"http://127.0.0.1:{port}{post.path if post else '/'}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"wrk failed:\n{said.decode(errors='replace')[-4000:]}")
    return Load(**json.loads(said.splitlines()[-1]))
