"""Reading: requests a second for three questions about worlds of 1,000 and of 10,000 services.

How many services and resources a world has in each state and health; a page of 50 services, each with its
release, its resources and its newest deployment; a page of 100 transitions. deployd's GraphQL is asked with a
token, as a client of it is. PostGraphile 5 has its default preset over views of the same tables. The third is
an endpoint written by hand that knows these questions only, with a statement for each: what the database
and the wire cost by themselves. All three answer the same, which is looked at first. wrk asks over 8
connections. Each question is asked of a world at rest, and again while 50 deployments a second are
born of the page's services, so that what was read a moment ago is not so any more.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import aiohttp
import asyncpg

from bench import npm
from bench.machine import describe, missing, spoken_version
from bench.outsiders import free_port, listening, started
from bench.populating import populate
from bench.processes import spent
from bench.reading import OPERATIONS, Operation, content
from bench.report import Options, Result, compare, print_results, print_table, read_options, say, spread
from bench.running import serving
from bench.server import postgres
from bench.wrk import Load, Post, load
from deployd.store import worlds
from deployd.store.database import Database
from deployd.store.migrator import migrate
from deployd.store.partitions import ensure_partitions

SIZES, SIZES_QUICK = (1_000, 10_000), (100, 1_000)
SECONDS, SECONDS_QUICK = 4, 1
CONNECTIONS = 8
RATE = 50.0
"""Commits a second in a world that moves."""
OURS, PEER, HAND = "deployd", "PostGraphile", "by hand"
VIEWS = Path(__file__).parent / "peers" / "reading.sql"
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is asked, how, and whose processor time that takes."""

    port: int
    post: Callable[[Operation, str], Post]
    pids: Callable[[], Iterable[int]]


@dataclass(frozen=True, slots=True)
class Seen:
    """Of one load on one of them."""

    load: Load
    cpu: float
    """Microseconds of processor time of its process, for each request; Postgres is left out."""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.load.requests / self.load.seconds


Case = tuple[int, str, bool]
"""Services of the world, the operation, and whether the world moves meanwhile."""
Found = dict[Case, dict[str, list[Seen]]]


@asynccontextmanager
async def _subjects(home: Path, dsn: str) -> AsyncIterator[dict[str, Subject]]:
    environ = {**os.environ, "NODE_ENV": "production", "GRAPHILE_ENV": "production"}
    theirs, hand = free_port(), free_port()
    node = (str(npm.node()), str(npm.FOLDER / "reading.mjs"), str(theirs), dsn)
    python = (sys.executable, "-m", "bench.peers.handwritten", str(hand), dsn)
    async with (
        serving(home / "deployd", DATABASE_URL=dsn) as running,
        started(node, npm.FOLDER, environ, home / "postgraphile.log") as postgraphile,
        started(python, ROOT, environ, home / "handwritten.log") as handwritten,
    ):
        await listening(theirs, postgraphile)
        await listening(hand, handwritten)
        url = urlsplit(json.loads((home / "deployd" / "server.json").read_text())["url"])
        assert url.port is not None
        token = {"Authorization": f"Bearer {(home / 'deployd' / 'token').read_text().strip()}"}
        yield {
            OURS: Subject(
                url.port,
                lambda one, world: _post("/graphql", one.ours, one, world, token),
                lambda: [running.pid],
            ),
            PEER: Subject(
                theirs,
                lambda one, world: _post("/graphql", one.theirs, one, world, {}),
                lambda: postgraphile.pids,
            ),
            HAND: Subject(
                hand,
                lambda one, world: _post(f"/{one.name}", "", one, world, {}),
                lambda: handwritten.pids,
            ),
        }


def _post(path: str, query: str, one: Operation, world: str, headers: dict[str, str]) -> Post:
    body = json.dumps({"query": query, "variables": {"world": world, **one.variables}})
    return Post(path, body, {"Content-Type": "application/json", **headers})


async def measure(options: Options) -> Found:
    """By case, each round's of everybody in turn."""
    seconds = SECONDS_QUICK if options.quick else SECONDS
    sizes = SIZES_QUICK if options.quick else SIZES
    found: Found = {
        (size, one.name, moves): {} for size in sizes for moves in (False, True) for one in OPERATIONS
    }
    operations = {one.name: one for one in OPERATIONS}
    async with postgres() as server, server.database("reads") as dsn:
        await _fill(dsn, sizes)
        async with _subjects(server.home, dsn) as subjects:
            for size, name, _ in found:
                await _agree(subjects, operations[name], _world(size))
            for number in range(1, options.rounds + 1):
                for case, seen in found.items():
                    size, name, moves = case
                    for who, subject in subjects.items():
                        post = subject.post(operations[name], _world(size))
                        async with _moving(dsn, size, seconds) if moves else nullcontext():
                            one = await _load(subject, post, seconds, server.home)
                        seen.setdefault(who, []).append(one)
                        say(
                            f"round {number} of {options.rounds}: {_words(case)}: {who} "
                            f"{one.rate:,.0f}/s, "
                            f"p50 {one.load.p50:.2f} ms, p99 {one.load.p99:.2f} ms, {one.cpu:,.0f} µs"
                        )
    return found


async def _fill(dsn: str, sizes: Iterable[int]) -> None:
    await migrate(dsn)
    async with Database(dsn, size=1) as db:
        await worlds.add(db, "system", {})
        await ensure_partitions(db)
    for size in sizes:
        await populate(dsn, _world(size), size)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(VIEWS.read_text())
    finally:
        await connection.close()


@asynccontextmanager
async def _moving(dsn: str, size: int, seconds: int) -> AsyncIterator[None]:
    """Somebody commits in that world for so long. Raises RuntimeError when that fails."""
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "bench.peers.committing",
            dsn,
            str(RATE),
            str(seconds + 1),
            _world(size),
        ),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        yield
        await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError("whoever commits has failed")


def _world(size: int) -> str:
    return f"of-{size}"


def _words(case: Case) -> str:
    size, name, moves = case
    return f"{name} of {size:,}{', which moves' if moves else ''}"


async def _agree(subjects: dict[str, Subject], one: Operation, world: str) -> None:
    """Raises RuntimeError when they do not answer the same."""
    said = {}
    async with aiohttp.ClientSession() as session:
        for who, subject in subjects.items():
            post = subject.post(one, world)
            url = f"http://127.0.0.1:{subject.port}{post.path}"
            async with session.post(url, data=post.body, headers=post.headers) as answer:
                said[who] = content(await answer.json())
    for who, other in said.items():
        if other != said[OURS]:
            raise RuntimeError(f"{one.name}: {OURS} and {who} differ:\n{said[OURS]}\n{other}"[:8000])


async def _load(subject: Subject, post: Post, seconds: int, home: Path) -> Seen:
    before = spent(subject.pids())
    one = await load(
        subject.port,
        f"127.0.0.1:{subject.port}",
        CONNECTIONS,
        seconds,
        keep_alive=True,
        folder=home,
        post=post,
    )
    if one.refused or not one.requests:
        raise RuntimeError(f"{one.refused} of {one.requests} answers were no good ones")
    return Seen(one, (spent(subject.pids()) - before) / one.requests * 1e6)


def results(found: Found) -> list[Result]:
    """Requests a second, and the processor time of each."""
    picks: dict[tuple[str, str], Callable[[Seen], float]] = {
        ("requests", "1/s"): lambda one: one.rate,
        ("processor time of a request", "µs"): lambda one: one.cpu,
    }
    return [
        compare(
            "reads",
            f"{_words(case)}; {what}",
            unit,
            OURS,
            {who: [round(pick(one), 3) for one in seen] for who, seen in by_name.items()},
        )
        for case, by_name in found.items()
        for (what, unit), pick in picks.items()
    ]


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    options = read_options(__doc__, argv, rounds=3)
    if absent := missing({"wrk": "wrk"}):
        raise SystemExit(f"bench.reads: {absent}")
    npm.install()
    found = asyncio.run(measure(options))
    if options.json:
        print_results(results(found))
        return
    rows = []
    for case, by_name in found.items():
        ours = median(one.rate for one in by_name[OURS])
        for who, seen in by_name.items():
            rows.append(
                (
                    _words(case) if who == OURS else "",
                    who,
                    *spread([one.rate for one in seen], 0),
                    *(
                        f"{median(one.load.p50 for one in seen):.2f}",
                        f"{median(one.load.p99 for one in seen):.2f}",
                    ),
                    f"{median(one.cpu for one in seen):,.0f}",
                    "" if who == OURS else f"{ours / median(one.rate for one in seen):.2f} times",
                )
            )
    print_table(
        f"Reading over {CONNECTIONS} connections; requests a second: minimum, median and maximum; "
        f"rounds: {options.rounds}, others are medians",
        ("", "", "req/s min", "median", "max", "p50 ms", "p99 ms", "CPU µs/req", "deployd makes"),
        rows,
        "CPU: of the server's own process, Postgres left out. All three answer the same.\n"
        + describe(
            ("aiohttp", "asyncpg", "orjson", "strawberry-graphql"),
            [npm.package_version("postgraphile"), spoken_version("wrk", "-v")],
        ),
    )


if __name__ == "__main__":
    main()
