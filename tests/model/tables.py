"""Tables as the database is made to say them, and as it says them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from deployd.model.facts import ChangeFacts, DeploymentFacts, Facts, Source
from deployd.model.spec import ServiceSpec
from deployd.model.state import MachineKind
from deployd.store.codec import encode
from tests.model.values import FAR, Row, Tables, Turn, kind_of, name_of, uid

TICK = timedelta(hours=1)
BASE = 10
"""The version and the fence that every row has before a statement."""
NEW = 1000
"""From here on the mailbox numbers what is new."""
_SOURCE = Source("/x")
FACTS: dict[MachineKind, Facts] = {
    MachineKind.DEPLOYMENT: DeploymentFacts(
        "cart",
        datetime(2026, 1, 1, tzinfo=UTC),
        "person:ada",
        ServiceSpec("cart"),
        _SOURCE,
        release_id=uid("R"),
        touched=True,  # so that undoing it takes a turn
    ),
    MachineKind.CHANGE: ChangeFacts(_SOURCE, "", "person:ada"),
}

RESTORE = """
create or replace function model_restore(said jsonb) returns void language plpgsql as $$
begin
    perform setval(pg_get_serial_sequence('mailbox', 'id'), 1000, false);
    delete from machines;
    delete from mailbox;
    delete from workers;
    delete from transitions;
    update world_heads set seq = 0, at = now() + interval '10 days';
    insert into machines (world_id, id, kind, state, owner, due_at, deadline_at, waiters, attempt, version,
                          fence, facts, limited_by, turn_at)
    select (said ->> 'world')::bigint, m.id, m.kind, m.state, m.owner, now() + m.due * interval '1 hour',
           now() + m.deadline * interval '1 hour', m.waiters, m.attempt, 10, 10, m.facts, m.limited_by,
           now() + m.turn * interval '1 second'
    from jsonb_to_recordset(said -> 'machines') as m (
        id uuid, kind text, state text, owner uuid, due int, deadline int, waiters uuid[], attempt int,
        facts jsonb, limited_by text, turn int);
    insert into mailbox (world_id, machine_id, id, trigger, actor) overriding system value
    select (said ->> 'world')::bigint, b.machine, b.id, b.trigger, b.actor
    from jsonb_to_recordset(said -> 'mail') as b (machine uuid, id bigint, trigger text, actor text);
    insert into workers (id, placements, host, pid, alive_at, died_at)
    select w.id, '{here}', 'here', 1, now() - w.silent * interval '1 hour', case when w.dead then now() end
    from jsonb_to_recordset(said -> 'workers') as w (id uuid, silent int, dead bool);
end $$
"""

LOOK = """
select json_build_object(
    'machines', (select json_agg(json_build_object(
        'id', id, 'state', state, 'owner', owner, 'due', extract(epoch from due_at - now()) / 3600,
        'deadline', extract(epoch from deadline_at - now()) / 3600, 'waiters', waiters, 'attempt', attempt,
        'limited', limited_by is not null, 'turn', extract(epoch from turn_at - now()) / 3600,
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


def written(world_id: int, said: Tables) -> str:
    """As the database is told."""
    return json.dumps(
        {
            "world": world_id,
            "machines": [
                {
                    "id": str(uid(one.name)),
                    "kind": kind_of(one.name),
                    "state": one.state,
                    "owner": None if one.owner is None else str(uid(one.owner)),
                    "due": one.due,
                    "limited_by": "main" if one.limited else None,
                    **_timed(one),
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


def _timed(row: Row) -> dict[str, int | None]:
    """Deadline in hours and turn in seconds from now. What waits does so for some minutes longer than it
    says, so that whoever asks for a turn now comes after it.
    """
    turn, deadline = row.turn, row.deadline
    if turn is None:
        return {"deadline": deadline, "turn": None}
    if deadline is not None and deadline < FAR and row.is_waiting:
        deadline += turn.at
    return {"deadline": deadline, "turn": turn.at * 3600 - 600 + turn.place}


def rows_of(said: Sequence[dict[str, Any]]) -> tuple[Row, ...]:
    """Machines as values."""
    since = {one["turn"]: round(one["turn"]) for one in said if one["turn"] is not None}
    turns = {
        hours: Turn(at, sorted(other for other in since if since[other] == at).index(hours))
        for hours, at in since.items()
    }
    return tuple(
        Row(
            name_of(one["id"]),
            one["state"],
            None if one["owner"] is None else name_of(one["owner"]),
            ticks(one["due"]),
            ticks(one["deadline"], min(0, since.get(one["turn"], 0))),
            tuple(name_of(waiter) for waiter in one["waiters"]),
            one["attempt"],
            one["limited"],
            turns.get(one["turn"]),
        )
        for one in said
    )


def actor_of(trigger: str) -> str:
    """Who sends it: deployd pokes, people ask."""
    return "deployd" if trigger == "wake" else "person:ada"


def ticks(hours: float | None, since: int = 0) -> int | None:
    """To the nearest, and no nearer than that it has come; as it was then."""
    return None if hours is None else max(0, min(FAR, round(hours) - since))
