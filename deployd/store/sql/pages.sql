-- Lists that grow, page by page: of many worlds or services by one statement each. Of machines only the stamps
-- (reads.py): whoever reads a page again knows most of them, and most often that it is the same page. Each of
-- these also says as of when its worlds are.

-- name: page_named
-- The living machines of a kind in worlds, by name, behind a name.
select a.numbers, p.stamps
from as_of($1) a, (
    select string_agg(uuid_send(m.id) || int8send(m.world_id) || uuid_send(m.id) || int8send(m.version)
                      || timestamptz_send(m.updated_at), ''::bytea order by m.name) as stamps
    from unnest($1::bigint[]) as k (world_id)
    cross join lateral (
        select * from machines x
        where x.world_id = k.world_id and x.kind = $2 and x.name is not null and x.name > $3
        order by x.name limit $4
    ) m
) p;

-- name: page_newest
-- Changes or deployments of worlds, newest first: of a state, of an actor, of a service.
select a.numbers, p.stamps
from as_of($1) a, (
    select string_agg(uuid_send(m.id) || int8send(m.world_id) || uuid_send(m.id) || int8send(m.version)
                      || timestamptz_send(m.updated_at), ''::bytea order by m.created_at desc, m.id desc) as stamps
    from unnest($1::bigint[]) as k (world_id)
    cross join lateral (
        select * from machines x
        where x.world_id = k.world_id and x.kind = $2 and x.kind in ('change', 'deployment')
          and ($3::text is null or x.state = $3)
          and ($4::text is null or x.requested_by = $4)
          and ($5::text is null or x.facts ->> 'service' = $5 or x.kind = 'change' and (
              x.facts -> 'services' ? $5 or exists (
                  select from machines d
                  where d.world_id = x.world_id and d.change_id = x.id and d.kind = 'deployment'
                    and d.facts ->> 'service' = $5)))
          and (x.created_at, x.id) < ($6, $7)
        order by x.created_at desc, x.id desc limit $8
    ) m
) p;

-- name: page_deployments
-- Of services, newest first.
select a.numbers, p.stamps
from as_of($6) a, (
    select string_agg(uuid_send(m.service_id) || int8send(m.world_id) || uuid_send(m.id) || int8send(m.version)
                      || timestamptz_send(m.updated_at), ''::bytea order by m.created_at desc, m.id desc) as stamps
    from unnest($1::bigint[], $2::uuid[]) as k (world_id, service_id)
    cross join lateral (
        select * from machines d
        where d.world_id = k.world_id and d.service_id = k.service_id and d.kind = 'deployment'
          and (d.created_at, d.id) < ($3, $4)
        order by d.created_at desc, d.id desc limit $5
    ) m
) p;

-- name: page_releases
-- Of services, newest first.
select r.world_id, r.id, r.service_id, r.number, r.spec::text as spec, r.source::text as source,
       r.created_at, r.fingerprint
from unnest($1::bigint[], $2::uuid[]) as k (world_id, service_id)
cross join lateral (
    select * from releases x
    where x.world_id = k.world_id and x.service_id = k.service_id and x.number < $3
    order by x.number desc limit $4
) r
order by r.number desc;

-- name: page_world_releases
-- Of all services of worlds, newest first.
select r.world_id, r.id, r.service_id, r.number, r.spec::text as spec, r.source::text as source,
       r.created_at, r.fingerprint
from unnest($1::bigint[]) as k (world_id)
cross join lateral (
    select * from releases x
    where x.world_id = k.world_id and (x.created_at, x.id) < ($2, $3)
    order by x.created_at desc, x.id desc limit $4
) r
order by r.created_at desc, r.id desc;
