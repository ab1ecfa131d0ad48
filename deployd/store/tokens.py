"""Tokens, of which only the hash is kept."""

from __future__ import annotations

import hashlib

from deployd.model.actor import Actor, Role
from deployd.model.identifier import new_id
from deployd.store.database import Database

__all__ = ["add", "find"]


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


async def add(db: Database, system_world_id: int, name: str, role: Role, token: str) -> None:
    """The token is valid from now on. It has at least 128 random bits, so a plain hash keeps it."""
    await db.execute("add_token", system_world_id, new_id(), name, role, _sha256(token))


async def find(db: Database, token: str) -> Actor | None:
    """Whose token this is; None for one that never was, or was revoked."""
    rows = await db.fetch("find_token", _sha256(token))
    return Actor(f"token:{rows[0]['name']}", Role(rows[0]["role"])) if rows else None
