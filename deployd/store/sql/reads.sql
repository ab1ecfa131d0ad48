-- What the API reads for whole pages: many worlds, machines or services by one statement each.

-- name: read_heads
select world_id, seq, at from world_heads where world_id = any($1::bigint[]);

-- name: read_machines
-- Pairs of world and id; those that exist.
select m.world_id, m.id, m.kind, m.state, m.name, m.service_id, m.change_id, m.placement, m.version,
       m.fence, m.attempt, m.deadline_at, m.created_at, m.updated_at, m.facts::text as facts
from unnest($1::bigint[], $2::uuid[]) as k (world_id, id)
join machines m on m.world_id = k.world_id and m.id = k.id;

-- name: read_services
-- The living services of worlds, by name.
select world_id, id, kind, state, name, service_id, change_id, placement, version, fence, attempt,
       deadline_at, created_at, updated_at, facts::text as facts
from machines where world_id = any($1::bigint[]) and kind = 'service' and name is not null
order by name;

-- name: read_resources
-- The living resources of worlds, by name.
select world_id, id, kind, state, name, service_id, change_id, placement, version, fence, attempt,
       deadline_at, created_at, updated_at, facts::text as facts
from machines where world_id = any($1::bigint[]) and kind = 'resource' and name is not null
order by name;

-- name: read_deployments
-- The newest few of each service, newest first.
select m.world_id, m.id, m.kind, m.state, m.name, m.service_id, m.change_id, m.placement, m.version,
       m.fence, m.attempt, m.deadline_at, m.created_at, m.updated_at, m.facts::text as facts
from unnest($1::bigint[], $2::uuid[]) as k (world_id, service_id)
cross join lateral (
    select * from machines d
    where d.world_id = k.world_id and d.service_id = k.service_id and d.kind = 'deployment'
    order by d.created_at desc, d.id desc limit $3
) m
order by m.created_at desc, m.id desc;

-- name: read_releases
-- Pairs of world and id; those that exist.
select r.world_id, r.id, r.service_id, r.number, r.spec::text as spec, r.source::text as source,
       r.created_at, r.fingerprint
from unnest($1::bigint[], $2::uuid[]) as k (world_id, id)
join releases r on r.world_id = k.world_id and r.id = k.id;

-- name: read_newest_releases
-- The newest few of each service, newest first.
select r.world_id, r.id, r.service_id, r.number, r.spec::text as spec, r.source::text as source,
       r.created_at, r.fingerprint
from unnest($1::bigint[], $2::uuid[]) as k (world_id, service_id)
cross join lateral (
    select * from releases x
    where x.world_id = k.world_id and x.service_id = k.service_id
    order by x.number desc limit $3
) r
order by r.number desc;

-- name: is_migrated
-- Answers as long as the server does; true once the schema is there.
select to_regclass('transitions') is not null and to_regclass('world_heads') is not null as there;
