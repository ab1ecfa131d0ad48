"""What somebody would write by hand for just these questions: aiohttp, asyncpg, orjson; a statement each.

Nobody is asked who they are, and nothing but these questions is understood: `python -m
bench.peers.handwritten PORT DSN`.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import orjson
from aiohttp import web

OVERVIEW = """
select m.kind, m.state, m.facts ->> 'health' as health, count(*) as count
from machines m
where m.world_id = $1 and m.kind in ('service', 'resource') and m.name is not null
group by 1, 2, 3 order by 1, 2, 3"""
WORLD = "select world_id from worlds where name = $1"
SERVICES = """
select s.id, s.name, s.state, s.facts ->> 'health' as health, s.facts ->> 'url' as url,
       (s.facts ->> 'running')::int as running, (s.facts ->> 'restarts')::int as restarts, s.created_at,
       s.facts -> 'reason' ->> 'code' as code, s.facts -> 'reason' ->> 'summary' as summary, r.number,
       d.id as deployment_id, d.state as deployment_state,
       (d.facts ->> 'requested_at')::timestamptz as requested_at, d.facts ->> 'requested_by' as requested_by,
       x.resources::text as resources
from (
    select * from machines
    where world_id = $1 and kind = 'service' and name is not null order by name limit $2
) s
left join releases r on r.world_id = s.world_id and r.id = (s.facts ->> 'serving')::uuid
left join lateral (
    select * from machines d
    where d.world_id = s.world_id and d.service_id = s.id and d.kind = 'deployment'
    order by d.created_at desc, d.id desc limit 1
) d on true
left join lateral (
    select json_agg(json_build_object('name', m.name, 'slug', m.facts ->> 'slug', 'state', upper(m.state),
                                      'health', upper(m.facts ->> 'health')) order by m.name) as resources
    from jsonb_array_elements_text(s.facts -> 'resources') as k (id)
    join machines m on m.world_id = s.world_id and m.id = k.id::uuid
) x on true
order by s.name"""
TRANSITIONS = """
select t.seq, t.at, t.machine_id, t.kind, t.service_id, t.trigger, t.from_state, t.to_state, t.actor,
       t.reason ->> 'code' as code, t.reason ->> 'summary' as summary
from transitions t where t.world_id = $1
order by t.seq desc limit $2"""

DB = web.AppKey("db", asyncpg.Pool)


async def overview(request: web.Request) -> web.Response:
    world, _ = await _asked(request)
    rows = await _fetch(request, OVERVIEW, world)
    tallies = [
        {
            "kind": row["kind"].upper(),
            "state": row["state"],
            "health": row["health"].upper(),
            "count": row["count"],
        }
        for row in rows
    ]
    return _answer({"world": {"name": world, "tallies": tallies}})


async def services(request: web.Request) -> web.Response:
    world, first = await _asked(request)
    rows = await _fetch(request, SERVICES, world, first + 1)
    nodes = [
        {
            "id": str(row["id"]),
            "name": row["name"],
            "state": row["state"].upper(),
            "health": row["health"].upper(),
            "url": row["url"],
            "running": row["running"],
            "restarts": row["restarts"],
            "createdAt": row["created_at"],
            "reason": _reason(row),
            "serving": {"number": row["number"]},
            "resources": orjson.Fragment(row["resources"] or "[]"),
            "deployments": {
                "nodes": [
                    {
                        "id": str(row["deployment_id"]),
                        "state": row["deployment_state"].upper(),
                        "requestedAt": row["requested_at"],
                        "requestedBy": row["requested_by"],
                    }
                ]
            },
        }
        for row in rows[:first]
    ]
    page = {"hasNextPage": len(rows) > first, "endCursor": rows[first - 1]["name"]}
    return _answer({"world": {"services": {"nodes": nodes, "pageInfo": page}}})


async def transitions(request: web.Request) -> web.Response:
    world, first = await _asked(request)
    rows = await _fetch(request, TRANSITIONS, world, first + 1)
    nodes = [
        {
            "seq": row["seq"],
            "at": row["at"],
            "machineId": str(row["machine_id"]),
            "kind": row["kind"].upper(),
            "serviceId": None if row["service_id"] is None else str(row["service_id"]),
            "trigger": row["trigger"],
            "fromState": row["from_state"],
            "toState": row["to_state"],
            "actor": row["actor"],
            "reason": _reason(row),
        }
        for row in rows[:first]
    ]
    page = {"hasNextPage": len(rows) > first, "endCursor": str(rows[first - 1]["seq"])}
    return _answer({"history": {"nodes": nodes, "pageInfo": page}})


async def _fetch(request: web.Request, statement: str, world: str, *more: int) -> list[asyncpg.Record]:
    """By the id of the world, which Postgres plans better than a join with its name."""
    async with request.app[DB].acquire() as connection:
        return await connection.fetch(statement, await connection.fetchval(WORLD, world), *more)


def _reason(row: asyncpg.Record) -> dict[str, str] | None:
    return None if row["code"] is None else {"code": row["code"], "summary": row["summary"]}


async def _asked(request: web.Request) -> tuple[str, int]:
    variables = orjson.loads(await request.read())["variables"]
    return variables["world"], variables.get("first", 0)


def _answer(data: dict[str, Any]) -> web.Response:
    return web.Response(body=orjson.dumps({"data": data}), content_type="application/json")


def application(dsn: str) -> web.Application:
    async def database(app: web.Application) -> AsyncIterator[None]:
        async with asyncpg.create_pool(dsn, min_size=1, max_size=8, server_settings={"jit": "off"}) as pool:
            app[DB] = pool
            yield

    app = web.Application()
    app.cleanup_ctx.append(database)
    app.add_routes(
        [
            web.post("/overview", overview),
            web.post("/services", services),
            web.post("/transitions", transitions),
        ]
    )
    return app


if __name__ == "__main__":
    web.run_app(
        application(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None
    )
