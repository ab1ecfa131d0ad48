"""The channels of this process: who catches up with what, and where it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from deployd.graphql.context import Api
from deployd.graphql.cursor import Cursor
from deployd.graphql.leg import Leg
from deployd.graphql.sharing import Key, scope
from deployd.web.channel import Channel, Member

__all__ = ["Channels"]


class Channels:
    """One for the application; `close` when nobody is connected any more."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._open: dict[tuple[Key, int], Channel] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._lingering: set[web.RequestHandler] = set()

    @property
    def revocations(self) -> int:
        """Those of the bus; to be looked at before it is asked who somebody is."""
        return self._api.bus.revocations

    def leg(self, key: Key, start: Cursor | None, began: float | None) -> Leg:
        """By which somebody catches up with the channel of this key; without one, with the world."""

        def until(world_id: int) -> int | None:
            channel = self._open.get((key, world_id))
            return None if channel is None else channel.position.seq

        leg = Leg(start=start, until=until)
        if began is not None:
            leg.began = began
        return leg

    def join(
        self, key: Key, variables: Mapping[str, Any] | None, member: Member, leg: Leg, revocations: int
    ) -> Channel | None:
        """The channel that goes on for it; None: it has to catch up once more, behind the leg's position."""
        assert leg.position is not None, "it has caught up"
        if scope(member.actor) != key.scope:
            return None
        place = key, leg.position.world_id
        channel = self._open.get(place)
        if channel is None:
            channel = Channel(self._api, key, variables, leg.position, lambda: self._forget(place))
            self._open[place] = channel
            self._tasks.add(channel.task)
            channel.task.add_done_callback(self._tasks.discard)
        return channel if channel.join(member, leg.position, revocations) else None

    def _forget(self, place: tuple[Key, int]) -> None:
        self._open.pop(place, None)

    def linger(self, connection: web.RequestHandler, seconds: float) -> None:
        """Leave it so long to take what was written to it, and then break it off."""

        def give_up() -> None:
            self._lingering.discard(connection)
            _abort(connection)

        self._lingering.add(connection)
        asyncio.get_running_loop().call_later(seconds, give_up)

    async def close(self) -> None:
        """Break off who lingers, and wait until all have ended."""
        for connection in self._lingering:
            _abort(connection)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


def _abort(connection: web.RequestHandler) -> None:
    if connection.transport is not None:  # else it has ended by itself
        connection.transport.abort()
