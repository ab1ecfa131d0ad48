"""What the local entrypoint costs: requests a second, latency, and processor time of a request.

A service of one nginx worker that answers at once runs under deployd. The entrypoint leads to it, and so does
a proxying nginx, also of one worker: once with a connection to the service for each request, as the
entrypoint has it, once with connections that it keeps. All speak HTTP/1.1. wrk asks from a process of its
own, with 1, 16 and 128 connections that are kept, and then with one for each request. The service's own
figure, asked directly, shows that it is not what is measured.

wrk asks again as soon as it is answered: latencies are those at full load, and more connections only queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from bench.home import scratch
from bench.machine import describe, missing, outside, spoken_version
from bench.outsiders import free_port, listening, started
from bench.peers import nginx
from bench.processes import below, spent
from bench.report import Options, Result, compare, print_results, print_table, read_options, say, spread
from bench.running import Running, serving
from bench.wrk import Load, load
from deployd.cli import documents

NEEDED = {"wrk": "wrk", "nginx": "nginx-light"}
SECONDS, SECONDS_QUICK = 4, 1
CONNECTIONS = (1, 16, 128)
WORLD, NAME = "local", "quick"
MANIFEST = """\
deployd: 1
service:
  name: {name}
  run: {run}
  port: 8080
  health: /
"""
OURS, PEER, KEEPING, DIRECT = "deployd", "nginx", "nginx, keeping", "the service itself"


@dataclass(frozen=True, slots=True)
class Seen:
    """Of one load on one of them."""

    load: Load
    cpu: float
    """Microseconds of processor time of the proxy, for each request."""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.load.requests / self.load.seconds


@dataclass(frozen=True, slots=True)
class Subject:
    """Where requests go, and whose processor time that takes."""

    port: int
    host: str
    pids: Callable[[], Iterable[int]]


Case = tuple[bool, int]
"""Whether connections are kept, and how many."""
Found = dict[Case, dict[str, list[Seen]]]


@asynccontextmanager
async def _subjects(home: Path) -> AsyncIterator[dict[str, Subject]]:
    project, port = home / "project", free_port()
    project.mkdir()
    (project / "deployd.yaml").write_text(
        MANIFEST.format(name=NAME, run=nginx.service(project, home / "service"))
    )
    async with serving(home / "deployd", ENTRYPOINT_PORT=str(port)) as running:
        await running.run("deploy", str(project))
        target, program = await _service(running)
        async with (
            _proxy(home / "closing", target, keep=False) as closing,
            _proxy(home / "keeping", target, keep=True) as keeping,
        ):
            yield {
                OURS: Subject(port, f"{NAME}.localhost:{port}", lambda: [running.entrypoint()]),
                PEER: closing,
                KEEPING: keeping,
                DIRECT: Subject(target, f"127.0.0.1:{target}", lambda: [program, *below([program])]),
            }


async def _service(running: Running) -> tuple[int, int]:
    """The port at which the service itself answers, and its process."""
    async with running.client() as client:
        found = (await client.query(documents.SERVICE, {"world": WORLD, "name": NAME}))["service"]
    port = urlsplit(found["address"]).port
    if port is None or found["pid"] is None:
        raise RuntimeError(f"the service has address {found['address']!r} and process {found['pid']}")
    return port, int(found["pid"])


@asynccontextmanager
async def _proxy(folder: Path, target: int, *, keep: bool) -> AsyncIterator[Subject]:
    folder.mkdir(mode=0o711)
    port = free_port()
    argv = nginx.proxy(folder, port, target, keep=keep)
    async with started(argv, folder, outside(), folder / "log") as outsider:
        await listening(port, outsider)
        yield Subject(port, f"127.0.0.1:{port}", lambda: outsider.pids)


async def measure(options: Options) -> Found:
    """By kind of connections, each round's of everybody in turn."""
    seconds = SECONDS_QUICK if options.quick else SECONDS
    cases = [(kept, connections) for kept in (True, False) for connections in CONNECTIONS]
    found: Found = {case: {} for case in cases}
    async with scratch() as home, _subjects(home) as subjects:
        for number in range(1, options.rounds + 1):
            for case, seen in found.items():
                for name, subject in subjects.items():
                    one = await _load(subject, case, seconds, home)
                    seen.setdefault(name, []).append(one)
                    say(
                        f"round {number} of {options.rounds}: {_named(case)}: {name} {one.rate:,.0f}/s, "
                        f"p50 {one.load.p50:.2f} ms, p99 {one.load.p99:.2f} ms, {one.cpu:.0f} µs"
                    )
    return found


async def _load(subject: Subject, case: Case, seconds: int, home: Path) -> Seen:
    kept, connections = case
    before = spent(subject.pids())
    one = await load(subject.port, subject.host, connections, seconds, keep_alive=kept, folder=home)
    if one.refused or not one.requests:
        raise RuntimeError(f"{one.refused} of {one.requests} answers were no good ones")
    return Seen(one, (spent(subject.pids()) - before) / one.requests * 1e6)


def _named(case: Case) -> str:
    kept, connections = case
    return f"{connections} {'kept' if kept else 'new for each request'}"


def results(found: Found) -> list[Result]:
    """Requests a second, both latencies and the processor time of each case."""
    picks: dict[tuple[str, str], Callable[[Seen], float]] = {
        ("requests", "1/s"): lambda one: one.rate,
        ("p50", "ms"): lambda one: one.load.p50,
        ("p99", "ms"): lambda one: one.load.p99,
        ("processor time of a request", "µs"): lambda one: one.cpu,
    }
    return [
        compare(
            "entrypoint",
            f"connections: {_named(case)}; {what}",
            unit,
            OURS,
            {name: [round(pick(one), 3) for one in seen] for name, seen in by_name.items()},
        )
        for case, by_name in found.items()
        for (what, unit), pick in picks.items()
    ]


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    options = read_options(__doc__, argv, rounds=3)
    if absent := missing(NEEDED):
        raise SystemExit(f"bench.entrypoint: {absent}")
    found = asyncio.run(measure(options))
    if options.json:
        print_results(results(found))
        return
    rows = []
    for case, by_name in found.items():
        ours = median(one.rate for one in by_name[OURS])
        for name, seen in by_name.items():
            rows.append(
                (
                    _named(case) if name == OURS else "",
                    name,
                    *spread([one.rate for one in seen], 0),
                    *(
                        f"{median(one.load.p50 for one in seen):.2f}",
                        f"{median(one.load.p99 for one in seen):.2f}",
                    ),
                    f"{median(one.cpu for one in seen):.0f}",
                    str(sum(one.load.failed for one in seen)),
                    "" if name == OURS else f"{ours / median(one.rate for one in seen):.3f} times",
                )
            )
    print_table(
        f"Through a proxy to one service; requests a second: minimum, median and maximum; "
        f"rounds: {options.rounds}, others are medians",
        (
            *("connections", "", "req/s min", "median", "max", "p50 ms", "p99 ms", "CPU µs/req", "failed"),
            "deployd makes",
        ),
        rows,
        "nginx: a connection to the service for each request, as deployd. CPU: of the proxy (last line: of "
        "the service).\nfailed: connections that broke, and answers that took more than two seconds.\n"
        + describe((), [spoken_version("nginx", "-v"), spoken_version("wrk", "-v")]),
    )


if __name__ == "__main__":
    main()
