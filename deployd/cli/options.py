"""What every verb is told: the world, the server, the token, and how to speak."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from deployd.cli.configuration import Contexts, Place, check_server, read
from deployd.cli.local import LocalServer
from deployd.errors import NotFound
from deployd.settings import Settings

__all__ = ["Options"]

_HOW = "Give one such as http://127.0.0.1:7070 by --server, DEPLOYD_SERVER or a context."


@dataclass(frozen=True)
class Options:
    """From the command line, then the environment, then the context, then the defaults.

    A context that `--context` names stands before the environment, as what is on the command line does. A
    context's world and token count only while its server is the one that is meant, and DEPLOYD_TOKEN only
    for DEPLOYD_SERVER where that is set: a token never goes to another server than its own.
    """

    world: str
    settings: Settings
    server: str | None = None
    """The URL that was asked for, without a slash at the end; None: the server of this host."""
    token: str | None = field(default=None, repr=False)
    """The environment's, where it is for this server."""
    json: bool = False
    no_color: bool = False
    place: Place | None = None
    """The context whose token is for this server."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Where `context`, `server`, `world` and `token` come from."""

    @classmethod
    def of(cls, arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> Options:
        """Read and check them. Raises InputError, SettingsError."""
        settings = Settings.from_environment(environ)
        place, origin = _place(arguments, environ)
        named = getattr(arguments, "context", None) is not None
        theirs = environ.get("DEPLOYD_SERVER") or None
        if arguments.server:
            server, server_from = arguments.server, "--server"
        elif place is not None and (named or (theirs is None and place.server)):
            server, server_from = place.server, f"context {place.name}"
        else:
            server, server_from = theirs, "DEPLOYD_SERVER"
        server = check_server(server, _HOW) if server else None
        if place is not None and place.server != server:
            place = None  # it is another server's
        own = place is not None and place.has_token
        token = environ.get("DEPLOYD_TOKEN") or None
        if (named and own) or (theirs is not None and theirs.rstrip("/") != server):
            token = None
        world, world_from = _world(arguments, environ, place, named=named)
        origins = {
            "context": origin,
            "server": server_from if server else "this host",
            "world": world_from,
            "token": "DEPLOYD_TOKEN" if token else f"context {place.name}" if place and own else "this host",
        }
        return cls(
            world=world,
            settings=settings,
            server=server,
            token=token,
            json=arguments.json,
            no_color=arguments.no_color or bool(environ.get("NO_COLOR")),
            place=place,
            origins=origins,
        )

    @property
    def local(self) -> LocalServer:
        """The server of this host, whether it runs or not."""
        return LocalServer(self.settings)

    @property
    def here(self) -> bool:
        """Whether the server that is meant is this host's, which can read its folders."""
        return self.server is None or self.server == self.local.url()

    def address(self) -> tuple[str, str | None]:
        """The server's URL and the token for it. The token file is for the server of this host only.

        Raises SettingsError when a context's token cannot be had.
        """
        here = self.local.url()
        url = self.server or here
        if self.token is not None:
            return url, self.token
        if self.place is not None and self.place.has_token:
            return url, self.place.find_token()
        return url, self.local.token() if url == here else None


def _place(arguments: argparse.Namespace, environ: Mapping[str, str]) -> tuple[Place | None, str]:
    """The context that is meant, and who says so. Raises NotFound, SettingsError."""
    contexts = read(environ)
    for name, origin in (
        (getattr(arguments, "context", None), "--context"),
        (environ.get("DEPLOYD_CONTEXT"), "DEPLOYD_CONTEXT"),
        (contexts.current, str(contexts.file)),
    ):
        if name:
            return _named(contexts, name, lenient=getattr(arguments, "lenient", False)), origin
    return None, "none"


def _named(contexts: Contexts, name: str, *, lenient: bool) -> Place | None:
    """`lenient`: for the verbs by which one gets out of naming one that is not there."""
    try:
        return contexts.get(name)
    except NotFound:
        if lenient:
            return None
        raise


def _world(
    arguments: argparse.Namespace, environ: Mapping[str, str], place: Place | None, *, named: bool
) -> tuple[str, str]:
    ways = [(environ.get("DEPLOYD_WORLD"), "DEPLOYD_WORLD")]
    if place is not None:
        ways.insert(0 if named else 1, (place.world, f"context {place.name}"))
    for world, origin in [(arguments.world, "--world"), *ways]:
        if world:
            return world, origin
    return "local", "by default"
