"""Who calls: by its token; or, where that is trusted, whoever calls from this machine without one."""

from __future__ import annotations

import getpass
import os
import re
from dataclasses import dataclass
from ipaddress import ip_address

from aiohttp import web

from deployd.errors import Unauthenticated
from deployd.model.actor import Actor, Role
from deployd.store import tokens
from deployd.store.database import Database

__all__ = ["ACTOR", "Authentication"]

ACTOR = web.RequestKey("ACTOR", str)
"""Under which a request keeps the name of who sent it, once that is known."""

_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]{1,512}=*) *", re.IGNORECASE)
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")


@dataclass(frozen=True)
class Authentication:
    """Made once. A token that is given counts alone: a wrong one is refused, wherever it comes from."""

    db: Database
    trust_loopback: bool
    """Whoever calls from this machine without a token, and without a proxy, is its administrator."""

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
