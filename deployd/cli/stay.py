"""What a foreground `up` shows once all serves: health, restarts, and what the services write."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import datetime

from deployd.cli import documents
from deployd.cli.client import Client
from deployd.cli.exits import ServerUnreachable
from deployd.cli.logs import log_line
from deployd.cli.progress import Attempt, Progress, word
from deployd.cli.render import plain_line
from deployd.cli.starting import Starting
from deployd.cli.terminal import Console
from deployd.errors import DeploydError

__all__ = ["stay"]

LOOK = 0.25
"""Seconds between two looks at whether the server that we started still lives."""
ENDED = ("suspended", "retired")


async def stay(
    client: Client, world: str, console: Console, progress: Progress, started: Starting | None
) -> None:
    """Until somebody else has ended all of these services. Raises ServerUnreachable when the server ends."""
    width = max(len(name) for name in progress.services)
    telling = [
        asyncio.create_task(_tell_logs(client, world, console, one, width))
        for one in progress.attempts.values()
    ]
    ends = [asyncio.create_task(_tell_events(client, world, console, progress))]
    if started is not None:
        ends.append(asyncio.create_task(_watch(started)))
    try:
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()
    finally:
        for task in (*telling, *ends):
            task.cancel()
        await asyncio.gather(*telling, *ends, return_exceptions=True)


async def _tell_events(client: Client, world: str, console: Console, progress: Progress) -> None:
    """The services' own transitions, and deployments that others make of them."""
    names = {one.service_id: one.name for one in progress.attempts.values()}
    gone: set[str] = set()
    stream = client.subscribe(
        documents.TRANSITIONS,
        {"world": world, "after": progress.cursor},
        lost=lambda: _note(console, "the server is away; trying again"),
    )
    async with aclosing(stream):
        async for batch in stream:
            for transition in batch["transitions"]:
                name = names.get(transition["serviceId"])
                if name is None:
                    continue
                if console.json:
                    console.tell("transition", service=name, **transition)
                else:
                    style = "yellow" if transition["reason"] else "dim"
                    console.say(console.paint(plain_line(transition, name), style))
                if word(transition["kind"]) == "service":
                    (gone.add if word(transition["toState"]) in ENDED else gone.discard)(name)
            if len(gone) == len(names):
                return


async def _tell_logs(client: Client, world: str, console: Console, attempt: Attempt, width: int) -> None:
    """What one service has written since this deployment began."""
    since = datetime.fromisoformat(attempt.created_at)
    stream = client.subscribe(documents.FOLLOW_LOGS, {"world": world, "service": attempt.name})
    try:
        async with aclosing(stream):
            async for batch in stream:
                for line in batch["lines"]:
                    if datetime.fromisoformat(line["at"]) < since:
                        continue
                    if console.json:
                        console.tell("line", service=attempt.name, **line)
                    else:
                        console.say(log_line(console, line, attempt.name.ljust(width)))
    except DeploydError as error:
        _note(console, f"{attempt.name}: no more log lines: {error.message}")


async def _watch(started: Starting) -> None:
    while started.ours:  # noqa: ASYNC110 - another process's end sets no event
        await asyncio.sleep(LOOK)
    died = started.died()
    raise ServerUnreachable(
        died.message, evidence=died.evidence, remedy="The services go on; come back to them: deployd up"
    )


def _note(console: Console, text: str) -> None:
    if console.json:
        console.tell("note", text=text)
    else:
        console.say(console.paint(text, "yellow"))
