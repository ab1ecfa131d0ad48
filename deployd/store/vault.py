"""Secrets and the outputs of resources: encrypted in the database, in clear only where they are asked for.

Invariant: one database, one key. Whoever comes with another one is refused at the first use, before it
reads or writes anything.
"""

from __future__ import annotations

import secrets as randomness
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

import asyncpg

from deployd.errors import Conflict
from deployd.model.identifier import new_id
from deployd.model.secret import Secret
from deployd.store.cipher import Cipher
from deployd.store.codec import decode, encode
from deployd.store.database import Database

__all__ = ["Vault"]

_TRIES = 100
"""Of a change that others were quicker with: each loss is somebody's success."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is encrypted for one resource."""

    outputs: Mapping[str, str] = field(default_factory=dict)
    generated: str | None = None


class Vault:
    """Made once. All raise SecretsUnreadable for another key, PostgresUnavailable without a server."""

    def __init__(self, db: Database, key: bytes) -> None:
        """`key`: 32 bytes, the same for all replicas."""
        self._db, self._cipher = db, Cipher(key)
        self._agreed = False

    def __repr__(self) -> str:
        return "Vault()"

    # -- secrets

    async def set_secret(self, world_id: int, name: str, value: str, actor: str) -> Secret:
        """Keep the value under this name, in place of the one before."""
        cipher = await self._ready()
        sealed = cipher.seal(value.encode(), "secrets", world_id, name)
        rows = await self._db.fetch("set_secret", world_id, name, new_id(), sealed, actor)
        return _secret(rows[0])

    async def unset_secret(self, world_id: int, name: str) -> bool:
        """Forget it; whether it was there."""
        return bool(await self._db.fetch("unset_secret", world_id, name))

    async def list_secrets(self, world_id: int) -> list[Secret]:
        """All of the world, by name."""
        return [_secret(row) for row in await self._db.fetch("list_secrets", world_id)]

    async def secrets(self, world_id: int, names: Collection[str]) -> dict[str, str]:
        """The values of those that are set, by name."""
        if not names:
            return {}
        cipher = await self._ready()
        rows = await self._db.fetch("get_secrets", world_id, list(names))
        return {
            row["name"]: cipher.open(row["content"], "secrets", world_id, row["name"]).decode()
            for row in rows
        }

    async def revisions(self, world_id: int, names: Collection[str]) -> dict[str, UUID]:
        """The revisions of those that are set, by name."""
        if not names:
            return {}
        rows = await self._db.fetch("secret_revisions", world_id, list(names))
        return {row["name"]: row["revision"] for row in rows}

    def digest(self, text: str) -> str:
        """Tells two texts apart that may hold secrets; nobody without the key can find out what they are."""
        return self._cipher.digest(text)

    # -- resources

    async def keep_outputs(self, world_id: int, resource_id: UUID, outputs: Mapping[str, str]) -> None:
        """Keep what a resource has to offer, in place of what it had before."""
        for _ in range(_TRIES):
            before, kept = await self._read(world_id, resource_id)
            changed = replace(kept, outputs=dict(outputs))
            if changed == kept or await self._write(world_id, resource_id, before, changed):
                return
        raise _contended(resource_id)

    async def outputs(self, world_id: int, resource_id: UUID) -> dict[str, str]:
        """What the resource has to offer; nothing where it never said."""
        return dict((await self._read(world_id, resource_id))[1].outputs)

    async def generated(self, world_id: int, resource_id: UUID) -> str:
        """The resource's password, of 256 random bits and safe in URLs: made once, the same ever after.

        It is durable before it is answered, so whatever is made with it can be found again.
        """
        for _ in range(_TRIES):
            before, kept = await self._read(world_id, resource_id)
            if kept.generated is not None:
                return kept.generated
            made = randomness.token_urlsafe(32)
            if await self._write(world_id, resource_id, before, replace(kept, generated=made)):
                return made
        raise _contended(resource_id)

    async def forget(self, world_id: int, resource_id: UUID) -> None:
        """Outputs and password are gone; so they may have been before."""
        await self._db.execute("remove_outputs", world_id, resource_id)

    async def check(self) -> None:
        """Raises SecretsUnreadable where anything is encrypted with another key, looking anew."""
        self._agreed = False
        await self._ready()

    # -- how

    async def _read(self, world_id: int, resource_id: UUID) -> tuple[bytes | None, _Kept]:
        """What is kept for a resource, as it lies and in clear."""
        cipher = await self._ready()
        rows = await self._db.fetch("get_outputs", world_id, resource_id)
        if not rows:
            return None, _Kept()
        content: bytes = rows[0]["content"]
        opened = cipher.open(content, "outputs", world_id, resource_id)
        return content, decode(_Kept, opened.decode())

    async def _write(self, world_id: int, resource_id: UUID, before: bytes | None, kept: _Kept) -> bool:
        """Replace exactly what was read; False where somebody else was quicker."""
        cipher = await self._ready()
        sealed = cipher.seal(encode(kept).encode(), "outputs", world_id, resource_id)
        if before is None:
            return bool(await self._db.fetch("add_outputs", world_id, resource_id, sealed))
        return bool(await self._db.fetch("replace_outputs", world_id, resource_id, before, sealed))

    async def _ready(self) -> Cipher:
        """The cipher, once it is known that nothing here was encrypted with another key."""
        if not self._agreed:
            rows = await self._db.fetch("other_keys", bytes.fromhex(self._cipher.key_name))
            if rows:
                raise self._cipher.other_key(rows[0]["key"])
            self._agreed = True
        return self._cipher


def _secret(row: asyncpg.Record) -> Secret:
    return Secret(row["name"], row["revision"], row["set_at"], row["set_by"])


def _contended(resource_id: UUID) -> Conflict:
    return Conflict(f"what is kept for the resource {resource_id} changes all the time")
