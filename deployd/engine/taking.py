"""From what a request names to a git tree that never changes: the one moment that looks at a source."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from deployd.engine.context import Context
from deployd.errors import InputError
from deployd.model.facts import Source
from deployd.store import uploads

__all__ = ["forget", "take"]


async def take(context: Context, world_id: int, source: Source) -> Source:
    """The source with its tree (and commit) as it is now.

    To be committed before anything is made of it: done again, it may come to another tree.
    """
    if source.directory is not None:
        return replace(source, tree=await context.trees.snapshot(Path(source.directory)))
    if source.repository is not None:
        fetched = await context.trees.fetch(source.repository, source.ref)
        return replace(source, tree=fetched.tree, commit=fetched.commit)
    if source.upload is not None:
        content = uploads.read(context.db, world_id, source.upload)
        tree = await context.trees.unpack(content, source.base, source.removed)
        return replace(source, tree=tree, removed=())
    raise InputError("the change has no source", remedy="Deploy again.")


async def forget(context: Context, world_id: int, source: Source) -> None:
    """What nobody needs once the tree is committed."""
    if source.upload is not None:
        await uploads.remove(context.db, world_id, source.upload)
