"""The past of a world, made up: as many transitions as one likes, with their machines, by plain SQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg

from bench.report import say
from deployd.model.facts import DeploymentFacts, ServiceFacts, Source
from deployd.model.spec import ServiceSpec
from deployd.store.codec import encode
from deployd.store.database import Database
from deployd.store.partitions import ensure_partitions

__all__ = ["MONTHS", "SERVICES", "STEPS", "fill"]

STEPS = 8
"""Transitions of each deployment."""
SERVICES = 100
MONTHS = 12
"""Over which the past is spread; most of it older than what is kept."""
CHUNK = 50_000
"""Deployments of one statement."""

DEPLOYMENTS = """
insert into machines (world_id, id, kind, state, service_id, version, facts, created_at, updated_at)
select $1, ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'deployment', 'succeeded',
       ('00000000-0000-4000-9000-' || lpad(to_hex(n % $4), 12, '0'))::uuid, 8, $5::text::jsonb,
       $6::timestamptz + n * $7::interval, $6::timestamptz + n * $7::interval + interval '1 minute'
from generate_series($2::bigint, $3::bigint) n
"""
TRANSITIONS = """
insert into transitions (world_id, seq, at, machine_id, kind, service_id, trigger, from_state, to_state,
                         actor)
select $1, n * 8 + k + 1, $5::timestamptz + n * $6::interval + k * $6::interval / 8,
       ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'deployment',
       ('00000000-0000-4000-9000-' || lpad(to_hex(n % $4), 12, '0'))::uuid,
       triggers[k + 1],
       case when k > 0 then states[k] end, states[k + 1], 'deployd'
from generate_series($2::bigint, $3::bigint) n cross join generate_series(0, 7) k
cross join (select array['create', 'start', 'fetched', 'planned', 'built', 'provisioned', 'released',
                         'verified'] as triggers,
                   array['queued', 'fetching', 'planning', 'building', 'provisioning', 'releasing',
                         'verifying', 'succeeded'] as states) s
"""
LIVING = """
insert into machines (world_id, id, kind, state, name, service_id, facts, created_at)
select $1, ('00000000-0000-4000-9000-' || lpad(to_hex(n), 12, '0'))::uuid, 'service', 'idle', 'service-' || n,
       ('00000000-0000-4000-9000-' || lpad(to_hex(n), 12, '0'))::uuid,
       jsonb_set($3::text::jsonb, '{name}', to_jsonb('service-' || n)), now() - interval '13 months'
from generate_series(0, $2::int - 1) n
"""


async def fill(db: Database, world_id: int, transitions: int) -> None:
    """The world has so many transitions behind it, the last of them a moment ago, and SERVICES services."""
    now = datetime.now(UTC)
    for month in range(MONTHS + 1):
        await ensure_partitions(db, now - timedelta(days=30 * month))
    begin = now - timedelta(days=30 * MONTHS)
    count = transitions // STEPS
    every = (now - timedelta(minutes=5) - begin) / max(1, count)
    facts = DeploymentFacts(
        "service-1",
        begin,
        "token:ci",
        ServiceSpec("service-1", run="python -m service"),
        Source("/nonexistent"),
    )
    # Past the pool's own time limits.
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(db.dsn)
    try:
        await connection.execute(LIVING, world_id, SERVICES, encode(ServiceFacts("x")))
        for first in range(0, count, CHUNK):
            last = min(first + CHUNK, count) - 1
            await connection.execute(
                DEPLOYMENTS, world_id, first, last, SERVICES, encode(facts), begin, every
            )
            await connection.execute(
                TRANSITIONS,
                world_id,
                first,
                last,
                SERVICES,
                begin,
                every,
            )
            say(f"{(last + 1) * STEPS:,} of {transitions:,} transitions are there")
        await connection.execute(
            "update world_heads set seq = $2, at = now() where world_id = $1", world_id, count * STEPS
        )
        await connection.execute("vacuum (analyze)")
    finally:
        await connection.close()
