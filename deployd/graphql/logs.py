"""What services write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Annotated, Self

import strawberry

from deployd.drivers import api as drivers
from deployd.drivers.api import LogPage, Logs, ServiceRef
from deployd.errors import Unsupported
from deployd.graphql.context import Context, Info
from deployd.graphql.fields import resolved, subscription
from deployd.graphql.problem import take
from deployd.graphql.scalars import CursorText
from deployd.graphql.services import ServiceName
from deployd.graphql.transitions import WorldName
from deployd.model.facts import ServiceFacts

__all__ = ["LogBatch", "LogLine", "LogQuery", "LogSubscription"]

PAGE = 1000  # lines at most in one answer
BATCH = 100  # lines at most in one event
POLL = 0.2  # seconds until it is looked again when nothing was new

After = Annotated[
    CursorText | None, strawberry.argument(description="Read on behind this cursor of the same service.")
]


@strawberry.type(description="One line that a service wrote.")
class LogLine:
    """The drivers' LogLine."""

    at: datetime = strawberry.field(description="When it was read from the service.")
    stream: str = strawberry.field(
        description="`stdout`, `stderr`, or `deployd` for what is said of the service: started, exited."
    )
    instance: str = strawberry.field(description="Which running copy wrote it.")
    text: str = strawberry.field(description="The line, without its end.")

    @classmethod
    def of(cls, one: drivers.LogLine) -> Self:
        """The line as it was kept."""
        return cls(at=one.at, stream=one.stream, instance=one.instance, text=one.text)


@strawberry.type(description="Lines that follow one another.")
class LogBatch:
    """A page of lines."""

    lines: list[LogLine] = strawberry.field(description="Oldest first; may be empty.")
    cursor: CursorText = strawberry.field(description="Behind the last of them: send it to read on.")

    @classmethod
    def of(cls, page: LogPage) -> Self:
        """The driver's page."""
        return cls(lines=[LogLine.of(one) for one in page.lines], cursor=CursorText(page.cursor))


async def _logs(context: Context, world: str, service: str) -> tuple[Logs, ServiceRef]:
    """Who keeps a service's lines, and how it is told which service is meant. Raises Unsupported."""
    place = await context.operations.world(context.actor, world)
    machine = await context.operations.service(context.actor, world, service)
    assert isinstance(machine.facts, ServiceFacts)
    driver = await context.api.deployer(place.world_id, machine.facts.capability)
    if not isinstance(driver, Logs):
        raise Unsupported(
            f"capability {machine.facts.capability!r} of world {world!r} keeps no logs",
            remedy="Look where that platform keeps them.",
        )
    return driver, ServiceRef(place.world_id, place.name, machine.id, machine.facts.name)


@strawberry.type
class LogQuery:
    """Asking once."""

    @resolved(description="Lines of a service behind a cursor; without one the last ones.")
    async def logs(
        self,
        info: Info,
        world: WorldName,
        service: ServiceName,
        after: After = None,
        first: Annotated[int, strawberry.argument(description=f"How many at most, 1 to {PAGE}.")] = 100,
    ) -> LogBatch:
        driver, ref = await _logs(info.context, world, service)
        return LogBatch.of(await driver.read_logs(ref, after, take(first, PAGE)))


@strawberry.type
class LogSubscription:
    """Being told."""

    @subscription(
        description="What a service writes, each line once. Without a cursor the last 100 lines come first."
    )
    async def logs(
        self, info: Info, world: WorldName, service: ServiceName, after: After = None
    ) -> AsyncGenerator[LogBatch, None]:
        driver, ref = await _logs(info.context, world, service)
        may = info.context.watch_permission(world)
        page = await driver.read_logs(ref, after, BATCH)
        yield LogBatch.of(page)
        while True:
            await may()
            page = await driver.read_logs(ref, page.cursor, BATCH)
            if page.lines:
                yield LogBatch.of(page)
            else:
                await asyncio.sleep(POLL)
