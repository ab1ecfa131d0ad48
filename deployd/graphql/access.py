"""Access: tokens, who one is, what one may do."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Self, TypeAlias

import strawberry

from deployd.access.policy import require
from deployd.engine.access import NewToken
from deployd.errors import Conflict, InputError, NotFound
from deployd.graphql.answers import Answer
from deployd.graphql.context import Context, Info
from deployd.graphql.fields import mutation, resolved
from deployd.graphql.problem import Problem, attempt
from deployd.graphql.scalars import Action, Role
from deployd.model import token as words

__all__ = ["AccessMutation", "AccessQuery", "CreatedToken", "Permission", "Token", "Viewer"]

TokenName = Annotated[str, strawberry.argument(description="The token's name.")]


@strawberry.type(description="Who calls.")
class Viewer:
    """The Actor."""

    name: str = strawberry.field(description="As history and audit log name it: `token:ci`.")
    role: Role = strawberry.field(description="What it may do.")
    worlds: list[str] | None = strawberry.field(
        description="Patterns of the names of the only worlds that exist for it; null: all."
    )
    expires_at: datetime | None = strawberry.field(description="When its token ends; null: never.")


@strawberry.type(description="Whether somebody may do something.")
class Permission:
    """What the policy says."""

    allowed: bool = strawberry.field(description="Whether the caller may.")
    reason: str = strawberry.field(description="Why not; empty where it may.")
    remedy: str = strawberry.field(description="What to do about it; empty where it may.")


@strawberry.type(
    description="By which a program or a person is known. Its value is shown once, when it is made."
)
class Token(Answer):
    """The model's Token."""

    name: str = strawberry.field(description="Its name, unique among those that count.")
    role: Role = strawberry.field(description="What it may do.")
    worlds: list[str] | None = strawberry.field(
        description="Patterns of the names of the only worlds that exist for it; null: all."
    )
    created_at: datetime = strawberry.field(description="When it was made.")
    created_by: str | None = strawberry.field(description="Who made it.")
    expires_at: datetime | None = strawberry.field(description="When it ends; null: never.")
    last_used_at: datetime | None = strawberry.field(description="When it was last used, to the minute.")
    revoked_at: datetime | None = strawberry.field(description="When it was revoked, if it was.")
    revoked_by: str | None = strawberry.field(description="Who revoked it.")

    @classmethod
    def of(cls, one: words.Token) -> Self:
        """The token as it is stored."""
        return cls(
            name=one.name,
            role=one.role,
            worlds=None if one.worlds is None else list(one.worlds),
            created_at=one.created_at,
            created_by=one.created_by,
            expires_at=one.expires_at,
            last_used_at=one.last_used_at,
            revoked_at=one.revoked_at,
            revoked_by=one.revoked_by,
        )

    def keep(self) -> object:
        """Its name."""
        return self.name

    @classmethod
    async def restore(cls, context: Context, kept: Any) -> Self:
        """The last one of that name."""
        there = await context.api.access.list_tokens(context.actor, ended=True)
        named = [one for one in there if one.name == kept]
        if not named:
            raise NotFound(f"there is no token {kept!r}")
        return cls.of(named[-1])


@strawberry.type(description="A token that was just made.")
class CreatedToken(Answer):
    """The engine's NewToken."""

    token: Token = strawberry.field(description="What is kept of it.")
    value: str = strawberry.field(description="What to send as `Authorization: Bearer …`. Never shown again.")

    @classmethod
    def of(cls, made: NewToken) -> Self:
        """Both, this once."""
        return cls(token=Token.of(made.token), value=made.value)

    def keep(self) -> object:
        """Never the value."""
        return self.token.name

    @classmethod
    async def restore(cls, context: Context, kept: Any) -> Self:
        """Raises Conflict: the value was in the first answer alone."""
        raise Conflict(
            f"token {kept!r} was made by this request before, and its value is not kept",
            remedy=f"Revoke it, and make another one: deployd token revoke {kept}",
        )


TokenResult: TypeAlias = Annotated[
    Token | Problem, strawberry.union("TokenResult", description="The token, or why it was refused.")
]
CreateTokenResult: TypeAlias = Annotated[
    CreatedToken | Problem,
    strawberry.union("CreateTokenResult", description="The new token, or why there is none."),
]


@strawberry.type
class AccessQuery:
    """Asking once."""

    @resolved(description="Who calls, as the server knows it.")
    async def viewer(self, info: Info) -> Viewer:
        actor = require(info.context.actor, Action.VIEW, None)
        return Viewer(
            name=actor.name,
            role=actor.role,
            worlds=None if actor.worlds is None else list(actor.worlds),
            expires_at=actor.expires_at,
        )

    @resolved(description="Whether the caller may do something in a world.")
    async def can_i(
        self,
        info: Info,
        action: Annotated[Action, strawberry.argument(description="What it is about.")],
        world: Annotated[
            str | None, strawberry.argument(description="Where; null for what belongs to no world.")
        ] = None,
    ) -> Permission:
        refused = info.context.api.access.may(info.context.actor, action, world)
        if refused is None:
            return Permission(allowed=True, reason="", remedy="")
        return Permission(allowed=False, reason=refused.message, remedy=refused.remedy)

    @resolved(description="Tokens, by name. For administrators.")
    async def tokens(
        self,
        info: Info,
        ended: Annotated[
            bool, strawberry.argument(description="Those too that were revoked or have expired.")
        ] = False,
    ) -> list[Token]:
        found = await info.context.api.access.list_tokens(info.context.actor, ended=ended)
        return [Token.of(one) for one in found]


@strawberry.type
class AccessMutation:
    """Making and revoking tokens."""

    @mutation(description="Make a token. Its value is in this answer alone. For administrators.")
    async def create_token(
        self,
        info: Info,
        name: TokenName,
        role: Annotated[Role, strawberry.argument(description="What it may do.")],
        worlds: Annotated[
            list[str] | None,
            strawberry.argument(
                description="Names of the only worlds that shall exist for it, or patterns such as"
                " `preview-*`; null: all."
            ),
        ] = None,
        seconds: Annotated[
            int | None, strawberry.argument(description="How long it counts; null: until it is revoked.")
        ] = None,
    ) -> CreateTokenResult:
        context = info.context

        async def ask() -> CreatedToken:
            lifetime = None if seconds is None else timedelta(seconds=seconds)
            made = await context.api.access.create_token(context.actor, name, role, worlds, lifetime)
            return CreatedToken.of(made)

        async def where(error: InputError) -> list[str]:
            about = {"the worlds": ["worlds"], "the lifetime": ["seconds"]}
            return next((path for start, path in about.items() if error.message.startswith(start)), ["name"])

        return await attempt(ask(), where)

    @mutation(description="A token counts no more, from now on. For administrators.")
    async def revoke_token(self, info: Info, name: TokenName) -> TokenResult:
        context = info.context

        async def ask() -> Token:
            return Token.of(await context.api.access.revoke_token(context.actor, name))

        async def where(_: InputError) -> list[str]:
            return ["name"]

        return await attempt(ask(), where)
