"""The command line of every peer, and the calling side of it."""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

__all__ = ["STEPS", "WARM_UP", "check", "idle", "lone", "main", "ready", "run"]

STEPS = 8
WARM_UP = 50
"""Machines that go first, untimed: connections are opened, statements prepared."""
LONGEST = 600.0
"""Seconds after which a run counts as stuck."""


def main(
    drive: Callable[..., float], wait: Callable[[str], None] | None = None, options: Sequence[str] = ()
) -> None:
    """`drive` takes DSN and machines and answers seconds; `wait` returns when `ready` does.

    `options` are numbers that `drive` takes by their names; without one it is not told.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("dsn")
    parser.add_argument("machines", type=int, nargs="?")
    for name in options:
        parser.add_argument(f"--{name}", type=int, default=argparse.SUPPRESS)
    given = vars(parser.parse_args())
    dsn, machines = given.pop("dsn"), given.pop("machines")
    if machines is not None:
        print(json.dumps({"seconds": drive(dsn, machines, **given)}), flush=True)
    elif wait is not None:
        wait(dsn)
    else:
        parser.error("it has no idle mode of its own")


def ready() -> None:
    """Say that all is up, then block until standard input ends."""
    print(json.dumps({"ready": True}), flush=True)
    sys.stdin.read()


def check(what: str, found: object, expected: object) -> None:
    """End the program with an error where the work was not done as it should."""
    if found != expected:
        raise SystemExit(f"wrong outcome: {what}: {found!r}, not {expected!r}")


async def run(peer: str, dsn: str, machines: int, **options: int) -> float:
    """Seconds that a peer took. Raises RuntimeError with what it said when it failed."""
    process = await _start(peer, dsn, str(machines), *(f"--{name}={n}" for name, n in options.items()))
    try:
        out, error = await asyncio.wait_for(process.communicate(), LONGEST)
    finally:
        await _end(process)
    if process.returncode:
        raise RuntimeError(f"{peer} failed:\n{error.decode(errors='replace')[-4000:]}")
    return float(json.loads(out.splitlines()[-1])["seconds"])


async def lone(peer: str, dsn: str, machines: int) -> dict[str, float]:
    """What a peer measured of machines one after the other, and what it compares them with: milliseconds."""
    process = await _start(peer, dsn, str(machines), "--alone=1")
    try:
        out, error = await asyncio.wait_for(process.communicate(), LONGEST)
    finally:
        await _end(process)
    if process.returncode:
        raise RuntimeError(f"{peer} failed:\n{error.decode(errors='replace')[-4000:]}")
    found = json.loads(out.splitlines()[0])
    return {name: float(value) for name, value in found.items()}


@asynccontextmanager
async def idle(peer: str, dsn: str) -> AsyncIterator[int]:
    """The process id of a peer that waits for work, until the context ends."""
    process = await _start(peer, dsn)
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), LONGEST)
        if not line:
            _, error = await process.communicate()
            raise RuntimeError(f"{peer} failed:\n{error.decode(errors='replace')[-4000:]}")
        yield process.pid
    finally:
        await _end(process)


async def _start(peer: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"bench.peers.{peer}", *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()
