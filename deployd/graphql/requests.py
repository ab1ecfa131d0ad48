"""How a mutation is carried out: on record before and after, and once for each idempotency key."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

import msgspec

from deployd.engine.auditing import Entry
from deployd.engine.requesting import requested
from deployd.errors import Conflict, DeploydError, InputError
from deployd.graphql import answers
from deployd.graphql.answers import Answer
from deployd.graphql.context import Context
from deployd.graphql.problem import Problem
from deployd.model import sensitive
from deployd.model.audit import Outcome
from deployd.store import machines, requests, worlds
from deployd.store.codec import encode

__all__ = ["carry_out"]

_AGAIN = 0.05  # seconds until it is looked again whether the same request was answered elsewhere
_LONGEST_KEY = 200
_HIDDEN = "(not on record)"

Work = Callable[[], Awaitable[Any]]


async def carry_out(
    context: Context,
    name: str,
    arguments: Mapping[str, object],
    hidden: frozenset[str],
    key: str | None,
    work: Work,
) -> object:
    """What `work` answers, or answered before under this key. Arguments that are `hidden` are not on record.

    Raises what `work` raises, and PostgresUnavailable before anything is done.
    """
    given = {one: _plain(value) for one, value in arguments.items()}
    shown = {one: _HIDDEN if one in hidden else sensitive.hidden(value) for one, value in given.items()}
    actor = "nobody" if context.actor is None else context.actor.name
    auditing = context.api.auditing
    entry = await auditing.asked(actor, name, await _world_of(context, given), shown)
    try:
        answer = await (work() if key is None else _once(context, actor, name, given, key, work))
    except InputError as error:
        await auditing.ended(entry, Outcome.REFUSED, error.code, error.message)
        raise
    except DeploydError as error:
        await auditing.ended(entry, Outcome.ERRORED, error.code, error.message)
        raise
    except Exception:
        await auditing.ended(entry, Outcome.ERRORED, "INTERNAL", "internal error")
        raise
    await _settle(context, entry, answer)
    return answer


async def _settle(context: Context, entry: Entry, answer: object) -> None:
    if isinstance(answer, Problem):
        await context.api.auditing.ended(entry, Outcome.REFUSED, answer.code, answer.message)
    else:
        await context.api.auditing.ended(entry, Outcome.DONE)


async def _once(
    context: Context, actor: str, name: str, given: Mapping[str, object], key: str, work: Work
) -> object:
    """Carry it out unless that was done; while somebody else does, wait for that."""
    if not key or len(key) > _LONGEST_KEY:
        wrong = InputError(
            f"the idempotency key has {len(key)} characters", remedy=f"Take 1 to {_LONGEST_KEY}."
        )
        return Problem.of(wrong, ["idempotencyKey"])
    db = context.api.db
    digest = context.api.secrets.vault.digest(encode([name, given]))  # there may be a secret among them
    system = context.api.access.system_world_id
    while True:
        kept = await requests.begin(db, system, actor, key, digest)
        if kept.digest != digest:
            used = Conflict(
                f"the idempotency key {key!r} was used for another request", remedy="Take a new key."
            )
            return Problem.of(used, ["idempotencyKey"])
        if kept.answer is not None:
            try:
                return await answers.restore(context, msgspec.json.decode(kept.answer))
            except InputError as error:
                return Problem.of(error, ["idempotencyKey"])
        if kept.mine:
            break
        await asyncio.sleep(_AGAIN)
    reference: str | None = None
    try:
        with requested(kept.id):
            answer = await work()
        if isinstance(answer, Answer):
            reference = encode(answers.keep(answer))
    finally:
        await requests.end(db, system, actor, key, reference)
    return answer


async def _world_of(context: Context, given: Mapping[str, object]) -> int | None:
    """The world that a request is about, by its name or by a machine; None: none that is there."""
    inner = given.get("input")
    named = given.get("world") or (
        inner.get("world") or inner.get("name") if isinstance(inner, dict) else None
    )
    db = context.api.db
    if isinstance(named, str):
        place = await worlds.get(db, named)
        return None if place is None else place.world_id
    try:
        machine_id = UUID(str(given.get("id")))
    except ValueError:
        return None
    machine = await machines.find(db, [one.world_id for one in await worlds.list_all(db)], machine_id)
    return None if machine is None else machine.world_id


def _plain(value: object) -> object:
    """An argument as JSON has it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
