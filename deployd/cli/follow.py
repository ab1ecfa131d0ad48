"""Following what works to its end: transitions as they come, snapshots between them, one view."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Protocol

from deployd.cli import documents
from deployd.cli.client import PATIENCE, Client, Json
from deployd.cli.looking import next_run
from deployd.cli.paging import lists
from deployd.cli.planned import plan_lines, summary
from deployd.cli.progress import Attempt, Progress, word
from deployd.cli.render import board, plain_line
from deployd.cli.terminal import Console, Region, error_block
from deployd.errors import NotFound

__all__ = ["View", "conclude", "follow_change", "follow_deployment", "view"]

REDRAW = 0.1
"""Seconds between two looks at the clock."""
REFRESH = 2.0
"""Seconds between two snapshots: why something waits is said there alone."""

Snapshot = Callable[[], Awaitable[Json]]
Expectation = Callable[[], Awaitable[list[Json]]]
"""How long the deployments are likely to take."""


class View(Protocol):
    """Shows how something comes along."""

    @property
    def expects(self) -> bool:
        """Whether it shows how long things are likely to take."""

    def moved(self, transition: Json, progress: Progress) -> None:
        """A step of it was taken."""

    def tick(self, progress: Progress) -> None:
        """Time passed."""

    def note(self, text: str) -> None:
        """Something beside it is worth knowing."""

    def close(self, progress: Progress) -> None:
        """There is nothing more to come, or nobody wants to see it."""


class _Lines:
    """One plain line for each step: for pipes and files."""

    expects = False

    def __init__(self, console: Console) -> None:
        self._console = console
        self._asked: set[str] = set()

    def moved(self, transition: Json, progress: Progress) -> None:
        name = progress.name_of(transition)
        self._console.say(plain_line(transition, name))
        if word(transition["toState"]) == "awaiting_approval":
            if (items := progress.items_of(transition)) is not None:
                self._console.say("\n".join([*plan_lines(items, None, self._console.paint), summary(items)]))
            self._console.say(f"approve it: deployd approve {transition['machineId']}")

    def tick(self, progress: Progress) -> None:
        pass

    def note(self, text: str) -> None:
        self._console.say(text)

    def close(self, progress: Progress) -> None:
        pass


class _Objects(_Lines):
    """One object for each step: for programs."""

    def moved(self, transition: Json, progress: Progress) -> None:
        self._console.tell("transition", service=progress.name_of(transition) or None, **transition)
        items = progress.items_of(transition)
        if word(transition["toState"]) == "awaiting_approval" and items is not None:
            self._console.tell("plan", change=transition["machineId"], items=items)

    def note(self, text: str) -> None:
        self._console.tell("note", text=text)


class _Board:
    """Lines that are redrawn in place: for a terminal."""

    expects = True

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._region = Region(console)
        self._note = ""

    def moved(self, transition: Json, progress: Progress) -> None:
        self._note = ""
        self.tick(progress)

    def tick(self, progress: Progress) -> None:
        self._region.draw(self._lines(progress))

    def note(self, text: str) -> None:
        self._note = text

    def close(self, progress: Progress) -> None:
        self._note = ""
        self._region.close(self._lines(progress) if progress.attempts else ())

    def _lines(self, progress: Progress) -> list[str]:
        width, height = self._console.size()
        lines = board(progress, width - 1, height, time.monotonic(), self._console.paint, self._title)
        return [*lines, self._console.paint(self._note, "yellow")] if self._note else lines


def view(console: Console, title: str) -> View:
    """The view that suits where its lines go."""
    if console.json:
        return _Objects(console)
    return _Board(console, title) if console.live else _Lines(console)


async def follow_change(
    client: Client, world: str, after: str, change_id: str, shown: View, progress: Progress | None = None
) -> Progress:
    """Until the change has ended. `after`: a cursor of the world from before it was asked for."""

    async def snapshot() -> Json:
        data = await client.query(documents.CHANGE, {"id": change_id}, patience=PATIENCE)
        if data["change"] is None:
            raise NotFound(f"there is no change {change_id}")
        change: Json = data["change"]
        return change

    async def expectation() -> list[Json]:
        data = await client.query(documents.EXPECTED_OF_CHANGE, {"id": change_id}, patience=PATIENCE)
        return list(data["change"]["deployments"])

    progress = progress or Progress()
    progress.change = Attempt(change_id)
    await _follow(client, world, after, snapshot, expectation, shown, progress)
    for name in progress.unaffected:
        found = await client.query(documents.SERVICE, {"world": world, "name": name}, patience=PATIENCE)
        progress.unaffected[name] = lists(found["service"])
    for one in progress.attempts.values():
        if one.state == "succeeded" and not one.reached:  # a worker, or a job that is to run some time
            found = await client.query(
                documents.SERVICE, {"world": world, "name": one.name}, patience=PATIENCE
            )
            one.due = next_run(found["service"]) if found["service"] else ""
    return progress


async def follow_deployment(
    client: Client, world: str, after: str, deployment_id: str, shown: View
) -> Progress:
    """Until the deployment has ended. `after`: a cursor of the world from before it was asked for."""

    async def snapshot() -> Json:
        data = await client.query(documents.DEPLOYMENT, {"id": deployment_id}, patience=PATIENCE)
        if data["deployment"] is None:
            raise NotFound(f"there is no deployment {deployment_id}")
        deployment: Json = data["deployment"]
        return deployment

    async def expectation() -> list[Json]:
        data = await client.query(documents.EXPECTED_OF_DEPLOYMENT, {"id": deployment_id}, patience=PATIENCE)
        return [data["deployment"]]

    return await _follow(client, world, after, snapshot, expectation, shown, Progress())


async def _follow(
    client: Client,
    world: str,
    after: str,
    snapshot: Snapshot,
    expectation: Expectation,
    shown: View,
    progress: Progress,
) -> Progress:
    batches: asyncio.Queue[Json] = asyncio.Queue()
    progress.cursor = after

    async def read() -> None:
        stream = client.subscribe(
            documents.TRANSITIONS,
            {"world": world, "after": after},
            patience=PATIENCE,
            lost=lambda: shown.note("the server is away; trying again"),
        )
        async with aclosing(stream):
            async for batch in stream:
                batches.put_nowait(batch)

    reader = asyncio.create_task(read())
    try:
        progress.absorb(await snapshot())
        fresh = time.monotonic()
        while not progress.finished:
            batch = await _next(batches, reader)
            if batch is not None and "transitions" not in batch:  # what was between is not kept any more
                shown.note(batch["message"])
                progress.jump(await snapshot(), time.monotonic())
            for transition in batch.get("transitions", ()) if batch else ():
                if not progress.concerns(transition) and _born(transition):
                    progress.absorb(await snapshot())
                if progress.concerns(transition):
                    if word(transition["toState"]) == "awaiting_approval":  # what it waits for is shown
                        progress.absorb(await snapshot())
                    progress.take(transition, time.monotonic())
                    shown.moved(transition, progress)
            progress.cursor = batch["cursor"] if batch else progress.cursor
            if time.monotonic() > fresh + REFRESH:
                latest = await snapshot()
                # It has ended and nothing of that is to come: the transitions were from before `after`.
                progress.absorb(latest, last=latest["finished"] and batches.empty() and batch is None)
                fresh = time.monotonic()
            if shown.expects and progress.wonders:
                progress.expect(await expectation())
            shown.tick(progress)
        progress.absorb(await snapshot(), last=True)
        return progress
    finally:
        reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([reader])
        shown.close(progress)


def _born(transition: Json) -> bool:
    return word(transition["kind"]) in ("service", "deployment") and not transition["fromState"]


async def _next(batches: asyncio.Queue[Json], reader: asyncio.Task[None]) -> Json | None:
    """The next batch; None when it is time to look at the clock. Raises what ended the reader."""
    if batches.empty() and reader.done():
        reader.result()
    try:
        async with asyncio.timeout(REDRAW):
            return await batches.get()
    except TimeoutError:
        return None


def conclude(console: Console, progress: Progress, *, again: bool = False) -> int:
    """Say what it came to: addresses, or the one plain reason for each failure. The exit code.

    `again`: what it leaves as it is was told before, and only what is held is told once more.
    """
    code = progress.exit_code()
    if console.json:
        console.tell(
            "finished",
            exit_code=int(code),
            change=progress.change.id if progress.change else None,
            state=progress.change.state if progress.change else None,
            reason=progress.change.reason if progress.change else None,
            unaffected=list(progress.unaffected),
            deployments=[
                {
                    "id": one.id,
                    "service": one.name,
                    "state": one.state,
                    "release": one.release,
                    "address": one.address,
                    "url": one.url,
                    "reason": one.reason,
                }
                for one in progress.attempts.values()
            ],
        )
        return code
    for one in progress.attempts.values():
        if one.state == "succeeded":
            how = f" answers at {one.reached}" if one.reached else f": {one.due}" if one.due else " runs"
            what = f"{one.name}{how}"
            console.say(f"{console.paint('✔', 'green')} {what}" if console.live else what)
    for line in progress.held() if again else progress.left_alone():
        console.say(console.paint(line, "dim"))
    for title, reason in progress.failures():
        what, where = f"{title}: {reason['summary']}", reason.get("where")
        console.complain(error_block(what, reason["evidence"], reason["remedy"], where))
    return code
