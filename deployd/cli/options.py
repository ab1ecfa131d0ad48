"""What every verb is told: the world, the server, the token, and how to speak."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from deployd.cli.local import LocalServer
from deployd.errors import InputError
from deployd.settings import Settings

__all__ = ["Options"]

_URL = re.compile(r"https?://[^/\s?#]+(/[^\s?#]*)?")


@dataclass(frozen=True)
class Options:
    """From the command line, then the environment, then the defaults."""

    world: str
    settings: Settings
    server: str | None = None
    """The URL that was asked for, without a slash at the end; None: the server of this host."""
    token: str | None = None
    """The one that was asked for."""
    json: bool = False
    no_color: bool = False

    @classmethod
    def of(cls, arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> Options:
        """Read and check them. Raises InputError, SettingsError."""
        server = arguments.server or environ.get("DEPLOYD_SERVER") or None
        if server is not None and not _URL.fullmatch(server):
            raise InputError(
                f"the server {server!r} is no URL",
                remedy="Give one such as http://127.0.0.1:7070 by --server or DEPLOYD_SERVER.",
            )
        return cls(
            world=arguments.world or environ.get("DEPLOYD_WORLD") or "local",
            settings=Settings.from_environment(environ),
            server=server.rstrip("/") if server else None,
            token=environ.get("DEPLOYD_TOKEN") or None,
            json=arguments.json,
            no_color=arguments.no_color or bool(environ.get("NO_COLOR")),
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
        """The server's URL and the token for it. The token file is for the server of this host only."""
        here = self.local.url()
        url = self.server or here
        return url, self.token or (self.local.token() if url == here else None)
