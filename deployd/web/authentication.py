"""Who calls: by its token; or, where that is trusted, whoever calls from this machine without one."""

from __future__ import annotations

import functools
import getpass
import os
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address

from aiohttp import web

from deployd.engine.bus import Bus
from deployd.errors import Unauthenticated
from deployd.model.actor import Actor, Role
from deployd.store import tokens
from deployd.store.database import Database

__all__ = ["ACTOR", "Authentication"]

ACTOR = web.RequestKey("ACTOR", str)
"""Under which a request keeps the name of who sent it, once that is known."""

_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]{1,512}=*) *", re.IGNORECASE)
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")


_BELIEVED = 1.0
"""Seconds for which a token that counted is believed, unless one was revoked: another replica's word of that
may be lost."""
_TOKENS = 1024


@dataclass(frozen=True, slots=True)
class _Seen:
    """A token that counted."""

    actor: Actor
    until: float
    """By the monotonic clock."""
    revocations: int
    """The bus's, from before it was looked up."""


@dataclass(frozen=True)
class Authentication:
    """Made once. A token that is given counts alone: a wrong one is refused, wherever it comes from."""

    db: Database
    bus: Bus
    trust_loopback: bool
    """Whoever calls from this machine without a token, and without a proxy, is its administrator."""
    _seen: dict[str, _Seen] = field(default_factory=dict)
    """By their `Authorization`."""

    async def actor(self, request: web.Request, authorization: str | None) -> Actor:
        """Who calls with this `Authorization`. Raises Unauthenticated, PostgresUnavailable."""
        if authorization is not None:
            found = _BEARER.fullmatch(authorization)
            actor = await tokens.find(self.db, found[1]) if found else None
            if actor is None:
                raise Unauthenticated(
                    "the token is not valid", remedy="Check DEPLOYD_TOKEN, or ask for a new one."
                )
            request[ACTOR] = actor.name
            return actor
        if self.trust_loopback and _is_local(request):
            actor = Actor(f"local:{_login()}", Role.ADMIN)
            request[ACTOR] = actor.name
            return actor
        raise Unauthenticated(
            "a token is needed", remedy="Send `Authorization: Bearer TOKEN`, or set DEPLOYD_TOKEN."
        )

    async def reader(self, request: web.Request) -> Actor:
        """Who calls, as far as looking goes: a token that counted is believed for a second.

        Unless one was revoked since, here or, as far as is known, elsewhere. Raises Unauthenticated,
        PostgresUnavailable.
        """
        authorization = request.headers.get("Authorization")
        if authorization is None:
            return await self.actor(request, None)
        seen, now, revocations = self._seen.get(authorization), time.monotonic(), self.bus.revocations
        if seen is not None and now < seen.until and seen.revocations == revocations:
            request[ACTOR] = seen.actor.name
            return seen.actor
        self._seen.pop(authorization, None)
        actor = await self.actor(request, authorization)
        left = _BELIEVED
        if actor.expires_at is not None:
            left = min(left, (actor.expires_at - datetime.now(UTC)).total_seconds())
        if len(self._seen) >= _TOKENS:
            self._seen.clear()
        self._seen[authorization] = _Seen(actor, now + left, revocations)
        return actor


def _is_local(request: web.Request) -> bool:
    """Whether the connection itself comes from this machine, and nobody says that it was forwarded."""
    if any(header in request.headers for header in _FORWARDED):
        return False
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    if not isinstance(peer, tuple):
        return False
    address = ip_address(str(peer[0]).partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


@functools.cache
def _login() -> str:
    """The name of the user that the server runs as, whatever its environment says."""
    try:
        import pwd
    except ImportError:  # Windows
        return getpass.getuser()
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # an account that is only a number, as in containers
        return str(os.getuid())
