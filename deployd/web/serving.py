"""Listening on a port, and letting go of it gracefully."""

from __future__ import annotations

import asyncio
import errno
import socket
from types import TracebackType
from typing import Self

from aiohttp import web

from deployd.drivers.port_holder import holder
from deployd.errors import SettingsError

__all__ = ["Running", "start"]

_GRACE = 1.0  # seconds that requests under way have to finish, and once more to be cancelled
_LIMIT = 3.0  # seconds for all of it


class Running:
    """A server that listens. Leave the context, or `close`, to stop it."""

    def __init__(self, runner: web.AppRunner, host: str, port: int) -> None:
        self._runner = runner
        self.host = host
        self.port = port

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    async def close(self) -> None:
        """Refuse what is new, close subscriptions with 1001, finish what is under way; at most 3 seconds."""
        try:
            async with asyncio.timeout(_LIMIT):
                await self._runner.cleanup()
        except TimeoutError:
            pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def start(app: web.Application, host: str, port: int) -> Running:
    """Listen. Raises SettingsError when the address cannot be had, naming what to change."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GRACE)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except (OSError, OverflowError) as error:
        await runner.cleanup()
        raise _unavailable(error, host, port) from error
    return Running(runner, host, runner.addresses[0][1])


def _unavailable(error: OSError | OverflowError, host: str, port: int) -> SettingsError:
    code = getattr(error, "errno", None)
    seen = f"{type(error).__name__}: {error}"
    if code == errno.EADDRINUSE:
        who = holder(port)
        return SettingsError(
            f"port {port} of {host} is taken" + (f" by {who}" if who else ""),
            remedy="Set DEPLOYD_PORT to another port (0 takes any free one), or end what holds it;"
            " it may be another deployd.",
            evidence=seen,
        )
    if code in (errno.EACCES, errno.EPERM):
        return SettingsError(
            f"port {port} of {host} may not be used by this user",
            remedy="Set DEPLOYD_PORT to a port above 1023.",
            evidence=seen,
        )
    if code == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return SettingsError(
            f"{host} is no address of this machine",
            remedy="Set DEPLOYD_HOST to 127.0.0.1, or to one of its addresses.",
            evidence=seen,
        )
    return SettingsError(
        f"deployd cannot listen on port {port} of {host}",
        remedy="Check DEPLOYD_HOST and DEPLOYD_PORT.",
        evidence=seen,
    )
