"""From a commit to all subscribers, by websockets, while somebody commits 50 transitions a second.

deployd is the server as people run it. Beside it, on the same transitions, which a process of its own commits
by deployd's committer: a bare aiohttp server that sends one text to everybody, graphql-yoga with graphql-ws,
and PostGraphile 5. The subscribers are all in one further process, whose share of a core is told: where it
comes near to 1, it is the client that is measured.

A message is one transition that one subscriber received. A frame carries several where they were committed
while the one before was being sent: so a server that is behind spends less per message, and not per frame.
The time of a message runs from the transition's own, which the commit's statement notes before it is durable.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil  # type: ignore[import-untyped] # ships no types

from bench.machine import describe
from bench.npm import FOLDER, install, node, package_version
from bench.outsiders import free_port, listening, started
from bench.processes import spent
from bench.report import Options, Result, compare, print_results, print_table, read_options, say
from bench.running import serving
from bench.server import Server, postgres
from deployd.store import worlds
from deployd.store.database import Database
from deployd.store.migrator import migrate
from deployd.store.partitions import ensure_partitions

OURS = "deployd"
SIZES, SIZES_QUICK = (1000, 5000), (200,)
SECONDS, SECONDS_QUICK = 10.0, 3.0
RATE = 50.0
WARM = 10
"""Subscribers that are there before memory is measured for the first time."""
PATIENCE = 5.0
"""Seconds without anything new after which it is not waited for the rest."""
LONGEST = 300.0
OUR_DOCUMENT = """subscription { transitions(world: "local") { ... on TransitionBatch {
    cursor transitions { seq at machineId kind toState } } } }"""
YOGA_DOCUMENT = "subscription { transitions { cursor transitions { seq at machineId kind toState } } }"
POSTGRAPHILE_DOCUMENT = "subscription { transitions { seq at machineId kind toState } }"


@dataclass(frozen=True, slots=True)
class Serving:
    """One that serves."""

    pid: int
    port: int
    path: str
    document: str | None
    token: str = ""
    begins: bool = False
    """Whether a subscription begins with an event that says so."""


@dataclass(frozen=True, slots=True)
class Found:
    """Of one server and one number of subscribers. Times in seconds."""

    delivered: float
    """Of what was committed and should have come, each once: at most 1."""
    wrong: int
    """Messages that came twice, or for which one before was missing."""
    closed: int
    """Connections that the server closed."""
    p50: float
    p99: float
    cpu: float
    """Microseconds of the server's processor time per message."""
    per_frame: float
    """The same per frame."""
    server: float
    """Cores that the server used while it was committed."""
    client: float
    """And the client."""
    frames: float
    """Per message."""
    memory: float
    """KiB of the server per subscriber, before anything was committed."""


Serve = Callable[[Server, Path, str], AbstractAsyncContextManager[Serving]]


@asynccontextmanager
async def _deployd(server: Server, home: Path, dsn: str) -> AsyncIterator[Serving]:
    async with serving(home, DATABASE_URL=dsn, ENTRYPOINT_PORT="0", LOG_LEVEL="warning") as running:
        port = int(json.loads((home / "server.json").read_text())["url"].rpartition(":")[2])
        yield Serving(
            running.pid, port, "/graphql", OUR_DOCUMENT, (home / "token").read_text().strip(), begins=True
        )


async def _prepare(dsn: str) -> None:
    await migrate(dsn)
    async with Database(dsn, size=1) as db:
        await worlds.add(db, "local", {})
        await ensure_partitions(db)


def _peer(argv: list[str], path: str, document: str | None) -> Serve:
    @asynccontextmanager
    async def serve(server: Server, home: Path, dsn: str) -> AsyncIterator[Serving]:
        await _prepare(dsn)
        port = free_port()
        environ = {**os.environ, "NODE_ENV": "production", "GRAPHILE_ENV": "production"}
        folder = FOLDER if argv[0] == str(node()) else Path.cwd()
        async with started([*argv, dsn, str(port)], folder, environ, home.with_suffix(".log")) as outsider:
            await listening(port, outsider)
            yield Serving(outsider.process.pid, port, path, document)
            outsider.check()

    return serve


def _subjects() -> dict[str, Serve]:
    run = [str(node())]
    return {
        OURS: _deployd,
        "aiohttp": _peer([sys.executable, "-m", "bench.peers.broadcast"], "/", None),
        "graphql-yoga": _peer([*run, "yoga.mjs"], "/graphql", YOGA_DOCUMENT),
        "PostGraphile": _peer([*run, "postgraphile.mjs"], "/graphql", POSTGRAPHILE_DOCUMENT),
    }


class _Clients:
    """The process with the subscribers."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, **order: object) -> dict[str, Any]:
        """What it answers. Raises RuntimeError when it has ended instead."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        async with asyncio.timeout(LONGEST):
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the clients ended: see what they wrote above")
        found: dict[str, Any] = json.loads(line)
        return found


@asynccontextmanager
async def _clients(one: Serving) -> AsyncIterator[_Clients]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.peers.subscribers", str(one.port), one.path, one.document or "-"),
        env={**os.environ, "TOKEN": one.token, "BEGINS": "1" if one.begins else ""},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield _Clients(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _commit(dsn: str, seconds: float) -> tuple[int, int]:
    """The first and the last `seq` that were written."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.peers.committing", dsn, str(RATE), str(seconds)),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("whoever commits has failed")
    found = json.loads(out.splitlines()[-1])
    return found["first"], found["last"]


def _memory(pid: int) -> float:
    """KiB, what is shared divided among those who share it."""
    return float(psutil.Process(pid).memory_full_info().pss) / 1024


async def _measure(one: Serving, dsn: str, subscribers: int, seconds: float) -> Found:
    async with _clients(one) as clients:
        await clients.ask(connect=WARM)
        await _commit(dsn, 0.2)  # everything has run once
        await asyncio.sleep(1)
        before = _memory(one.pid)
        connected = await clients.ask(connect=subscribers - WARM)
        await asyncio.sleep(2)  # all have caught up
        memory = (_memory(one.pid) - before) / (subscribers - WARM)
        warmed = await clients.ask(until=0, patience=0)
        cpu, began = spent([one.pid]), time.monotonic()
        first, last = await _commit(dsn, seconds)
        result = await clients.ask(until=last, patience=PATIENCE)
        took, cpu = time.monotonic() - began, spent([one.pid]) - cpu
    delivered = result["delivered"] - warmed["delivered"]
    frames = result["frames"] - warmed["frames"]
    client = (result["cpu"] - connected["cpu"]) / took
    return Found(
        delivered=delivered / (subscribers * (last - first + 1)),
        wrong=result["twice"] + result["gaps"],
        closed=result["closed"],
        p50=result["p50"],
        p99=result["p99"],
        cpu=cpu / max(1, delivered) * 1e6,
        per_frame=cpu / max(1, frames) * 1e6,
        server=cpu / took,
        client=client,
        frames=frames / max(1, delivered),
        memory=memory,
    )


async def measure(options: Options) -> dict[int, dict[str, list[Found]]]:
    """By number of subscribers and name: each round's, in turn, everybody in a database of its own."""
    install()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    seconds = SECONDS_QUICK if options.quick else SECONDS
    sizes = options.own.subscribers or (SIZES_QUICK if options.quick else SIZES)
    only = options.own.only
    subjects = {name: one for name, one in _subjects().items() if only is None or name in (OURS, only)}
    found: dict[int, dict[str, list[Found]]] = {size: {name: [] for name in subjects} for size in sizes}
    async with postgres() as server:
        for number in range(1, options.rounds + 1):
            for size in sizes:
                for index, (name, serve) in enumerate(subjects.items()):
                    home = server.home / f"{index}_{size}_{number}"
                    async with (
                        server.database(f"live_{index}_{size}_{number}") as dsn,
                        serve(server, home, dsn) as one,
                    ):
                        seen = await _measure(one, dsn, size, seconds)
                    found[size][name].append(seen)
                    say(f"round {number} of {options.rounds}: {size:,} of {name}: {_words(seen)}")
    return found


def _words(one: Found) -> str:
    return (
        f"{one.delivered:.1%} delivered, {one.wrong} wrong, {one.closed} closed, "
        f"p99 {one.p99 * 1000:.1f} ms, {one.cpu:.2f} µs a message, {one.per_frame:.2f} a frame, "
        f"{one.memory:.1f} KiB each, server {one.server:.2f} and client {one.client:.2f} cores"
    )


def results(found: dict[int, dict[str, list[Found]]]) -> list[Result]:
    """For each number of subscribers what was delivered, the time that took, and what it cost."""
    return [
        compare(
            "live",
            f"{what}; {size:,} subscribers, {RATE:.0f} transitions a second",
            unit,
            OURS,
            {name: [round(getattr(one, field), 6) for one in rounds] for name, rounds in by_name.items()},
        )
        for size, by_name in found.items()
        for what, unit, field in (
            ("delivered, each once and in order", "of all", "delivered"),
            ("commit to subscriber, 99th percentile", "s", "p99"),
            ("server's processor time per message", "µs", "cpu"),
            ("server's processor time per frame", "µs", "per_frame"),
            ("server's memory per subscriber", "KiB", "memory"),
        )
    ]


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--subscribers", type=int, nargs="+", metavar="N", help="how many (1000 and 5000)")
    parser.add_argument("--only", metavar="PEER", help="deployd and this one, or deployd alone")


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    options = read_options(__doc__, argv, rounds=3, add=_add)
    found = asyncio.run(measure(options))
    if options.json:
        print_results(results(found))
        return

    def middle(rounds: list[Found], field: str, places: int, factor: float = 1) -> str:
        return f"{median(getattr(one, field) for one in rounds) * factor:,.{places}f}"

    for size, by_name in found.items():
        rows = [
            (
                name,
                middle(rounds, "delivered", 1, 100),
                str(sum(one.wrong for one in rounds)),
                middle(rounds, "p50", 1, 1000),
                middle(rounds, "p99", 1, 1000),
                middle(rounds, "cpu", 2),
                middle(rounds, "per_frame", 2),
                middle(rounds, "frames", 2),
                middle(rounds, "memory", 1),
                middle(rounds, "server", 2),
                middle(rounds, "client", 2),
            )
            for name, rounds in by_name.items()
        ]
        print_table(
            f"{size:,} subscribers, {RATE:.0f} transitions a second; rounds: {options.rounds}, medians",
            (
                *("", "% came", "wrong", "p50 ms", "p99 ms", "µs a message", "a frame", "frames a message"),
                *("KiB each", "server cores", "client cores"),
            ),
            rows,
        )
    peers = [package_version(name) for name in ("graphql-yoga", "graphql-ws", "postgraphile")]
    print(describe(("aiohttp",), peers))


if __name__ == "__main__":
    main()
