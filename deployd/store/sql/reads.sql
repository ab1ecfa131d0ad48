-- What the API reads for whole pages: many worlds, machines or services by one statement each.

-- name: read_heads
select world_id, seq, at from world_heads where world_id = any($1::bigint[]);

-- name: read_machines
-- Pairs of world and id; those that exist.
select m.world_id, m.id, m.kind, m.state, m.name, m.service_id, m.change_id, m.placement, m.version,
       m.fence, m.attempt, m.deadline_at, m.created_at, m.updated_at, m.facts::text as facts
from unnest($1::bigint[], $2::uuid[]) as k (world_id, id)
join machines m on m.world_id = k.world_id and m.id = k.id;

-- name: read_stamps
-- Of the same: whether what was read of them before is still so; and as of when the worlds of $3 are.
select a.numbers, p.stamps
from as_of($3) a, (
    select string_agg(uuid_send(m.id) || int8send(m.world_id) || uuid_send(m.id) || int8send(m.version)
                      || timestamptz_send(m.updated_at), ''::bytea order by k.n) as stamps
    from unnest($1::bigint[], $2::uuid[]) with ordinality as k (world_id, id, n)
    join machines m on m.world_id = k.world_id and m.id = k.id
) p;

-- name: read_releases
-- Pairs of world and id; those that exist.
select r.world_id, r.id, r.service_id, r.number, r.spec::text as spec, r.source::text as source,
       r.created_at, r.fingerprint
from unnest($1::bigint[], $2::uuid[]) as k (world_id, id)
join releases r on r.world_id = k.world_id and r.id = k.id;

-- name: is_migrated
-- Answers as long as the server does; true once the schema is there.
select to_regclass('transitions') is not null and to_regclass('world_heads') is not null as there;

-- name: read_as_of
select numbers from as_of($1);

-- name: read_tallies
-- How many living services and resources worlds have in each state and health, and as of when the worlds are.
select a.numbers, t.*
from as_of($1) a
left join (
    select world_id, kind, state, coalesce(facts ->> 'health', 'Unknown') as health, count(*) as count
    from machines
    where world_id = any($1::bigint[]) and kind in ('service', 'resource') and name is not null
    group by 1, 2, 3, 4
) t on true
order by t.world_id, t.kind, t.state, t.health;
