"""The audit log. Rows are only ever added: the database refuses anything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from deployd.model.audit import AuditEntry, Outcome
from deployd.store.codec import encode
from deployd.store.database import Database

__all__ = ["add", "read"]


async def add(
    db: Database,
    world_id: int,
    entry: UUID,
    outcome: Outcome,
    actor: str,
    action: str,
    *,
    arguments: Mapping[str, object] | None = None,
    code: str | None = None,
    message: str | None = None,
) -> None:
    """One step of a request: it was asked, and later what it came to, under the same id."""
    given = None if arguments is None else encode(arguments)
    await db.execute("add_audit", world_id, entry, outcome, actor, action, given, code, message)


async def read(
    db: Database,
    worlds: Sequence[int],
    before: tuple[datetime, UUID],
    limit: int,
    *,
    actor: str | None = None,
) -> list[AuditEntry]:
    """Requests about these worlds that were asked before that moment, newest first."""
    rows = await db.fetch("read_audit", list(worlds), actor, *before, limit)
    return [
        AuditEntry(
            world_id=row["world_id"],
            id=row["id"],
            at=row["at"],
            actor=row["actor"],
            action=row["action"],
            outcome=Outcome(row["phase"]),
            arguments=row["arguments"],
            ended_at=row["ended_at"],
            code=row["code"],
            message=row["message"],
        )
        for row in rows
    ]
