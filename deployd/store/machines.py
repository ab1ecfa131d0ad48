"""Machines and their mailboxes: claiming, waiting for one another, looking."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from deployd.model.machine import Machine, Request
from deployd.model.state import MachineKind
from deployd.store.codec import decode_facts
from deployd.store.database import Database
from deployd.store.strangers import Strangers

__all__ = [
    "Claimed",
    "claim",
    "count_ended",
    "find",
    "get",
    "get_held",
    "get_named",
    "held_mail",
    "let_go",
    "list_changes_of",
    "list_deployments",
    "list_kind",
    "list_many",
    "release_dead",
    "return_unknown",
    "to_claimed",
    "to_machine",
    "understood",
    "wait_for",
]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A machine that this worker holds from now on."""

    machine: Machine
    remaining: float | None
    """Seconds until its deadline, by the database's clock; negative once it has passed."""
    mail: tuple[Request, ...]
    limited_by: str | None = None
    """The capability whose turn its state needed when it was committed last …"""
    turn: bool = False
    """… and whether it is held with that turn, rather than for its mail only."""
    world_version: int = 0
    """Of its world, as it was when the machine was claimed."""


def to_machine(row: asyncpg.Record) -> Machine:
    """A machine from a row of `machines` with its facts as text."""
    kind = MachineKind(row["kind"])
    return Machine(
        world_id=row["world_id"],
        id=row["id"],
        kind=kind,
        state=row["state"],
        name=row["name"],
        service_id=row["service_id"],
        change_id=row["change_id"],
        placement=row["placement"],
        version=row["version"],
        fence=row["fence"],
        attempt=row["attempt"],
        deadline_at=row["deadline_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        facts=decode_facts(kind, row["facts"]),
    )


_requests = msgspec.json.Decoder(list[Request])


def to_claimed(row: asyncpg.Record) -> Claimed:
    """A machine that is held, from a row of it with its mail.

    Raises ValueError or MsgspecError for what is not understood.
    """
    mail = tuple(_requests.decode(row["mail"])) if row["mail"] else ()
    return Claimed(
        to_machine(row), row["remaining"], mail, row["limited_by"], row["turn"], row["world_version"]
    )


async def claim(
    db: Database, worker: UUID, placements: Sequence[str], limit: int, strangers: Strangers | None = None
) -> list[Claimed]:
    """Take at most about `limit` due machines that nobody holds: owner set, fence raised.

    Those that cannot be read (a newer version wrote them) are let go, and left alone while `strangers` has
    them.
    """
    there = Strangers() if strangers is None else strangers
    rows = await db.fetch("claim", worker, list(placements), limit, there.ids)
    return await understood(db, worker, rows, there)


async def overlooked(db: Database, placements: Sequence[str], strangers: Strangers) -> bool:
    """Whether something is due that a claim passed over right before, since its row was locked."""
    return bool((await db.fetch("overlooked", list(placements), strangers.ids))[0]["locked"])


async def understood(
    db: Database, worker: UUID, rows: Sequence[asyncpg.Record], strangers: Strangers
) -> list[Claimed]:
    """The machines of these rows; what cannot be read is let go, and is a stranger from now on."""
    taken: list[Claimed] = []
    unread: list[UUID] = []
    for row in rows:
        try:
            taken.append(to_claimed(row))
        except (ValueError, msgspec.MsgspecError) as error:
            unread.append(row["id"])
            _log.warning("%s %s is left to a newer deployd: %s", row["kind"], row["id"], error)
    if unread:
        strangers.add(unread)
        await let_go(db, worker, unread)
    return taken


async def let_go(db: Database, worker: UUID, ids: Sequence[UUID]) -> None:
    """Others may take these, which this worker took and does not understand."""
    await db.fetch("let_go", worker, list(ids))


async def get_held(db: Database, world_id: int, machine_id: UUID, worker: UUID, fence: int) -> Claimed | None:
    """The machine as it is committed, if this worker still holds it under this fence."""
    rows = await db.fetch("get_held", world_id, machine_id, worker, fence)
    return to_claimed(rows[0]) if rows else None


async def return_unknown(db: Database, worker: UUID, known: Sequence[UUID]) -> int:
    """Let go of what the worker holds beyond those it knows of; how many that were."""
    return len(await db.fetch("return_unknown", worker, list(known)))


async def held_mail(db: Database, worker: UUID) -> dict[tuple[int, UUID, int], tuple[Request, ...]]:
    """All mail of the machines that this worker holds, oldest first; by world, machine and fence."""
    mail: dict[tuple[int, UUID, int], list[Request]] = {}
    for row in await db.fetch("held_mail", worker):
        payload: dict[str, Any] = msgspec.json.decode(row["payload"])
        mail.setdefault((row["world_id"], row["machine_id"], row["fence"]), []).append(
            Request(row["id"], row["trigger"], row["actor"], payload)
        )
    return {key: tuple(requests) for key, requests in mail.items()}


async def wait_for(
    db: Database, world_id: int, machine_id: UUID, waiter: UUID, settled: Sequence[str]
) -> bool:
    """Write on the machine that `waiter` waits for it; False when it has settled (or never was)."""
    return bool(await db.fetch("wait_for", world_id, machine_id, waiter, list(settled)))


async def get(db: Database, world_id: int, machine_id: UUID) -> Machine | None:
    """The machine as it is committed."""
    rows = await db.fetch("get_machine", world_id, machine_id)
    return to_machine(rows[0]) if rows else None


async def find(db: Database, world_ids: Sequence[int], machine_id: UUID) -> Machine | None:
    """The machine with this id in any of the worlds."""
    rows = await db.fetch("find_machine", list(world_ids), machine_id)
    return to_machine(rows[0]) if rows else None


async def get_named(db: Database, world_id: int, kind: MachineKind, name: str) -> Machine | None:
    """The living machine of this kind and name."""
    rows = await db.fetch("get_named", world_id, kind, name)
    return to_machine(rows[0]) if rows else None


async def count_ended(db: Database, world_id: int, kind: MachineKind, name: str) -> int:
    """How many services or resources of this name have ended: the generation of the next."""
    rows = await db.fetch("count_ended", world_id, kind, name)
    return int(rows[0]["count"])


async def list_kind(db: Database, world_id: int, kind: MachineKind, *, all_: bool = False) -> list[Machine]:
    """The named machines of a kind, by name; with `all_` also those without one (retired, attempts)."""
    return [to_machine(row) for row in await db.fetch("list_kind", world_id, kind, all_)]


async def list_many(db: Database, world_id: int, ids: Sequence[UUID]) -> list[Machine]:
    """Those of these ids that exist, in no order."""
    return [to_machine(row) for row in await db.fetch("list_many", world_id, list(ids))]


async def list_deployments(db: Database, world_id: int, service_id: UUID, limit: int) -> list[Machine]:
    """A service's deployments, newest first."""
    return [to_machine(row) for row in await db.fetch("list_deployments", world_id, service_id, limit)]


async def list_changes_of(
    db: Database, world_id: int, repository: str, ref: str | None, limit: int
) -> list[Machine]:
    """Changes of one branch of a repository that left services as they were, newest first."""
    return [to_machine(row) for row in await db.fetch("list_changes_of", world_id, repository, ref, limit)]


async def release_dead(db: Database) -> int:
    """Return what dead workers held; how many machines that were."""
    return len(await db.fetch("release_dead"))
