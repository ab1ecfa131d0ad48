"""Tokens, of which only the hash is kept."""

from __future__ import annotations

import hashlib
from datetime import datetime

import asyncpg

from deployd.model.actor import Actor, Role
from deployd.model.identifier import new_id
from deployd.model.token import Token
from deployd.store.database import Database

__all__ = ["add", "find", "list_all", "revoke"]


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _token(row: asyncpg.Record) -> Token:
    return Token(
        id=row["id"],
        name=row["name"],
        role=Role(row["role"]),
        worlds=None if row["worlds"] is None else tuple(row["worlds"]),
        created_at=row["created_at"],
        created_by=row["created_by"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
        revoked_by=row["revoked_by"],
    )


async def add(
    db: Database,
    system_world_id: int,
    name: str,
    role: Role,
    token: str,
    *,
    worlds: tuple[str, ...] | None = None,
    expires_at: datetime | None = None,
    created_by: str | None = None,
) -> Token | None:
    """The token is valid from now on; None where it is known already, or a living one has its name.

    It has at least 128 random bits, so a plain hash keeps it.
    """
    given = (_sha256(token), None if worlds is None else list(worlds), expires_at, created_by)
    rows = await db.fetch("add_token", system_world_id, new_id(), name, role, *given)
    return _token(rows[0]) if rows else None


async def find(db: Database, token: str) -> Actor | None:
    """Whose token this is; None for one that never was, was revoked, or has expired.

    That it was used is on record, to the minute.
    """
    rows = await db.fetch("find_token", _sha256(token))
    if not rows:
        return None
    row = rows[0]
    if row["expires_at"] is not None and row["expires_at"] <= row["now"]:
        return None
    if row["unseen"]:
        await db.execute("see_token", row["world_id"], row["id"])
    return Actor(
        name=f"token:{row['name']}",
        role=Role(row["role"]),
        worlds=None if row["worlds"] is None else tuple(row["worlds"]),
        token_id=row["id"],
        expires_at=row["expires_at"],
    )


async def list_all(db: Database, system_world_id: int, *, ended: bool = False) -> list[Token]:
    """Those that count, by name; `ended`: those too that were revoked or have expired."""
    return [_token(row) for row in await db.fetch("list_tokens", system_world_id, ended)]


async def revoke(db: Database, system_world_id: int, name: str, actor: str) -> Token | None:
    """The living one of this name counts no more; None where there is none."""
    rows = await db.fetch("revoke_token", system_world_id, name, actor)
    return _token(rows[0]) if rows else None
