"""push: send a folder's files to the server, deploy them there, and follow it; again at each edit."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

from deployd.cli.client import Client, Json
from deployd.cli.deploying import deploy_source
from deployd.cli.follow import conclude, follow_change, view
from deployd.cli.options import Options
from deployd.cli.progress import Progress
from deployd.cli.session import begin, client_of, console_of, cursor_of, folder
from deployd.cli.terminal import Console, Region, error_block
from deployd.cli.watching import Edits, tell_edits
from deployd.errors import BaseUnknown, DeploydError, InputError
from deployd.sources import UPLOAD_MAXIMUM, Delta, Trees

__all__ = ["push", "upload"]

PATH = "/api/v1/uploads"
PIECE = 256 * 1024
"""Bytes that are sent at once."""
TELLING = 0.1
"""Seconds between two lines of progress."""
MIB = 1024 * 1024
REMOVED_MAXIMUM = 1000
"""Paths that are told to be gone; with more of them everything is sent."""


async def push(options: Options, arguments: argparse.Namespace) -> int:
    """Send a folder of this host, and deploy it."""
    console, directory = console_of(options), folder(arguments.path)
    if arguments.watch and arguments.no_wait:
        raise InputError("--watch stays, --no-wait does not", remedy="Give one of the two.")
    async with client_of(options) as client:
        await cursor_of(client, options.world)  # a wrong world or token is told before anything is packed
        with tempfile.TemporaryDirectory(prefix="deployd-push-") as place:
            pushing = _Pushing(client, console, options.world, directory, Path(place))
            if arguments.watch:
                async with Edits(directory, [Path(place)]) as edits:
                    return await pushing.stay(edits, arguments)
            source, _ = await pushing.send(await pushing.trees.snapshot(directory))
        source["everything"] = arguments.all
        return await deploy_source(client, options, arguments, source, f"reading {directory}")


async def upload(client: Client, console: Console, world: str, directory: Path) -> Json:
    """Send all of a folder once; the source, as DeployInput has it."""
    with tempfile.TemporaryDirectory(prefix="deployd-push-") as place:
        pushing = _Pushing(client, console, world, directory, Path(place), quiet=True)
        source, _ = await pushing.send(await pushing.trees.snapshot(directory))
        return source


@dataclass
class _Pushing:
    """One folder on its way to one server, as often as it is edited.

    `base` is the folder's tree when it was sent last and has arrived: what is the same is not sent again.
    """

    client: Client
    console: Console
    world: str
    directory: Path
    place: Path
    base: str | None = None
    quiet: bool = False
    """Programs are told of no upload: they get one document of what follows."""
    trees: Trees = field(init=False)

    def __post_init__(self) -> None:
        self.trees = Trees(self.place / "sources")

    async def stay(self, edits: Edits, arguments: argparse.Namespace) -> int:
        """Until somebody ends it; what goes wrong with one push is told, and the next edit mends it."""
        source: Json = {"everything": arguments.all}
        while True:
            try:
                await self._round(source, arguments.service)
            except DeploydError as error:
                self._complain(error)
            source = {"automatic": True}
            paths = await edits.next()
            tell_edits(self.console, paths, datetime.now(UTC).isoformat())

    async def _round(self, how: Json, services: list[str]) -> None:
        """One push, unless the folder is again as it was sent last."""
        tree = await self.trees.snapshot(self.directory)
        if tree == self.base:
            return
        progress = await self._deploy(tree, how, services)
        if self.base is not None and _code(progress) == BaseUnknown.code:
            self.base = None
            progress = await self._deploy(tree, how, services)
        conclude(self.console, progress, again="automatic" in how)
        if progress.tree is not None:
            self.base = tree if progress.tree == tree else None

    async def _deploy(self, tree: str, how: Json, services: list[str]) -> Progress:
        source, delta = await self.send(tree)
        after = await cursor_of(self.client, self.world)
        change_id = await begin(self.client, self.world, source | how, services)
        what = f"reading {self.directory}" if delta is None else f"reading {delta.changed} files"
        shown = view(self.console, what)
        return await follow_change(self.client, self.world, after, change_id, shown)

    async def send(self, tree: str) -> tuple[Json, Delta | None]:
        """Upload what is new in the tree of the folder; the source, as DeployInput has it."""
        delta = None if self.base is None else await self.trees.delta(self.base, tree)
        if delta is not None and len(delta.removed) > REMOVED_MAXIMUM:
            delta = None
        archive, size = await self._pack(tree if delta is None else delta.tree)
        upload = await self._send(archive, size, delta)
        if delta is None:
            return {"upload": upload}, None
        return {"upload": upload, "base": self.base, "removed": list(delta.removed)}, delta

    async def _pack(self, tree: str) -> tuple[Path, int]:
        """A tar.gz of exactly this tree, and its size."""
        archive = self.place / "upload.tar.gz"
        await self.trees.archive(tree, archive)
        size = (await asyncio.to_thread(archive.stat)).st_size
        if size > UPLOAD_MAXIMUM:
            raise InputError(
                f"{self.directory} comes to {size // MIB} MiB; {UPLOAD_MAXIMUM // MIB} can be sent",
                remedy="Name what the services do not need in .gitignore.",
            )
        return archive, size

    async def _send(self, archive: Path, size: int, delta: Delta | None) -> str:
        """The upload's id. How much is sent is shown meanwhile."""
        told, region = 0.0, Region(self.console)

        def tell(sent: int) -> None:
            nonlocal told
            if self.console.live and (sent == size or time.monotonic() - told > TELLING):
                told = time.monotonic()
                region.draw([f"sending {sent / MIB:.1f} of {size / MIB:.1f} MiB"])

        try:
            answer = await self.client.send(
                f"{PATH}?{urlencode({'world': self.world})}", _pieces(archive, tell), size, "application/gzip"
            )
        finally:
            region.close()
        if self.console.json and not self.quiet:
            more = {} if delta is None else {"files": delta.changed, "removed": len(delta.removed)}
            self.console.tell("uploaded", id=answer["upload"], bytes=size, **more)
        return str(answer["upload"])

    def _complain(self, error: DeploydError) -> None:
        if self.console.json:
            self.console.complain_json(error.code, error.message, error.evidence, error.remedy)
        else:
            self.console.complain(error_block(error.message, error.evidence, error.remedy))


def _code(progress: Progress) -> str | None:
    """Why the change as a whole failed."""
    change = progress.change
    return (
        str(change.reason["code"]) if change is not None and change.reason and progress.exit_code() else None
    )


async def _pieces(archive: Path, tell: Callable[[int], None]) -> AsyncIterator[bytes]:
    sent = 0
    with archive.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
            sent += len(piece)
            tell(sent)
