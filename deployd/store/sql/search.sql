-- name: search_machines
-- In worlds ($1): by a name that has the text ($2), by ids ($3 to $4), by commits ($5 up to before $6), by who
-- asked ($7); $8 of each at most. `rank`: the lower the nearer.
with found as (
    (select case when lower(name) = lower($2) then 0 else 3 end as rank, 'name' as matched, world_id, id
     from machines
     where world_id = any($1::bigint[]) and kind in ('service', 'resource') and name is not null
       and position(lower($2) in lower(name)) > 0
     order by 1, length(name), name limit $8)
    union all
    (select 1, 'id', world_id, id from machines
     where world_id = any($1::bigint[]) and id between $3 and $4 limit $8)
    union all
    (select 2, 'commit', world_id, id from machines
     where world_id = any($1::bigint[]) and source_commit is not null
       and source_commit ~>=~ $5::text and source_commit ~<~ $6::text
     order by created_at desc limit $8)
    union all
    (select 4, 'actor', world_id, id from machines
     where world_id = any($1::bigint[]) and requested_by = any($7::text[])
     order by created_at desc limit $8)
)
select f.rank, f.matched, m.world_id, m.id, m.kind, m.state, m.name, m.service_id, m.change_id, m.placement, m.version,
       m.fence, m.attempt, m.deadline_at, m.created_at, m.updated_at, m.facts::text as facts
from found f join machines m on m.world_id = f.world_id and m.id = f.id
order by f.rank, m.created_at desc, m.id desc;

-- name: search_releases
-- In worlds ($1): by ids ($2 to $3), by commits ($4 up to before $5); $6 of each at most.
with found as (
    (select 1 as rank, 'id' as matched, world_id, id from releases
     where world_id = any($1::bigint[]) and id between $2 and $3 limit $6)
    union all
    (select 2, 'commit', world_id, id from releases
     where world_id = any($1::bigint[]) and source ->> 'commit' is not null
       and source ->> 'commit' ~>=~ $4::text and source ->> 'commit' ~<~ $5::text
     order by created_at desc limit $6)
)
select f.rank, f.matched, r.world_id, r.id, r.service_id, r.number, r.spec::text as spec, r.source::text as source,
       r.created_at, r.fingerprint
from found f join releases r on r.world_id = f.world_id and r.id = f.id
order by f.rank, r.created_at desc, r.id desc;

-- name: find_release
-- By its id alone, over all worlds that are given.
select r.world_id, r.id, r.service_id, r.number, r.spec::text as spec, r.source::text as source,
       r.created_at, r.fingerprint
from releases r where r.world_id = any($1::bigint[]) and r.id = $2;
