"""What can be asked about secrets: set, unset, list. A value comes in here and leaves by no answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deployd.access.policy import Action, require
from deployd.engine.operations import Operations
from deployd.errors import InputError, NotFound
from deployd.model.actor import Actor
from deployd.model.reference import BadReference, ReferenceKind, references
from deployd.model.secret import SECRET_BYTES, SECRET_NAME, Secret
from deployd.store import environments
from deployd.store.vault import Vault

__all__ = ["ReferredSecret", "Secrets"]


@dataclass(frozen=True, slots=True)
class ReferredSecret:
    """A secret, and the services that refer to it, by name: in what they serve, or were last asked to."""

    secret: Secret
    services: Sequence[str] = ()


@dataclass(frozen=True)
class Secrets:
    """Made once, in the composition root."""

    operations: Operations
    vault: Vault

    async def set_secret(self, actor: Actor | None, world: str, name: str, value: str) -> ReferredSecret:
        """Keep a value under this name; services get it at their next deployment.

        Raises InputError, NotFound, Unauthenticated, Forbidden.
        """
        who = require(actor, Action.SET_SECRET, world)
        _check_name(name)
        _check_value(name, value)
        place = await self.operations.world(actor, world)
        secret = await self.vault.set_secret(place.world_id, name, value, who.name)
        return ReferredSecret(secret, await self._referring(place.world_id, name))

    async def unset_secret(self, actor: Actor | None, world: str, name: str) -> ReferredSecret:
        """Forget it; the secret as it was. What runs keeps the value that it was given. Raises NotFound, …"""
        require(actor, Action.UNSET_SECRET, world)
        _check_name(name)
        place = await self.operations.world(actor, world)
        there = await self.vault.list_secrets(place.world_id)
        secret = next((one for one in there if one.name == name), None)
        if secret is None or not await self.vault.unset_secret(place.world_id, name):
            names = ", ".join(one.name for one in there)
            raise NotFound(
                f"world {world!r} has no secret {name}",
                remedy=f"There are: {names}." if names else "There is none yet.",
            )
        return ReferredSecret(secret, await self._referring(place.world_id, name))

    async def list_secrets(self, actor: Actor | None, world: str) -> Sequence[ReferredSecret]:
        """All of the world, by name. Raises NotFound, Unauthenticated, Forbidden."""
        require(actor, Action.LIST_SECRETS, world)
        place = await self.operations.world(actor, world)
        users = await self._users(place.world_id)
        return [
            ReferredSecret(one, sorted(users.get(one.name, ())))
            for one in await self.vault.list_secrets(place.world_id)
        ]

    async def _referring(self, world_id: int, name: str) -> Sequence[str]:
        return sorted((await self._users(world_id)).get(name, ()))

    async def _users(self, world_id: int) -> dict[str, set[str]]:
        """The names of services, by the secrets that they refer to."""
        users: dict[str, set[str]] = {}
        for service, env in await environments.list_of(self.operations.db, world_id):
            try:
                found = references(env)
            except BadReference:
                continue  # of a deployment that was refused for it
            for one in found:
                if one.kind is ReferenceKind.SECRETS:
                    users.setdefault(one.name, set()).add(service)
        return users


def _check_name(name: str) -> None:
    """Raises InputError, which does not repeat the name: who wrote NAME=VALUE has put a value into it."""
    if not SECRET_NAME.fullmatch(name):
        raise InputError(
            "this is no name of a secret",
            remedy="Take up to 63 letters, digits, _ and -, the first one a letter or _; "
            "the value is given apart.",
        )


def _check_value(name: str, value: str) -> None:
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise InputError(f"the value of {name} is no valid Unicode", remedy="Encode it as base64.") from None
    if "\0" in value:
        raise InputError(
            f"the value of {name} has a NUL, which no environment can hold", remedy="Encode it as base64."
        )
    if not size:
        raise InputError(f"the value of {name} is empty", remedy=f"Unset {name} if there shall be none.")
    if size > SECRET_BYTES:
        raise InputError(
            f"the value of {name} has {size} bytes, and {SECRET_BYTES} is the most",
            remedy="Keep what is larger elsewhere, and the key to it here.",
        )
