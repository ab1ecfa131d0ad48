"""One execution of a subscription for everybody who asked for the same and has caught up.

Invariant: a member is told exactly what comes behind its own position. Who joins stands at a position that
the channel is at, or was at lately; whoever stands anywhere else catches up first. An event is told to all
members before anything is read again: so what moves meanwhile is told by one event, as a busy committer
writes it by one statement.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec
from strawberry.types import ExecutionResult

from deployd.errors import Unauthenticated
from deployd.graphql import context as callers
from deployd.graphql.context import Api, Context
from deployd.graphql.cursor import Cursor
from deployd.graphql.leg import Leg
from deployd.graphql.observing import outcome_of
from deployd.graphql.schema import SCHEMA
from deployd.graphql.sharing import FIELD, Key, scope
from deployd.model.actor import Actor
from deployd.telemetry.metrics import OPERATIONS

__all__ = ["Channel", "Event", "Member"]

RECENT = 64
"""Events that are kept for those who catch up meanwhile."""
AT_ONCE = 250
"""Members that are told before others in this process have their turn."""

_log = logging.getLogger(__name__)


class Event:
    """A result as JSON, and the frames that carry it: one for all members with the same id."""

    __slots__ = ("frames", "payload")

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.frames: dict[str, bytes] = {}


class Member(Protocol):
    """Somebody's subscription, as the channel sees it. Nothing here waits."""

    context: Context
    """Of its connection or request: who asks, and how to ask again."""
    actor: Actor
    began: float
    """When the subscription did, on the monotonic clock."""
    channel: Channel | None
    """The one that it joined last."""

    def tell(self, event: Event) -> None:
        """What comes next."""

    def go_on(self, position: Cursor) -> None:
        """It is no member any more, and has to go on behind this by itself."""

    def end(self) -> None:
        """It is no member any more; nothing comes after what was told."""


class Channel:
    """Lives while it has members; `closed` is called when it takes no more."""

    def __init__(
        self,
        api: Api,
        key: Key,
        variables: Mapping[str, Any] | None,
        position: Cursor,
        closed: Callable[[], None],
    ) -> None:
        self.position = position
        """Behind what all members were told."""
        self._api, self._key, self._closed = api, key, closed
        self._open = True
        self._variables = None if variables is None else dict(variables)
        self._members: dict[Member, None] = {}
        self._ahead: dict[Member, Cursor] = {}
        self._recent: deque[tuple[int, Event]] = deque(maxlen=RECENT)
        """With the `seq` behind which each goes on."""
        self._checked, self._revocations = asyncio.get_running_loop().time(), api.bus.revocations
        self._expiry: datetime | None = None
        # Nobody's own: neither its request nor its trace.
        self.task = asyncio.create_task(self._run(), name="channel", context=contextvars.Context())

    def join(self, member: Member, position: Cursor, revocations: int) -> bool:
        """Go on for it behind `position`, if that can be; else it has to catch up once more.

        `revocations`: those of the bus from before it was known who asks.
        """
        member.channel = self
        if position.seq > self.position.seq:
            self._ahead[member] = position
        elif position.seq == self.position.seq:
            self._members[member] = None
        else:
            missed = [(behind, event) for behind, event in self._recent if behind >= position.seq]
            if not missed or missed[0][0] != position.seq:
                return False
            self._members[member] = None
            for _, event in missed:
                member.tell(event)
        if revocations != self._api.bus.revocations:
            self._revocations = -1  # look at all of them again, before they are told anything
        expiry = member.actor.expires_at
        if expiry is not None and (self._expiry is None or expiry < self._expiry):
            self._expiry = expiry
        return True

    def leave(self, member: Member) -> None:
        """It wants no more, or cannot be told any more; also called for one that is no member."""
        if self._forget(member):
            _observe(member, "ok")

    def _forget(self, member: Member) -> bool:
        there = member in self._members or member in self._ahead
        self._members.pop(member, None)
        self._ahead.pop(member, None)
        if there and not self._members and not self._ahead:
            self._close()
            self.task.cancel()
        return there

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._closed()

    async def _run(self) -> None:
        role, worlds = self._key.scope
        leg = Leg(start=self.position, permission=self._check)
        context = Context(self._api, Actor("the caller", role, worlds)).on(leg)
        errors: list[Any] = []
        try:
            results = await SCHEMA.stream(
                self._key.query,
                variable_values=self._variables,
                operation_name=self._key.operation_name,
                context_value=context,
            )
            async with aclosing(results):
                async for result in results:
                    assert isinstance(result, ExecutionResult)
                    errors = result.errors or []
                    await self._spread(result, leg.position or self.position)
        except Exception:
            _log.exception("subscriptions end: internal error")
        self._close()
        left = (*self._members, *self._ahead)
        self._members.clear()
        self._ahead.clear()
        for member in left:
            _observe(member, outcome_of(errors))
            member.end()

    async def _spread(self, result: ExecutionResult, position: Cursor) -> None:
        """Tell it to all members. Others have their turn meanwhile, so some may join and some leave."""
        event, before = Event(_encode(result)), self.position
        if position == before:  # it failed, and nothing comes after this: who comes now begins anew
            self._close()
            self._members.update(dict.fromkeys(self._ahead))
            self._ahead.clear()
        else:
            self._recent.append((before.seq, event))
            self.position = position
        members = tuple(self._members)
        self._pass_by()
        for number, member in enumerate(members, 1):
            member.tell(event)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)

    def _pass_by(self) -> None:
        """Who was ahead and is no more: it is told from here on, or has what lies between by itself."""
        for member, position in tuple(self._ahead.items()):
            if position.seq == self.position.seq:
                del self._ahead[member]
                self._members[member] = None
            elif position.seq < self.position.seq:
                self._dismiss(member, position)

    def _dismiss(self, member: Member, position: Cursor) -> None:
        self._forget(member)
        member.go_on(position)

    async def _check(self) -> None:
        """Part with whoever may not be told any more: going on by itself, it hears why.

        Raises PostgresUnavailable: nothing is told before it is known.
        """
        bus, now = self._api.bus, asyncio.get_running_loop().time()
        expired = self._expiry is not None and self._expiry <= datetime.now(UTC)
        if now - self._checked < callers.RECHECK and self._revocations == bus.revocations and not expired:
            return
        revocations = bus.revocations  # before the question: one meanwhile asks again
        known: dict[UUID, Actor | None] = {}
        for number, member in enumerate((*self._members, *self._ahead), 1):
            actor = await _again(member, known)
            if actor is not None and scope(actor) == self._key.scope:
                member.actor = actor
            else:
                self._dismiss(member, self._ahead.get(member, self.position))
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        self._checked, self._revocations = now, revocations
        left = (one.actor.expires_at for one in (*self._members, *self._ahead))
        self._expiry = min((one for one in left if one is not None), default=None)


async def _again(member: Member, known: dict[UUID, Actor | None]) -> Actor | None:
    """Who it is now; None for who does not count any more. Those with one token are asked about once."""
    token_id = member.actor.token_id
    if token_id is not None and token_id in known:
        return known[token_id]
    actor: Actor | None = member.actor
    try:
        if member.context.reauthenticate is not None:
            actor = await member.context.reauthenticate()
    except Unauthenticated:
        actor = None
    if actor is not None and actor.expires_at is not None and actor.expires_at <= datetime.now(UTC):
        actor = None
    if token_id is not None:
        known[token_id] = actor
    return actor


def _observe(member: Member, outcome: str) -> None:
    OPERATIONS.observe(time.monotonic() - member.began, "subscription", FIELD, outcome)


def _encode(result: ExecutionResult) -> bytes:
    payload: dict[str, object] = {"data": result.data}
    if result.errors:
        payload["errors"] = [one.formatted for one in result.errors]
    return msgspec.json.encode(payload)
