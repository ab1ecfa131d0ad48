"""Who has the port of the local addresses."""

from __future__ import annotations

import os
import socket

from deployd.model.finding import Level
from tests.integration.drivers.entrypoint.place import Place, saying, serving


async def test_nothing_is_routed(here: Place) -> None:
    [free] = await here.router().examine([])
    assert (free.level, free.summary) == (Level.OK, f"port {here.port} is free: nothing is routed now")
    [none] = await here.router(port=0).examine([])
    assert none.level is Level.OK
    with socket.socket() as other:
        other.bind(("127.0.0.1", here.port))
        other.listen()
        [taken] = await here.router().examine([])
    assert taken.level is Level.WRONG
    assert f"(process {os.getpid()})" in taken.summary


async def test_the_proxy_has_it_or_not(here: Place) -> None:
    async with serving(saying("hello")) as service:
        await here.route(service)
        [ours] = await here.router().examine([])
        assert (ours.level, ours.summary) == (
            Level.OK,
            f"port {here.port} is the proxy's (process {here.pid()})",
        )
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        here.port = other.getsockname()[1]
        async with serving(saying("hello")) as service:
            await here.route(service)
            [taken] = await here.router().examine([])
    assert taken.level is Level.WRONG
    assert f"port {here.port} of 127.0.0.1 cannot be had" in taken.summary
    assert f"(process {os.getpid()})" in taken.summary
