"""From a saved file to the new version's first answer, and what a client sees meanwhile.

A service of one folder is edited; a client asks its address again and again, with a connection for each
request. deployd: by its watching `up` (--by watch), or by the mutation `deploy` as soon as the file is saved
(--by deploy); the address is that of its entrypoint. The new version starts beside the one that serves.

watchfiles restarts the same program in place, and the client asks the program itself. After each edit the
client goes on for a second, and until deployd has stopped the version before.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.asking import Asking, asking, until
from bench.home import scratch
from bench.machine import describe, outside
from bench.moments import make_project
from bench.outsiders import Outsider, free_port, listening, started
from bench.peers import watchfiles
from bench.report import Options, Result, compare, print_results, print_table, read_options, say, spread
from bench.running import Running, serving
from deployd.cli import documents
from deployd.cli.client import Client
from deployd.cli.progress import word
from deployd.cli.session import begin

WORLD, NAME = "local", "edited"
OURS, PEER = "deployd", "watchfiles"
MANIFEST = f"""\
deployd: 1
service:
  name: {NAME}
  run: python3 server.py
  port: 8080
  health: /
"""
LONGEST = 60.0
"""Seconds after which a change counts as unseen."""
AFTER = 1.0
Settle = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Change:
    """Of one edit: seconds until the new text came, what failed until all was at rest, and for how long."""

    seconds: float
    requests: int
    failed: int
    away: float


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody who serves a folder."""

    folder: Path
    port: int
    host: str
    saved: Settle
    """Called once a file was saved: has it deployed where nobody watches."""
    rest: Settle
    """Returns when nothing of the last change is under way any more."""


async def _nothing() -> None:
    pass


@asynccontextmanager
async def _watchfiles(home: Path) -> AsyncIterator[Subject]:
    folder, port = make_project(home / "watched"), free_port()
    argv = watchfiles.command("python3 server.py")
    async with started(argv, folder, outside() | {"PORT": str(port)}, home / "watchfiles.log") as outsider:
        await listening(port, outsider)
        yield Subject(folder, port, f"127.0.0.1:{port}", _nothing, _nothing)


@asynccontextmanager
async def _deployd(home: Path, by: str) -> AsyncIterator[Subject]:
    folder, port = make_project(home / "project"), free_port()
    (folder / "deployd.yaml").write_text(MANIFEST)
    async with (
        serving(home / "deployd", ENTRYPOINT_PORT=str(port)) as running,
        running.client() as client,
        TRIGGERS[by](running, client, folder) as saved,
    ):

        async def rest() -> None:
            async with asyncio.timeout(LONGEST):
                while not await _rests(client):
                    await asyncio.sleep(0.05)

        await rest()
        yield Subject(folder, port, f"{NAME}.localhost:{port}", saved, rest)


async def _rests(client: Client) -> bool:
    found = (await client.query(documents.SERVICE, {"world": WORLD, "name": NAME}))["service"]
    return found is not None and word(found["state"]) == "serving" and found["deployment"] is None


@asynccontextmanager
async def _by_deploy(running: Running, client: Client, folder: Path) -> AsyncIterator[Settle]:
    """The folder is deployed by whoever saved, as an editor's hook would have it."""
    await running.run("deploy", str(folder))

    async def saved() -> None:
        await begin(client, WORLD, {"directory": str(folder)}, [])

    yield saved


@asynccontextmanager
async def _by_watch(running: Running, client: Client, folder: Path) -> AsyncIterator[Settle]:
    """`deployd up` in the foreground, which watches the folder."""
    log = folder.with_name("up.log")
    async with started(running.command("up", str(folder)), folder, running.environ, log) as up:
        await _until_served(client, up)
        yield _nothing


async def _until_served(client: Client, up: Outsider) -> None:
    async with asyncio.timeout(LONGEST):
        while not await _rests(client):
            up.check()
            await asyncio.sleep(0.05)


TRIGGERS = {"deploy": _by_deploy, "watch": _by_watch}


async def _edit(subject: Subject, text: str) -> Change:
    file = subject.folder / "server.py"
    async with asking(subject.port, subject.host) as client:
        await until(lambda: bool(client.answer), "no answer came before the edit", LONGEST)
        before = client.answer
        file.write_text(file.read_text().replace(f'TEXT = "{before}"', f'TEXT = "{text}"'))
        saved_at = time.monotonic()
        await subject.saved()
        await until(lambda: client.answer == text, f"what was saved did not come{_seen(client)}", LONGEST)
        answered_at = client.answered_at
        await subject.rest()
        await asyncio.sleep(max(0.0, answered_at + AFTER - time.monotonic()))
        if client.turned_back:
            raise RuntimeError("the version before answered after the new one had")
        return Change(answered_at - saved_at, client.requests, client.failed, client.away)


def _seen(client: Asking) -> str:
    return f" (still {client.answer!r}; failures: {client.failures})"


async def measure(options: Options) -> dict[str, list[Change]]:
    """Each round's, in turn; both are up all the time, and one of them is edited."""
    found: dict[str, list[Change]] = {OURS: [], PEER: []}
    async with scratch() as home, _watchfiles(home) as peer, _deployd(home, options.own.by) as ours:
        for number in range(1, options.rounds + 1):
            for (name, changes), subject in zip(found.items(), (ours, peer), strict=True):
                changes.append(await _edit(subject, f"edit {number}"))
                say(
                    f"round {number} of {options.rounds}: {name} {changes[-1].seconds:.3f} s, "
                    f"{changes[-1].failed} of {changes[-1].requests} requests failed"
                )
    return found


def results(found: dict[str, list[Change]], by: str) -> list[Result]:
    """Seconds, failed requests of each edit, and seconds without an answer."""
    return [
        compare(
            "saving",
            f"{what} (deployd: by {by})",
            unit,
            OURS,
            {name: [round(getattr(one, field), 6) for one in changes] for name, changes in found.items()},
        )
        for what, unit, field in (
            ("saved until the new version answered", "s", "seconds"),
            ("requests that failed in an edit", "requests", "failed"),
            ("without an answer in an edit", "s", "away"),
        )
    ]


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--by", choices=sorted(TRIGGERS), default="watch", help="what has deployd deploy (default: watch)"
    )


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    options = read_options(__doc__, argv, rounds=20, add=_add)
    found = asyncio.run(measure(options))
    by = options.own.by
    made = results(found, by)
    if options.json:
        print_results(made)
        return
    rows = []
    for name, changes in found.items():
        rows.append(
            (
                name,
                *spread([one.seconds for one in changes], 3),
                *(str(sum(one.failed for one in changes)), str(sum(one.requests for one in changes))),
                *spread([one.away for one in changes], 3),
                "" if name == OURS else f"{made[0].ratios[name]:.2f} times",
            )
        )
    print_table(
        f"A file is saved; seconds, minimum, median and maximum; deployd: by {by}; edits: {options.rounds}",
        (
            *("", "answers min", "median", "max", "failed", "of requests"),
            *("away min", "median", "max", "deployd needs"),
        ),
        rows,
        "Answers: until the new version's first answer. Away: without any good answer, in an edit.\n"
        + describe(("watchfiles",)),
    )


if __name__ == "__main__":
    main()
