"""What a request wants deployed: checked as far as that is possible at once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from deployd.errors import InputError, NotFound
from deployd.model.facts import Source
from deployd.sources import UPLOAD_MAXIMUM, check_paths, check_ref, check_repository
from deployd.store import uploads
from deployd.store.database import Database

__all__ = ["Patch", "Repository", "check_there", "limited", "source_of"]

TREE_ID = re.compile(r"[0-9a-f]{40}")
GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Repository:
    """A git repository, at a branch, tag or commit; None: at its default branch."""

    url: str
    ref: str | None = None

    def check(self) -> None:
        """Raise InputError for what cannot be fetched from."""
        check_repository(self.url)
        if self.ref is not None:
            check_ref(self.ref)


@dataclass(frozen=True, slots=True)
class Patch:
    """What an upload is put on top of; without a base it is all there is."""

    base: str | None = None
    removed: Sequence[str] = ()

    def check(self) -> None:
        """Raise InputError for what can be no tree, and paths that are none."""
        if self.base is not None and not TREE_ID.fullmatch(self.base):
            raise InputError(f"{self.base!r} is no tree", remedy="Give the `tree` of a change.")
        if self.removed and self.base is None:
            raise InputError("files are removed from no tree", remedy="Give its id as `base`.")
        check_paths(self.removed)


def source_of(
    directory: str | None, repository: Repository | None, upload: UUID | None, patch: Patch = Patch()
) -> Source:
    """The one that is given. Raises InputError for none, several, or one that cannot be."""
    if sum(one is not None for one in (directory, repository, upload)) != 1:
        raise InputError(
            "exactly one source is needed", remedy="Give one of a directory, a repository and an upload."
        )
    if upload is None and patch != Patch():
        raise InputError("only an upload has a base", remedy="Leave out `base` and `removed`.")
    patch.check()
    if directory is not None:
        path = Path(directory)
        if not path.is_absolute():
            raise InputError(f"{directory!r} is not absolute", remedy="Name the whole path.")
        return Source(str(path))
    if repository is not None:
        repository.check()
        return Source(repository=repository.url, ref=repository.ref)
    return Source(upload=upload, base=patch.base, removed=tuple(patch.removed))


async def check_there(db: Database, world_id: int, source: Source) -> None:
    """Raise InputError for a folder, NotFound for an upload that is not there."""
    if source.directory is not None and not await asyncio.to_thread(Path(source.directory).is_dir):
        raise InputError(f"there is no folder {source.directory}", remedy="Check the path.")
    if source.upload is not None and not await uploads.exists(db, world_id, source.upload):
        raise NotFound(
            f"there is no upload {source.upload}",
            remedy="Upload it to this world: one is kept until it is deployed, and for a day at most.",
        )


async def limited(content: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The same content. Raises InputError as soon as it is no gzip, or larger than an upload may be."""
    size, head = 0, b""
    async for piece in content:
        size += len(piece)
        head = head if len(head) >= len(GZIP) else head + piece[: len(GZIP)]
        if not head.startswith(GZIP[: len(head)]):
            break
        if size > UPLOAD_MAXIMUM:
            raise InputError(
                f"the upload is larger than {UPLOAD_MAXIMUM} bytes",
                remedy="Name what the services do not need in .gitignore.",
            )
        yield piece
    if not head.startswith(GZIP):
        raise InputError("the upload is no tar.gz", remedy="Send what `tar -czf` makes.")
