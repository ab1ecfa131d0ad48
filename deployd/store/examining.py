"""What is well with the database, and what is not: a server runs these, and a command line without one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from deployd.errors import MigrationError
from deployd.model.finding import Finding, Level
from deployd.store import migrator
from deployd.store.database import Database
from deployd.store.partitions import months_ahead, present

__all__ = [
    "clock",
    "connections",
    "durability",
    "held_back",
    "living_services",
    "partitions",
    "schema",
    "version",
    "workers",
]

OLDEST = 140_000
"""The oldest Postgres that deployd is tried with."""
FREE = 10
"""Connections that others may still want."""
SKEW = 2.0
"""Seconds by which two clocks may differ: deadlines are the database's, so more only confuses people."""
LONG = 300.0
"""Seconds after which a transaction counts as forgotten."""
BEHIND = 1_000_000
"""Transactions by which a reader elsewhere may be behind."""
SILENT = 5.0
"""Seconds of silence after which others take over from a worker."""


async def version(db: Database) -> Finding:
    """Whether this Postgres is one that deployd knows, and can be written to."""
    row = (await db.fetch("examine_server"))[0]
    shown = f"Postgres {str(row['version']).partition(' ')[0]}"
    if row["standby"]:
        return Finding(
            "database",
            Level.WRONG,
            f"{shown} is a standby, which nobody can write to",
            "Let DEPLOYD_DATABASE_URL name the primary: add ?target_session_attrs=read-write.",
        )
    if row["number"] < OLDEST:
        return Finding(
            "database",
            Level.WRONG,
            f"{shown} is older than {OLDEST // 10_000}",
            f"Move to Postgres {OLDEST // 10_000} or newer.",
        )
    return Finding("database", Level.OK, f"{shown} answers")


async def durability(db: Database) -> Finding:
    """Whether what is committed survives a power cut: everything that deployd promises rests on it."""
    row = (await db.fetch("examine_server"))[0]
    off = [name for name in ("fsync", "full_page_writes", "synchronous_commit") if row[name] == "off"]
    if not off:
        return Finding("durability", Level.OK, "what is committed is on the disk")
    lost = "a crash of the host can destroy the database"
    if off == ["synchronous_commit"]:
        lost = "a crash can lose the last commits, after drivers have acted on them"
    settings = ", ".join(f"{name} is off" for name in off)
    return Finding(
        "durability",
        Level.WRONG,
        f"{settings}: {lost}",
        "; ".join(f"alter system set {name} = on" for name in off) + "; select pg_reload_conf();",
    )


async def connections(db: Database) -> Finding:
    """Whether there are enough of them."""
    row = (await db.fetch("examine_server"))[0]
    used, limit = row["connected"], row["max_connections"]
    if limit - used < FREE:
        return Finding(
            "connections",
            Level.WARNING,
            f"{used} of {limit} connections are in use",
            "Raise max_connections, or end those that nobody needs.",
        )
    return Finding("connections", Level.OK, f"{used} of {limit} connections are in use")


async def clock(db: Database) -> Finding:
    """Whether this process and the database agree on what time it is."""
    before = datetime.now(UTC)
    now = (await db.fetch("examine_server"))[0]["now"]
    after = datetime.now(UTC)
    off = max(0.0, (before - now).total_seconds(), (now - after).total_seconds())
    if off > SKEW:
        return Finding(
            "clock",
            Level.WARNING,
            f"the server's clock and the database's differ by {off:.1f} s",
            "Run an NTP client on both hosts.",
        )
    return Finding("clock", Level.OK, "the server and the database agree on the time")


async def schema(db: Database) -> Finding:
    """Whether all migrations are applied, and no others."""
    try:
        missing = await migrator.pending(db.dsn)
    except MigrationError as error:
        return Finding("schema", Level.WRONG, error.message, error.remedy, error.evidence)
    if missing:
        return Finding(
            "schema",
            Level.WRONG,
            f"not applied: {', '.join(missing)}",
            "Start this version of deployd once: `deployd serve` applies them.",
        )
    return Finding("schema", Level.OK, "all migrations are applied")


async def held_back(db: Database, longer: float = LONG) -> Finding:
    """Whether something old keeps vacuum from its work: then tables grow, and commits become slow."""
    rows = await db.fetch("examine_held", longer, BEHIND)
    if not rows:
        return Finding("vacuum", Level.OK, "nothing old holds vacuum back")
    first = rows[0]
    age = f", {first['seconds'] / 60:.0f} minutes old" if first["seconds"] else ""
    more = f", and {len(rows) - 1} more" if len(rows) > 1 else ""
    remedy = "End its program, or: select pg_terminate_backend(PROCESS);"
    if first["what"] == "prepared transaction":
        remedy = f"rollback prepared '{first['who']}';"
    elif first["what"] == "standby":
        remedy = "End its long queries, or turn its hot_standby_feedback off."
    elif first["what"] == "replication slot":
        remedy = f"Connect its reader, or: select pg_drop_replication_slot('{first['who']}');"
    return Finding(
        "vacuum",
        Level.WARNING,
        f"a {first['what']} holds vacuum back: {first['who']} ({first['state']}{age}){more}",
        remedy,
        "\n".join(f"{row['what']}: {row['who']} ({row['state']})" for row in rows[1:]),
    )


async def partitions(db: Database, now: datetime | None = None) -> Finding:
    """Whether transitions and the audit log have a partition of their month, now and for the next ones."""
    there = await present(db)
    missing = [name for name in months_ahead(now or datetime.now(UTC)) if name not in there]
    used = (await db.fetch("examine_default_partition"))[0]["used"]
    if used:
        return Finding(
            "partitions",
            Level.WARNING,
            f"{' and '.join(used)} {'has' if len(used) == 1 else 'have'} rows: nothing is lost, but their"
            " months cannot have partitions, and never go",
            f"Move them: detach {used[0]}, make the months' partitions, insert its rows, attach it.",
        )
    if missing:
        return Finding(
            "partitions",
            Level.WARNING,
            f"there are no partitions: {', '.join(missing)}",
            "deployd maintenance partitions --run; the server's log says why it could not.",
        )
    return Finding("partitions", Level.OK, "there are partitions for this month and the next ones")


async def workers(db: Database) -> Finding:
    """Whether somebody works."""
    rows = await db.fetch("examine_workers")
    living = [row for row in rows if row["silent"] <= SILENT]
    if not living:
        return Finding(
            "workers",
            Level.WRONG,
            "no worker is alive: nothing moves",
            "Start a server: deployd serve.",
            "\n".join(
                f"{row['host']}, process {row['pid']}: silent for {row['silent']:.0f} s" for row in rows
            ),
        )
    silent = len(rows) - len(living)
    held = sum(row["held"] for row in rows)
    said = f"{len(living)} alive, {held} machines held"
    if silent:
        return Finding("workers", Level.WARNING, f"{said}; {silent} silent", "Look again in a few seconds.")
    return Finding("workers", Level.OK, said)


async def living_services(db: Database) -> Sequence[UUID]:
    """The ids of all services that have not been retired, in all worlds."""
    return [row["id"] for row in await db.fetch("living_services")]
