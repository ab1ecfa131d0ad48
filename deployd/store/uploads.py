"""Uploaded archives: in parts, there only once they are whole."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable, AsyncIterator
from uuid import UUID

from deployd.errors import NotFound
from deployd.store.database import Database

__all__ = ["add", "exists", "read", "remove"]

PART = 1024 * 1024
"""Bytes of a part; the last one may have fewer."""


async def add(db: Database, world_id: int, upload_id: UUID, content: AsyncIterable[bytes]) -> None:
    """The upload exists from now on. One whose content breaks off is removed, and the error goes on."""
    digest, number, part = hashlib.sha256(), 0, bytearray()
    try:
        async for piece in content:
            digest.update(piece)
            part += piece
            while len(part) >= PART:
                number += 1
                await db.execute("add_upload_part", world_id, upload_id, number, bytes(part[:PART]))
                del part[:PART]
        if part:
            await db.execute("add_upload_part", world_id, upload_id, number + 1, bytes(part))
        await db.execute("add_upload_part", world_id, upload_id, 0, digest.digest())
    except BaseException:
        await remove(db, world_id, upload_id)
        raise


async def exists(db: Database, world_id: int, upload_id: UUID) -> bool:
    """Whether the upload is there, whole."""
    return bool(await db.fetch("get_upload_part", world_id, upload_id, 0))


async def read(db: Database, world_id: int, upload_id: UUID) -> AsyncIterator[bytes]:
    """The content, in parts. Raises NotFound where the upload is not there, or goes meanwhile."""
    whole = await db.fetch("get_upload_part", world_id, upload_id, 0)
    digest, number = hashlib.sha256(), 1
    while whole and (rows := await db.fetch("get_upload_part", world_id, upload_id, number)):
        digest.update(rows[0]["content"])
        yield rows[0]["content"]
        number += 1
    if not whole or digest.digest() != whole[0]["content"]:
        raise NotFound(
            f"the upload {upload_id} is not there any more",
            remedy="Upload it again: one is kept until it is deployed, and for a day at most.",
        )


async def remove(db: Database, world_id: int, upload_id: UUID) -> None:
    """The upload is gone; so it may have been before."""
    await db.execute("remove_upload", world_id, upload_id)
