"""Secrets: set, unset and listed. No type here has a field for a value."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from typing import Annotated, Any, Self, TypeAlias

import strawberry

from deployd.engine.secrets import ReferredSecret
from deployd.errors import InputError
from deployd.graphql.answers import Answer
from deployd.graphql.context import Context, Info
from deployd.graphql.fields import mutation, resolved
from deployd.graphql.problem import Problem, attempt, or_none
from deployd.graphql.transitions import WorldName

__all__ = ["Secret", "SecretMutation", "SecretQuery", "SecretResult"]

SecretName = Annotated[
    str, strawberry.argument(description="Up to 63 letters, digits, _ and -; the first one a letter or _.")
]


@strawberry.type(
    description="A value that services can refer to as ${secrets.NAME}. The value never comes out."
)
class Secret(Answer):
    """The engine's ReferredSecret."""

    name: str = strawberry.field(description="Its name in its world.")
    set_at: datetime = strawberry.field(description="When it was last set.")
    set_by: str = strawberry.field(description="Who set it then.")
    services: list[str] = strawberry.field(
        description="The services that refer to it, in what they serve or in their newest deployment."
    )

    @classmethod
    def of(cls, one: ReferredSecret) -> Self:
        """All of it that can be seen."""
        secret = one.secret
        return cls(name=secret.name, set_at=secret.set_at, set_by=secret.set_by, services=list(one.services))

    def keep(self) -> object:
        """All of it: one that was unset is not there any more."""
        return [self.name, self.set_at.isoformat(), self.set_by, self.services]

    @classmethod
    async def restore(cls, context: Context, kept: Any) -> Self:
        """As it was then."""
        name, at, by, services = kept
        return cls(name=name, set_at=datetime.fromisoformat(at), set_by=by, services=services)


SecretResult: TypeAlias = Annotated[
    Secret | Problem,
    strawberry.union("SecretResult", description="The secret without its value, or why it was refused."),
]


@strawberry.type
class SecretQuery:
    """Asking once."""

    @resolved(description="The world's secrets without their values, by name. For developers.")
    async def secrets(self, info: Info, world: WorldName) -> list[Secret]:
        context = info.context
        return [Secret.of(one) for one in await context.api.secrets.list_secrets(context.actor, world)]


@strawberry.type
class SecretMutation:
    """Setting and unsetting."""

    @mutation(
        description="Keep a value under a name. Services get it at their next deployment.", hidden=["value"]
    )
    async def set_secret(
        self,
        info: Info,
        world: WorldName,
        name: SecretName,
        value: Annotated[
            str, strawberry.argument(description="At most 64 KiB in UTF-8. Send it as a variable.")
        ],
    ) -> SecretResult:
        context = info.context
        return await _answer(
            context, world, context.api.secrets.set_secret(context.actor, world, name, value)
        )

    @mutation(description="Forget a value; the secret as it was. What runs keeps what it was given.")
    async def unset_secret(self, info: Info, world: WorldName, name: SecretName) -> SecretResult:
        context = info.context
        return await _answer(context, world, context.api.secrets.unset_secret(context.actor, world, name))


async def _answer(context: Context, world: str, asked: Awaitable[ReferredSecret]) -> Secret | Problem:
    async def ask() -> Secret:
        return Secret.of(await asked)

    async def where(error: InputError) -> list[str]:
        """Which argument the error is about; looked up only once there is one."""
        if error.message.startswith("the value of "):
            return ["value"]
        if await or_none(context.operations.world(context.actor, world)) is None:
            return ["world"]
        return ["name"]

    return await attempt(ask(), where)
