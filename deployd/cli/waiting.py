"""wait: until a service, a change or a deployment is so far; told by subscriptions, not by asking."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from deployd.cli import documents
from deployd.cli.client import PATIENCE, Client, Json
from deployd.cli.exits import ExitCode, TimeIsUp
from deployd.cli.options import Options
from deployd.cli.paging import lists
from deployd.cli.progress import BAD, GIVEN_UP, GOOD, word
from deployd.cli.render import SPINNER, duration
from deployd.cli.session import client_of, console_of, cursor_of, is_id
from deployd.cli.terminal import Console, Region, cut, error_block
from deployd.errors import DeploydError, InputError, NotFound

__all__ = ["wait"]

HEALTH = 1.0
"""Seconds between two looks at a service's health: there is no transition in it."""
OTHERWISE = 5.0
"""Seconds between two looks at what transitions tell: one of another world tells nothing here."""
REDRAW = 0.1
_GOOD = GOOD | {"done"}
_BAD = BAD | {"partly"}
_ENDS = {"change": ("done", "awaiting-approval"), "deployment": ("done", "awaiting-approval")}
_SERVICE_ENDS = ("healthy", "serving", "suspended", "retired", "done")


async def wait(options: Options, arguments: argparse.Namespace) -> int:
    """Until it is so far, has come to another end, or the time is up."""
    console = console_of(options)
    async with client_of(options) as client:
        waiting = await _begin(client, options.world, arguments.id, arguments.until)
        region = Region(console)
        try:
            async with asyncio.timeout(arguments.timeout):
                await _until_settled(client, waiting, console, region)
        except TimeoutError:
            raise _time_is_up(waiting, arguments.timeout) from None
        finally:
            region.close()
    return _conclude(console, waiting)


@dataclass
class _Waiting:
    """What is waited for, and how it was last seen."""

    kind: str
    id: str
    world: str
    until: str
    cursor: str
    began: float = field(default_factory=time.monotonic)
    seen: Json | None = None
    shown: str = ""

    @property
    def title(self) -> str:
        """As people know it."""
        return self.id if self.kind == "service" else f"{self.kind} {self.id}"

    @property
    def state(self) -> str:
        """Where it stands; `retired` for a service that is not there any more."""
        return word(self.seen["state"]) if self.seen is not None else "retired"

    @property
    def now(self) -> str:
        """Where it stands, as people read it."""
        health = word(self.seen["health"]) if self.seen is not None and self.kind == "service" else ""
        return ", ".join(filter(None, (self.state.replace("_", " "), health)))

    async def look(self, client: Client) -> None:
        """See how it stands. Raises NotFound."""
        self.seen = await _find(client, self.kind, self.world, self.id)

    @property
    def settled(self) -> bool:
        """Whether there is nothing more to wait for, well or not."""
        if self.until == "awaiting-approval" and self.state == "awaiting_approval":
            return True
        if self.kind != "service":
            return bool(self.seen and self.seen["finished"])
        if self.seen is None or self.state == "retired":
            return True
        return _so_far(self.seen, self.until) or _hopeless(self.seen, self.until)


def _so_far(service: Json, until: str) -> bool:
    state, health = word(service["state"]), word(service["health"])
    if until == "healthy":
        return state == "serving" and health == "healthy"
    if until == "done":
        return service["deployment"] is None and state != "deploying"
    return state == until


def _hopeless(service: Json, until: str) -> bool:
    """It serves nothing, its latest deployment failed, and nothing works at it: that does not mend itself."""
    failed = any(word(one["state"]) in BAD | GIVEN_UP for one in service["deployments"])
    idle = word(service["state"]) == "idle" and service["deployment"] is None
    return until in ("healthy", "serving") and idle and failed


async def _begin(client: Client, world: str, name: str, until: str | None) -> _Waiting:
    """What is meant. Raises InputError, NotFound."""
    cursor = await cursor_of(client, world)
    kind = "service"
    if is_id(name):
        kind, _ = await _machine(client, name)
    until = until or ("healthy" if kind == "service" else "done")
    ends = _ENDS.get(kind, _SERVICE_ENDS)
    if until not in ends:
        raise InputError(f"a {kind} is never {until}", remedy=f"Wait for one of: {', '.join(ends)}.")
    waiting = _Waiting(kind, name, world, until, cursor)
    await waiting.look(client)
    if waiting.seen is None and until != "retired":
        raise NotFound(
            f"world {world!r} has no service {name!r}", remedy="See which there are: deployd status"
        )
    return waiting


async def _machine(client: Client, machine_id: str) -> tuple[str, Json]:
    for kind in ("change", "deployment"):
        with contextlib.suppress(NotFound):
            if (found := await _find(client, kind, "", machine_id)) is not None:
                return kind, found
    raise NotFound(
        f"there is no change and no deployment {machine_id}", remedy="See: deployd history SERVICE"
    )


async def _find(client: Client, kind: str, world: str, name: str) -> Json | None:
    if kind == "service":
        try:
            data = await client.query(documents.SERVICE, {"world": world, "name": name}, patience=PATIENCE)
        except NotFound:
            return None
    else:
        document = documents.CHANGE if kind == "change" else documents.DEPLOYMENT
        data = await client.query(document, {"id": name}, patience=PATIENCE)
    found: Json | None = lists(data[kind])
    return found


async def _until_settled(client: Client, waiting: _Waiting, console: Console, region: Region) -> None:
    if waiting.settled:
        return
    moved = asyncio.Event()
    reader = asyncio.create_task(_read(client, waiting, moved.set, console))
    every = HEALTH if waiting.until == "healthy" else OTHERWISE
    try:
        looked = time.monotonic()
        while not waiting.settled:
            _show(console, region, waiting)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REDRAW if console.live else every):
                    await moved.wait()
            if reader.done():
                reader.result()
            if moved.is_set() or time.monotonic() > looked + every:
                moved.clear()
                await waiting.look(client)
                looked = time.monotonic()
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)


async def _read(client: Client, waiting: _Waiting, moved: Callable[[], None], console: Console) -> None:
    """Say when something of it moved. Raises what ends a subscription."""

    def lost() -> None:
        if not console.json:
            console.note("the server is away; trying again")

    if waiting.kind == "deployment":
        document, variables = documents.MOVES, {"id": waiting.id}
    else:
        document, variables = documents.TRANSITIONS, {"world": waiting.world, "after": waiting.cursor}
    service = (waiting.seen or {}).get("id") if waiting.kind == "service" else None
    stream = client.subscribe(document, variables, patience=PATIENCE, lost=lost)
    async with aclosing(stream):
        async for batch in stream:
            if "transitions" not in batch:  # what moved is not told any more: look
                moved()
                continue
            for one in batch["transitions"]:
                if waiting.id == one["machineId"] or (service and service == one["serviceId"]):
                    moved()
                    break
    moved()


def _show(console: Console, region: Region, waiting: _Waiting) -> None:
    if console.live:
        seconds = time.monotonic() - waiting.began
        mark = SPINNER[int(seconds * 10) % len(SPINNER)]
        line = f"{mark} {waiting.title}  {waiting.now}  {duration(seconds)}"
        region.draw([cut(line, console.size()[0] - 1)])
    elif not console.json and waiting.now != waiting.shown:
        console.say(f"{waiting.title} is {waiting.now}")
    waiting.shown = waiting.now


def _conclude(console: Console, waiting: _Waiting) -> int:
    """Say how it stands, and why where that is not what was waited for."""
    code, seen = _code(waiting), waiting.seen or {}
    reason = seen.get("reason")
    if not reason and code and waiting.kind == "service":
        reason = next((one["reason"] for one in seen.get("deployments", ())), None)
    if console.json:
        console.document(
            {
                "kind": waiting.kind,
                "id": seen.get("id"),
                "name": waiting.id if waiting.kind == "service" else seen.get("service"),
                "until": waiting.until,
                "state": waiting.state,
                "health": word(seen["health"]) if seen.get("health") else None,
                "reached": not code,
                "seconds": round(time.monotonic() - waiting.began, 3),
                "reason": reason,
            }
        )
    elif code:
        told = reason or {"summary": f"it is {waiting.now}", "evidence": "", "remedy": ""}
        what = f"{waiting.title} is not {waiting.until.replace('-', ' ')}: {told['summary']}"
        console.complain(error_block(what, told["evidence"], told["remedy"]))
    else:
        where = f" at {seen['url'] or seen['address']}" if seen.get("url") or seen.get("address") else ""
        mark = f"{console.paint('✔', 'green')} " if console.live else ""
        console.say(f"{mark}{waiting.title} is {waiting.now}{where}")
    return code


def _code(waiting: _Waiting) -> ExitCode:
    if waiting.kind == "service":
        if waiting.until == "retired":
            return ExitCode.DONE
        if waiting.seen is None or not _so_far(waiting.seen, waiting.until):
            return ExitCode.FAILED
        return ExitCode.DONE
    if waiting.state in _GOOD or waiting.state == "awaiting_approval":
        return ExitCode.DONE
    return ExitCode.FAILED if waiting.state in _BAD else ExitCode.CANCELLED


def _time_is_up(waiting: _Waiting, seconds: int) -> DeploydError:
    reason = (waiting.seen or {}).get("reason") or {}
    remedy = f"See how it stands: deployd status {waiting.id}" if waiting.kind == "service" else ""
    if waiting.state == "awaiting_approval":
        remedy = f"Approve it: deployd approve {waiting.id}"
    return TimeIsUp(
        f"{waiting.title} is not {waiting.until} within {duration(seconds)}",
        evidence=f"it is {waiting.now}" + (f": {reason['summary']}" if reason else ""),
        remedy=reason.get("remedy") or remedy or "Wait on, or cancel it: deployd cancel " + waiting.id,
    )
