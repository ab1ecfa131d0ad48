"""What a deployment costs beside the program's own start: seconds and CPU, for 1, 10 and 100 services.

The service is a small HTTP server of the standard library that listens at once; it writes when it was started
and when it listens, and what lies between is its own time. Overhead is the rest, of the service that waited
longest: from the answer to the mutation `deploy` until the subscription tells that its deployment succeeded,
less its own time. Whole is until the last one serves. The server has just started and deploys for the first
time: snapshot, plan, release, start, health, address and history are all in it, in an embedded Postgres.

honcho and supervisord start the same programs: from their own start until the programs listen, less their own
time. They neither keep a release, nor ask for health, nor remember anything. The processor time is that of
whoever deploys or supervises (deployd: its Postgres, its shims and its entrypoint too), without the programs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.home import scratch
from bench.machine import describe, outside
from bench.moments import Moments, await_moments, make_project, start_command
from bench.outsiders import free_port, started
from bench.peers import honcho, supervisor
from bench.processes import spent
from bench.report import Options, Result, compare, print_results, print_table, read_options, say, spread
from bench.running import Running, serving
from deployd.cli import documents
from deployd.cli.client import Client
from deployd.cli.paging import all_of
from deployd.cli.progress import word
from deployd.cli.session import begin, cursor_of

SIZES, SIZES_QUICK = (1, 10, 100), (1, 3)
OURS = "deployd"
PEERS: Mapping[str, Callable[[Path, Mapping[str, str]], list[str]]] = {
    "honcho": honcho.command,
    "supervisord": supervisor.command,
}
WORLD = "local"
ENDED_BADLY = {"failed", "rolled_back", "cancelled", "superseded"}
LONGEST = 600.0
"""Seconds after which a deployment counts as stuck."""
SERVICE = """\
  {name}:
    run: {command}
    port: {port}
    health: /
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one start of all services, in seconds."""

    overhead: float
    whole: float
    cpu: float


def _cost(began: float, serving_at: Mapping[str, float], moments: Mapping[str, Moments], cpu: float) -> Cost:
    ready = {name: at - began for name, at in serving_at.items()}
    return Cost(max(ready[name] - one.own for name, one in moments.items()), max(ready.values()), cpu)


async def _deploy(home: Path, count: int) -> Cost:
    """By a new server, in a home of its own."""
    home.mkdir(mode=0o711)
    moments = home / "moments"
    names = [f"service-{number}" for number in range(count)]
    project = make_project(home / "project")
    described = [
        SERVICE.format(name=name, command=start_command(moments, name), port=8000 + number)
        for number, name in enumerate(names)
    ]
    (project / "deployd.yaml").write_text("deployd: 1\nservices:\n" + "".join(described))
    port = str(free_port())
    async with (
        serving(home / "deployd", ENTRYPOINT_PORT=port) as running,
        running.client() as client,
        _succeeding(client) as served,
    ):
        before = spent(running.everything())
        await begin(client, WORLD, {"directory": str(project)}, [])
        began = time.time()
        async with asyncio.timeout(LONGEST):
            while len(served) < count:
                await asyncio.sleep(0.01)
        programs = await await_moments(moments, names)
        cpu = spent(_machinery(running, programs)) - before
        found = await all_of(client, documents.SERVICES, {"world": WORLD}, "world", "services") or []
        return _cost(began, {one["name"]: served[one["id"]] for one in found}, programs, cpu)


def _machinery(running: Running, programs: Mapping[str, Moments]) -> set[int]:
    return running.everything() - {one.pid for one in programs.values()}


@asynccontextmanager
async def _succeeding(client: Client) -> AsyncIterator[dict[str, float]]:
    """When each service's deployment succeeded, by service id, filled while the context lasts."""
    served: dict[str, float] = {}
    after = await cursor_of(client, WORLD)

    async def read() -> None:
        stream = client.subscribe(documents.TRANSITIONS, {"world": WORLD, "after": after})
        async with aclosing(stream):
            async for batch in stream:
                now = time.time()
                for one in batch.get("transitions", ()):
                    state = word(one["toState"])
                    if word(one["kind"]) == "deployment" and state == "succeeded":
                        served[one["serviceId"]] = now
                    elif state in ENDED_BADLY:
                        raise RuntimeError(f"a {word(one['kind'])} ended as {state}: {one['reason']}")

    async with asyncio.TaskGroup() as group:  # what the reader raises ends whoever waits
        reading = group.create_task(read())
        yield served
        reading.cancel()


async def _supervise(name: str, home: Path, count: int) -> Cost:
    """By a peer: started, looked at once all its programs listen, and ended."""
    home.mkdir(mode=0o711)
    moments = home / "moments"
    names = [f"service-{number}" for number in range(count)]
    project = make_project(home / "project")
    argv = PEERS[name](project, {one: start_command(moments, one) for one in names})
    began = time.time()
    async with started(argv, project, outside() | {"PORT": "0"}, home / "log") as peer:
        programs = await await_moments(moments, names, peer.check)
        cpu = spent(peer.pids - {one.pid for one in programs.values()})
    return _cost(began, {one: programs[one].listening for one in names}, programs, cpu)


Costs = dict[int, dict[str, list[Cost]]]


async def measure(options: Options) -> Costs:
    """By size and name, each round's: everybody in turn."""
    sizes = SIZES_QUICK if options.quick else SIZES
    found: Costs = {size: {name: [] for name in (OURS, *PEERS)} for size in sizes}
    async with scratch() as home:
        for number in range(1, options.rounds + 1):
            for size, seen in found.items():
                for name, costs in seen.items():
                    place = home / f"{name}-{size}-{number}"
                    cost = await (_deploy(place, size) if name == OURS else _supervise(name, place, size))
                    costs.append(cost)
                    say(
                        f"round {number} of {options.rounds}: {name}, {size} services: "
                        f"overhead {cost.overhead:.2f} s, whole {cost.whole:.2f} s, CPU {cost.cpu:.2f} s"
                    )
    return found


def results(found: Costs) -> list[Result]:
    """Overhead, whole time and processor time of each size."""
    return [
        compare(
            "overhead",
            f"services: {size}, {what}",
            "s",
            OURS,
            {name: [round(getattr(one, what), 6) for one in costs] for name, costs in seen.items()},
        )
        for size, seen in found.items()
        for what in ("overhead", "whole", "cpu")
    ]


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    options = read_options(__doc__, argv, rounds=5)
    found = asyncio.run(measure(options))
    if options.json:
        print_results(results(found))
        return
    rows = []
    for size, seen in found.items():
        ours = median(one.overhead for one in seen[OURS])
        for name, costs in seen.items():
            theirs = median(one.overhead for one in costs)
            rows.append(
                (
                    str(size) if name == OURS else "",
                    name,
                    *spread([one.overhead for one in costs]),
                    *spread([one.whole for one in costs]),
                    f"{median(one.cpu for one in costs):.2f}",
                    "" if name == OURS else f"{ours / theirs:.2f} times",
                )
            )
    print_table(
        f"Starting services; seconds, minimum, median and maximum; rounds: {options.rounds}",
        (
            *("services", "", "overhead min", "median", "max", "whole min", "median", "max"),
            *("CPU s", "deployd's overhead"),
        ),
        rows,
        "Overhead: without the programs' own start. CPU: of whoever starts them, without the programs.\n"
        + describe(("honcho", "supervisor")),
    )


if __name__ == "__main__":
    main()
