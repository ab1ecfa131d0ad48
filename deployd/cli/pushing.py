"""push: send a folder's files to the server, deploy them there, and follow it."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlencode

from deployd.cli.client import Client
from deployd.cli.deploying import deploy_source
from deployd.cli.options import Options
from deployd.cli.session import client_of, console_of, cursor_of, folder
from deployd.cli.terminal import Console, Region
from deployd.errors import InputError
from deployd.sources import UPLOAD_MAXIMUM, Trees

__all__ = ["push"]

PATH = "/api/v1/uploads"
PIECE = 256 * 1024
"""Bytes that are sent at once."""
TELLING = 0.1
"""Seconds between two lines of progress."""
MIB = 1024 * 1024


async def push(options: Options, arguments: argparse.Namespace) -> int:
    """Send a folder of this host, and deploy it."""
    console, directory = console_of(options), folder(arguments.path)
    async with client_of(options) as client:
        await cursor_of(client, options.world)  # a wrong world or token is told before anything is packed
        with tempfile.TemporaryDirectory(prefix="deployd-push-") as place:
            archive, size = await pack(directory, Path(place))
            upload = await _send(client, console, options.world, archive, size)
        return await deploy_source(client, options, arguments, {"upload": upload}, f"reading {directory}")


async def pack(directory: Path, place: Path) -> tuple[Path, int]:
    """A tar.gz of exactly what a snapshot of the folder has, and its size. Raises as Trees.snapshot."""
    trees, archive = Trees(place / "sources"), place / "upload.tar.gz"
    await trees.archive(await trees.snapshot(directory), archive)
    size = (await asyncio.to_thread(archive.stat)).st_size
    if size > UPLOAD_MAXIMUM:
        raise InputError(
            f"{directory} comes to {size // MIB} MiB; {UPLOAD_MAXIMUM // MIB} can be sent",
            remedy="Name what the services do not need in .gitignore.",
        )
    return archive, size


async def _send(client: Client, console: Console, world: str, archive: Path, size: int) -> str:
    """The upload's id. How much is sent is shown meanwhile."""
    told, region = 0.0, Region(console)

    def tell(sent: int) -> None:
        nonlocal told
        if console.live and (sent == size or time.monotonic() - told > TELLING):
            told = time.monotonic()
            region.draw([f"sending {sent / MIB:.1f} of {size / MIB:.1f} MiB"])

    try:
        answer = await client.send(
            f"{PATH}?{urlencode({'world': world})}", _pieces(archive, tell), size, "application/gzip"
        )
    finally:
        region.close()
    if console.json:
        console.tell("uploaded", id=answer["upload"], bytes=size)
    return str(answer["upload"])


async def _pieces(archive: Path, tell: Callable[[int], None]) -> AsyncIterator[bytes]:
    sent = 0
    with archive.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
            sent += len(piece)
            tell(sent)
