"""What can be asked about access: tokens, what somebody may do, and what everybody did."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from deployd.access.policy import Action, require
from deployd.engine.operations import Operations
from deployd.errors import Conflict, Forbidden, InputError, NotFound, Unauthenticated
from deployd.model.actor import Actor, Role
from deployd.model.audit import AuditEntry
from deployd.model.token import TOKEN_NAME, Token
from deployd.store import audit, tokens

__all__ = ["Access", "NewToken"]

_LONGEST = timedelta(days=3660)
_PATTERN_LENGTH = 63


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token, and the only moment in which its value is seen."""

    token: Token
    value: str


@dataclass(frozen=True)
class Access:
    """Made once, in the composition root."""

    operations: Operations
    system_world_id: int
    revoked: Callable[[UUID], None]
    """Tells everybody at once who goes on for as long as a token counts."""

    async def create_token(
        self,
        actor: Actor | None,
        name: str,
        role: Role,
        worlds: Sequence[str] | None = None,
        lifetime: timedelta | None = None,
    ) -> NewToken:
        """A token for a program or a person. Its value is not kept, and seen in this answer alone.

        Raises InputError, Conflict, Unauthenticated, Forbidden.
        """
        who = require(actor, Action.MANAGE_TOKENS, None)
        if not TOKEN_NAME.fullmatch(name):
            raise InputError(
                f"{name[:80]!r} is no name for a token",
                remedy="Take up to 63 lower-case letters, digits, dots, _ and -, but no mark at its ends.",
            )
        if worlds is not None and (
            not worlds or any(not one or len(one) > _PATTERN_LENGTH for one in worlds)
        ):
            raise InputError(
                "the worlds are empty",
                remedy="Name some, such as staging or preview-*, or leave it out: all.",
            )
        if lifetime is not None and not timedelta() < lifetime <= _LONGEST:
            raise InputError("the lifetime is out of bounds", remedy="Take one second to ten years.")
        value = f"deployd_{secrets.token_urlsafe(32)}"
        made = await tokens.add(
            self.operations.db,
            self.system_world_id,
            name,
            role,
            value,
            worlds=None if worlds is None else tuple(worlds),
            expires_at=None if lifetime is None else datetime.now(UTC) + lifetime,
            created_by=who.name,
        )
        if made is None:
            raise Conflict(
                f"there is a token {name!r} already", remedy="Take another name, or revoke that one first."
            )
        return NewToken(made, value)

    async def list_tokens(self, actor: Actor | None, *, ended: bool = False) -> list[Token]:
        """Those that count, by name; `ended`: the others too. Raises Unauthenticated, Forbidden."""
        require(actor, Action.MANAGE_TOKENS, None)
        return await tokens.list_all(self.operations.db, self.system_world_id, ended=ended)

    async def revoke_token(self, actor: Actor | None, name: str) -> Token:
        """It counts no more, from now on; what goes on under it ends. Raises NotFound, …"""
        who = require(actor, Action.MANAGE_TOKENS, None)
        gone = await tokens.revoke(self.operations.db, self.system_world_id, name, who.name)
        if gone is None:
            raise NotFound(f"there is no token {name!r} that counts", remedy="See: deployd token list")
        self.revoked(gone.id)
        return gone

    def may(self, actor: Actor | None, action: Action, world: str | None) -> Forbidden | None:
        """Why the actor may not do this in this world; None where it may. Raises Unauthenticated."""
        try:
            require(actor, action, world)
        except Unauthenticated:
            raise
        except Forbidden as error:
            return error
        return None

    async def read_audit(
        self,
        actor: Actor | None,
        before: tuple[datetime, UUID],
        limit: int,
        *,
        world: str | None = None,
        by: str | None = None,
    ) -> list[AuditEntry]:
        """Requests, newest first: of one world, or of all that exist for the actor.

        What belongs to no world (tokens, refusals at the door) only those see who are for all worlds.
        Raises NotFound, Unauthenticated, Forbidden.
        """
        if world is not None:
            require(actor, Action.READ_AUDIT, world)
            ids = [(await self.operations.world(actor, world)).world_id]
        else:
            there = await self.operations.worlds(actor)
            who = require(actor, Action.READ_AUDIT, there[0].name if there else None)
            ids = [one.world_id for one in there]
            if who.worlds is not None:
                ids = [one for one in ids if one != self.system_world_id]
        return await audit.read(self.operations.db, ids, before, limit, actor=by)
