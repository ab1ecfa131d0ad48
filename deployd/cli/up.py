"""up: a server if there is none, a deployment, and then the services' life until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from deployd.cli import documents
from deployd.cli.client import Client, Json
from deployd.cli.exits import ExitCode
from deployd.cli.follow import conclude, follow_change, view
from deployd.cli.interrupts import Interrupted, Interrupts
from deployd.cli.options import Options
from deployd.cli.progress import FINAL_CHANGE, Progress, word
from deployd.cli.redeploying import redeploy
from deployd.cli.render import SPINNER, duration
from deployd.cli.resources import rested
from deployd.cli.session import AGAIN, begin, client_of, console_of, cursor_of, folder, stuck, until
from deployd.cli.starting import Starting
from deployd.cli.stay import Stay
from deployd.cli.steering import suspended
from deployd.cli.terminal import Console, Region, cut
from deployd.cli.watching import Edits
from deployd.errors import Conflict, DeploydError, InputError, NotFound

__all__ = ["up"]

WINDING_DOWN = 30.0
"""Seconds within which everything of this `up` has to be suspended after Ctrl-C."""

GIVING_WAY = 2.0
"""Seconds that somebody else has to end the server that we started."""


def up(options: Options, arguments: argparse.Namespace) -> int:
    """Deploy a folder here, and stay with it (or not: --detach)."""
    return asyncio.run(_up(options, arguments))


async def _up(options: Options, arguments: argparse.Namespace) -> int:
    one = _Up(options, console_of(options), folder(arguments.path))
    with Interrupts() as interrupts:
        try:
            return await interrupts.guard(one.live(detach=arguments.detach, watch=not arguments.no_watch))
        except Interrupted:
            pass
        try:
            return await interrupts.guard(one.wind_down())
        except Interrupted:
            await one.leave(wait=False)
            return ExitCode.INTERRUPTED


@dataclass
class _Up:
    """One `up`: what it started and asked for, so that it can end exactly that."""

    options: Options
    console: Console
    directory: Path
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: Starting | None = None
    asked: bool = False
    served: bool = False
    progress: Progress = field(default_factory=Progress)
    """Of the change that was asked for last."""
    automatic: bool = False
    """That one is of an edit."""
    names: dict[str, None] = field(default_factory=dict)
    """The services of the changes before, in their order."""

    @property
    def _source(self) -> Json:
        return {"directory": str(self.directory), "automatic": self.automatic}

    @property
    def _services(self) -> list[str]:
        """All that this `up` is about."""
        return list(dict.fromkeys((*self.names, *self.progress.services, *self.progress.unaffected)))

    async def live(self, *, detach: bool, watch: bool) -> int:
        """The whole of it, while nobody wants an end."""
        if self.options.server is None and not await self.options.local.ready():
            await self._start()
        watching = watch and not detach
        async with client_of(self.options) as client, contextlib.AsyncExitStack() as stack:
            home = self.options.local.settings.home
            edits = await stack.enter_async_context(Edits(self.directory, [home])) if watching else None
            after = await cursor_of(client, self.options.world)
            self.asked = True
            change_id = await begin(client, self.options.world, self._source, [], self.key)
            shown = view(self.console, f"reading {self.directory}")
            await follow_change(client, self.options.world, after, change_id, shown, self.progress)
            code = conclude(self.console, self.progress)
            if code:
                await self._part(client)
                return code
            self.served = True
            if detach:
                self._say("it goes on in the background; see: deployd status, end it: deployd down")
                return code
            self._say("what is edited is deployed; Ctrl-C ends it" if watching else "Ctrl-C ends it")
            await self._stay(client, edits)
            self._say("nothing of it runs any more")
        await self._give_way()
        await self.leave()
        return ExitCode.DONE

    async def _stay(self, client: Client, edits: Edits | None) -> None:
        """Until nothing of it serves any more; edits are deployed meanwhile."""
        world, cursor = self.options.world, self.progress.cursor
        staying = Stay(client, world, self.console)
        staying.add(self.progress)
        work = (
            redeploy(client, world, self.console, edits, staying, self._next) if edits is not None else None
        )
        redeploying = asyncio.create_task(work) if work is not None else None
        try:
            await staying.run(cursor, self.started)
        finally:
            if redeploying is not None:
                redeploying.cancel()
                await asyncio.gather(redeploying, return_exceptions=True)

    def _next(self) -> tuple[Json, str, Progress]:
        """From here on the next change is the one that may have to be cancelled."""
        self.names = dict.fromkeys(self._services)
        self.key, self.automatic, self.progress = uuid.uuid4().hex, True, Progress()
        return self._source, self.key, self.progress

    async def wind_down(self) -> int:
        """After Ctrl-C: cancel what is under way, suspend exactly these services, stop the server if ours."""
        if self.console.live:
            self.console.say("")  # after the terminal's ^C
        try:
            if self.asked:
                async with client_of(self.options) as client:
                    await self._suspend(client, time.monotonic() + WINDING_DOWN)
        except DeploydError:
            await self.leave()
            raise
        await self.leave()
        return ExitCode.DONE if self.served else ExitCode.INTERRUPTED

    async def leave(self, *, wait: bool = True) -> None:
        """Stop the server if this `up` started it; services that still run go on."""
        if self.started is not None and self.started.ours:
            await self.started.end(wait=wait)
            self._say("the server is stopped")

    async def _give_way(self) -> None:
        """Whoever suspended our services may be a `down`, which still talks with the server and ends it."""
        until_ = time.monotonic() + GIVING_WAY
        while self.started is not None and self.started.ours and time.monotonic() < until_:  # noqa: ASYNC110
            await asyncio.sleep(AGAIN)

    async def _start(self) -> None:
        region, began, told = Region(self.console), time.monotonic(), False

        def tell(line: str) -> None:
            nonlocal told
            seconds = time.monotonic() - began
            if self.console.live:
                mark = SPINNER[int(seconds * 10) % len(SPINNER)]
                width = self.console.size()[0] - 1
                what = f"{mark} starting the server  {duration(seconds)}"
                region.draw([cut(what, width), self.console.paint(cut(f"  {line}", width), "dim")])
            elif not told:
                self._say("starting the server")
            told = True

        try:
            started = await self.options.local.start(tell)
        finally:
            region.close()
        self.started = started if started.ours else None

    async def _part(self, client: Client) -> None:
        """It failed: what still serves is left alone, and with it the server; else nothing is left."""
        running = []
        for name in self._services:
            data = await client.query(documents.SERVICE, {"world": self.options.world, "name": name})
            service = data["service"]
            if service and service["serving"] and not suspended(service):
                running.append(f"{name} still serves release {service['serving']['number']}")
        if running:
            self._say("\n".join([*running, "end it: deployd down"]))
        else:
            await self.leave()

    async def _suspend(self, client: Client, until_: float) -> None:
        world = self.options.world
        if self.progress.change is None or not self.progress.finished:
            names = list(dict.fromkeys((*self.names, *await self._given_up(client, until_))))
        else:
            names = self._services
        if not names:
            return
        self._say(f"suspending {', '.join(names)}")
        for name in names:
            with contextlib.suppress(NotFound, Conflict):
                await client.mutate(documents.STEER["suspend"], {"world": world, "service": name})
        left = max(1.0, until_ - time.monotonic())
        waiting = await until(client, world, names, suspended, seconds=left)
        if waiting:
            raise stuck(waiting, "suspended", WINDING_DOWN)
        if still := await rested(client, world):
            self._say(f"still running: {', '.join(still)}; see: deployd resource list")

    async def _given_up(self, client: Client, until_: float) -> list[str]:
        """The services of the change that was asked for last, once that is over."""
        try:
            # The answer may have been lost with the interrupt; the same key gives the same change.
            change_id = await begin(client, self.options.world, self._source, [], self.key)
        except InputError:
            return []  # refused, as it was before: its folder is gone, and nothing came of it
        with contextlib.suppress(Conflict):
            await client.mutate(documents.CANCEL, {"id": change_id})
        return await self._cancelled(client, change_id, until_)

    async def _cancelled(self, client: Client, change_id: str, until_: float) -> list[str]:
        """The services of the change, once it is over. Raises DeploydError when that takes too long."""
        self._say("cancelling the deployment")
        while True:
            change = (await client.query(documents.CHANGE, {"id": change_id}))["change"]
            if word(change["state"]) in FINAL_CHANGE:
                return [*(str(one["service"]) for one in change["deployments"]), *change["unaffected"]]
            if time.monotonic() > until_:
                raise DeploydError(
                    f"change {change_id} is not cancelled within {WINDING_DOWN:.0f} s",
                    remedy="See how it stands: deployd status",
                )
            await asyncio.sleep(AGAIN)

    def _say(self, text: str) -> None:
        if self.console.json:
            self.console.tell("note", text=text)
        else:
            self.console.say(self.console.paint(text, "dim"))
