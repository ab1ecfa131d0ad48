"""The engine's statements, run on a database that is made to say exactly what a value says.

The answer of a statement depends on the tables and on its arguments alone: each pair is run once, on the real
server, and remembered. What must hold for every statement by itself is checked as it is run: `seq` without
gaps, `at` never going back (the head is set ahead of the clock, as after a clock that was put back),
`version` and `fence` rising by one at most, and never falling.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Hashable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import asyncpg

from deployd.model.facts import ChangeFacts, DeploymentFacts, Facts, Source
from deployd.model.spec import ServiceSpec
from deployd.model.state import MachineKind
from deployd.store.codec import encode
from deployd.store.queries import QUERIES
from tests.model.values import FAR, Letter, Peer, Row, Tables, kind_of, name_of, uid

TICK = timedelta(hours=1)
BASE = 10
"""The version and the fence that every row has before a statement."""
NEW = 1000
"""From here on the mailbox numbers what is new."""
_SOURCE = Source("/x")
FACTS: dict[MachineKind, Facts] = {
    MachineKind.DEPLOYMENT: DeploymentFacts(
        "cart", datetime(2026, 1, 1, tzinfo=UTC), "person:ada", ServiceSpec("cart"), _SOURCE
    ),
    MachineKind.CHANGE: ChangeFacts(_SOURCE, "", "person:ada"),
}

_RESTORE = """
create or replace function model_restore(said jsonb) returns void language plpgsql as $$
begin
    perform setval(pg_get_serial_sequence('mailbox', 'id'), 1000, false);
    delete from machines;
    delete from mailbox;
    delete from workers;
    delete from transitions;
    update world_heads set seq = 0, at = now() + interval '10 days';
    insert into machines (world_id, id, kind, state, owner, due_at, deadline_at, waiters, attempt, version,
                          fence, facts)
    select (said ->> 'world')::bigint, m.id, m.kind, m.state, m.owner, now() + m.due * interval '1 hour',
           now() + m.deadline * interval '1 hour', m.waiters, m.attempt, 10, 10, m.facts
    from jsonb_to_recordset(said -> 'machines') as m (
        id uuid, kind text, state text, owner uuid, due int, deadline int, waiters uuid[], attempt int,
        facts jsonb);
    insert into mailbox (world_id, machine_id, id, trigger, actor) overriding system value
    select (said ->> 'world')::bigint, b.machine, b.id, b.trigger, b.actor
    from jsonb_to_recordset(said -> 'mail') as b (machine uuid, id bigint, trigger text, actor text);
    insert into workers (id, placements, host, pid, alive_at, died_at)
    select w.id, '{here}', 'here', 1, now() - w.silent * interval '1 hour', case when w.dead then now() end
    from jsonb_to_recordset(said -> 'workers') as w (id uuid, silent int, dead bool);
end $$
"""

_LOOK = """
select json_build_object(
    'machines', (select json_agg(json_build_object(
        'id', id, 'state', state, 'owner', owner, 'due', extract(epoch from due_at - now()) / 3600,
        'deadline', extract(epoch from deadline_at - now()) / 3600, 'waiters', waiters, 'attempt', attempt,
        'version', version, 'fence', fence) order by id) from machines),
    'mail', (select json_agg(json_build_object(
        'id', id, 'machine', machine_id, 'trigger', trigger) order by id) from mailbox),
    'workers', (select json_agg(json_build_object(
        'id', id, 'silent', extract(epoch from now() - alive_at) / 3600, 'dead', died_at is not null)
        order by id) from workers),
    'seq', h.seq, 'at', h.at > now() + interval '9 days',
    'transitions', (select json_agg(json_build_object(
        'seq', t.seq, 'late', t.at = h.at, 'machine', t.machine_id, 'trigger', t.trigger,
        'from', t.from_state, 'to', t.to_state, 'actor', t.actor) order by t.seq) from transitions t)
)::text from world_heads h where h.world_id = $1
"""


class Violation(Exception):
    """A rule that does not hold."""


class News(NamedTuple):
    """A transition that a statement wrote."""

    machine: str
    trigger: str
    from_state: str | None
    to_state: str
    actor: str


class Ran(NamedTuple):
    """What a statement did and said."""

    after: Tables
    answer: Any
    risen: tuple[tuple[str, int, int], ...]
    """Machines whose version or fence rose, and by how much."""
    news: tuple[News, ...]


class Statements:
    """Use as the `db` of functions in deployd.store. `world_id` is the world of all machines."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record], world_id: int) -> None:
        self._connection, self.world_id = connection, world_id
        self._known: dict[Hashable, Ran] = {}
        self.ran = 0

    @classmethod
    async def on(cls, connection: asyncpg.Connection[asyncpg.Record]) -> Statements:
        """On a migrated database of its own, with the world `local`."""
        await connection.execute("set synchronous_commit = off")
        await connection.execute(_RESTORE)
        world = await connection.fetchval("select world_id from worlds where name = 'local'")
        await connection.execute("delete from world_heads where world_id <> $1", world)
        return cls(connection, world)

    async def fetch(self, query: str, *args: Any) -> Sequence[asyncpg.Record]:
        """A named query, as a Database runs it."""
        return await self._connection.fetch(QUERIES[query], *args)

    async def execute(self, query: str, *args: Any) -> None:
        """Likewise."""
        await self.fetch(query, *args)

    @property
    def connection(self) -> asyncpg.Connection[asyncpg.Record]:
        """The session."""
        return self._connection

    async def run(
        self, before: Tables, query: str, key: Hashable, call: Callable[[Statements], Awaitable[Any]]
    ) -> Ran:
        """What the call, which runs the query, does to these tables; it is known by `key`. Its answer is made
        of plain values. Tables that the query's text does not name cannot matter to it, and are left away.
        """
        sql = QUERIES[query]
        seen = Tables(
            before.machines if "machines" in sql else (),
            before.mail if "mailbox" in sql else (),
            before.workers if "workers" in sql else (),
        )
        ran = self._known.get((seen, query, key))
        if ran is None:
            await self.restore(seen)
            answer = await call(self)
            ran = self._known[seen, query, key] = await self.look(seen, answer)
        return ran._replace(
            after=Tables(
                ran.after.machines if "machines" in sql else before.machines,
                ran.after.mail if "mailbox" in sql else before.mail,
                ran.after.workers if "workers" in sql else before.workers,
            )
        )

    async def restore(self, said: Tables) -> None:
        """Make the database say it."""
        self.ran += 1
        if self.ran % 1000 == 0:
            await self._connection.execute("vacuum machines, mailbox, workers, transitions, world_heads")
        await self._connection.fetchval("select model_restore($1::text::jsonb)", self._written(said))

    def _written(self, said: Tables) -> str:
        return json.dumps(
            {
                "world": self.world_id,
                "machines": [
                    {
                        "id": str(uid(one.name)),
                        "kind": kind_of(one.name),
                        "state": one.state,
                        "owner": None if one.owner is None else str(uid(one.owner)),
                        "due": one.due,
                        "deadline": one.deadline,
                        "waiters": [str(uid(waiter)) for waiter in one.waiters],
                        "attempt": one.attempt,
                        "facts": json.loads(encode(FACTS[kind_of(one.name)])),
                    }
                    for one in said.machines
                ],
                "mail": [
                    {
                        "machine": str(uid(one.machine)),
                        "id": one.id,
                        "trigger": one.trigger,
                        "actor": actor_of(one.trigger),
                    }
                    for one in said.mail
                ],
                "workers": [
                    {"id": str(uid(one.name)), "silent": one.silent, "dead": one.dead} for one in said.workers
                ],
            }
        )

    async def look(self, before: Tables, answer: Any, statements: int = 1) -> Ran:
        """What the database says now, so many statements later."""
        text = await self._connection.fetchval(_LOOK, self.world_id)
        said = json.loads(text)
        rows = said["machines"] or []
        after = Tables(
            tuple(
                Row(
                    name_of(one["id"]),
                    one["state"],
                    None if one["owner"] is None else name_of(one["owner"]),
                    ticks(one["due"]),
                    ticks(one["deadline"]),
                    tuple(name_of(waiter) for waiter in one["waiters"]),
                    one["attempt"],
                )
                for one in rows
            ),
            tuple(Letter(name_of(one["machine"]), one["id"], one["trigger"]) for one in said["mail"] or []),
            tuple(
                Peer(name_of(one["id"]), min(round(one["silent"]), 2), one["dead"])
                for one in said["workers"] or []
            ),
        )
        risen = []
        for one in rows:
            born = before.row(name_of(one["id"])) is None
            version, fence = (one[what] - (0 if born else BASE) for what in ("version", "fence"))
            if not 0 <= version <= statements or not 0 <= fence <= statements:
                raise Violation(f"version rose by {version} and fence by {fence}")
            if version or fence:
                risen.append((name_of(one["id"]), version, fence))
        news = said["transitions"] or []
        if [one["seq"] for one in news] != list(range(1, said["seq"] + 1)):
            raise Violation(f"seq is {said['seq']} after {[one['seq'] for one in news]}")
        if not said["at"] or not all(one["late"] for one in news):
            raise Violation("`at` went back")
        return Ran(
            after,
            answer,
            tuple(risen),
            tuple(
                News(name_of(one["machine"]), one["trigger"], one["from"], one["to"], one["actor"])
                for one in news
            ),
        )


def actor_of(trigger: str) -> str:
    """Who sends it: deployd pokes, people ask."""
    return "deployd" if trigger == "wake" else "person:ada"


def ticks(hours: float | None) -> int | None:
    """To the nearest, and no nearer than that it has come."""
    return None if hours is None else max(0, min(FAR, round(hours)))
