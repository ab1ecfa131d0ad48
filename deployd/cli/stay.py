"""What a foreground `up` shows once all serves: health, restarts, and what the services write."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime

from deployd.cli import documents
from deployd.cli.client import Client
from deployd.cli.exits import ServerUnreachable
from deployd.cli.logs import log_line
from deployd.cli.progress import Progress, word
from deployd.cli.render import plain_line
from deployd.cli.starting import Starting
from deployd.cli.terminal import Console
from deployd.errors import DeploydError

__all__ = ["Stay"]

LOOK = 0.25
"""Seconds between two looks at whether the server that we started still lives."""
ENDED = ("suspended", "retired")


@dataclass
class Stay:
    """The services that are stayed with; more of them may come while it runs."""

    client: Client
    world: str
    console: Console
    names: dict[str, str] = field(default_factory=dict)
    """Of the services, by their ids."""
    _gone: set[str] = field(default_factory=set)
    _telling: list[asyncio.Task[None]] = field(default_factory=list)

    def add(self, progress: Progress) -> None:
        """Stay with the services of this change too; what they wrote since it was asked for is told."""
        for name, service_id, since in _services(progress):
            if service_id not in self.names:
                self.names[service_id] = name
                self._telling.append(asyncio.create_task(self._tell_logs(name, since)))

    async def run(self, cursor: str, started: Starting | None) -> None:
        """Until somebody else has ended all of these services. Raises ServerUnreachable."""
        ends = [asyncio.create_task(self._tell_events(cursor))]
        if started is not None:
            ends.append(asyncio.create_task(_watch(started)))
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
        finally:
            telling = [*self._telling, *ends]
            for task in telling:
                task.cancel()
            await asyncio.gather(*telling, return_exceptions=True)

    async def _tell_events(self, cursor: str) -> None:
        """The services' own transitions, and deployments of them, whoever asked for those."""
        stream = self.client.subscribe(
            documents.TRANSITIONS,
            {"world": self.world, "after": cursor},
            lost=lambda: self._note("the server is away; trying again"),
        )
        async with aclosing(stream):
            async for batch in stream:
                if "transitions" not in batch:  # what moved meanwhile is not kept any more
                    self._note(batch["message"])
                    await self._look_again()
                for transition in batch.get("transitions", ()):
                    name = self.names.get(transition["serviceId"])
                    if name is None:
                        continue
                    if self.console.json:
                        self.console.tell("transition", service=name, **transition)
                    else:
                        style = "yellow" if transition["reason"] else "dim"
                        self.console.say(self.console.paint(plain_line(transition, name), style))
                    if word(transition["kind"]) == "service":
                        ended = word(transition["toState"]) in ENDED
                        (self._gone.add if ended else self._gone.discard)(transition["serviceId"])
                if self._gone >= self.names.keys():
                    return

    async def _look_again(self) -> None:
        """Which of the services have ended, where no transition told of it."""
        for service_id, name in self.names.items():
            data = await self.client.query(documents.SERVICE, {"world": self.world, "name": name})
            there = data["service"]
            ended = there is None or there["id"] != service_id or word(there["state"]) in ENDED
            (self._gone.add if ended else self._gone.discard)(service_id)

    async def _tell_logs(self, name: str, since: str) -> None:
        """What one service has written since then."""
        begin = datetime.fromisoformat(since)
        stream = self.client.subscribe(documents.FOLLOW_LOGS, {"world": self.world, "service": name})
        try:
            async with aclosing(stream):
                async for batch in stream:
                    for line in batch["lines"]:
                        if datetime.fromisoformat(line["at"]) < begin:
                            continue
                        if self.console.json:
                            self.console.tell("line", service=name, **line)
                        else:
                            width = max(map(len, self.names.values()))
                            self.console.say(log_line(self.console, line, name.ljust(width)))
        except DeploydError as error:
            self._note(f"{name}: no more log lines: {error.message}")

    def _note(self, text: str) -> None:
        if self.console.json:
            self.console.tell("note", text=text)
        else:
            self.console.say(self.console.paint(text, "yellow"))


def _services(progress: Progress) -> Iterator[tuple[str, str, str]]:
    """Name, id, and since when: of those that are deployed, and of those that are left as they are."""
    for one in progress.attempts.values():
        if one.service_id is not None:
            yield one.name, one.service_id, one.created_at
    for name, service in progress.unaffected.items():
        if service is not None and progress.change is not None:
            yield name, service["id"], progress.change.created_at


async def _watch(started: Starting) -> None:
    while started.ours:  # noqa: ASYNC110 - another process's end sets no event
        await asyncio.sleep(LOOK)
    died = started.died()
    raise ServerUnreachable(
        died.message, evidence=died.evidence, remedy="The services go on; come back to them: deployd up"
    )
