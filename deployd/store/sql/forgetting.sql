-- What nobody needs any more, a batch in each statement. With a dry run the batch is only counted. Each answers how
-- many rows it looked at (none: that is all), where it stopped, and how many of them go.

-- name: forget_attempts
-- Deployments or changes ($2) of a world that ended before $3, behind a place ($4, $5). What stays whatever its age:
-- the newest $7 of a service that lives, or of all changes; what a service, a release or another machine refers to;
-- and what somebody asks something of. $8: the final states; $9: those of changes.
with seen as materialized (
    select * from machines
    where world_id = $1 and kind = $2 and kind in ('change', 'deployment')
      and created_at < $3 and (created_at, id) > ($4::timestamptz, $5::uuid)
    order by created_at, id limit $6
), old as materialized (
    select d.world_id, d.id, d.version from seen d
    left join machines s on s.world_id = d.world_id and s.id = d.service_id and d.kind = 'deployment'
    where d.state = any($8::text[]) and d.updated_at < $3 and d.owner is null
      and not exists (select from mailbox b where b.world_id = d.world_id and b.machine_id = d.id)
      and case when d.kind = 'deployment' then
            (s.id is null or s.state = 'retired' or (
                select count(*) from (
                    select from machines n
                    where n.world_id = d.world_id and n.service_id = d.service_id and n.kind = 'deployment'
                      and (n.created_at, n.id) > (d.created_at, d.id)
                    limit $7) newer) >= $7)
            and (s.id is null or (
                s.facts -> 'current' ->> 'deployment_id' is distinct from d.id::text
                and s.facts -> 'next' ->> 'deployment_id' is distinct from d.id::text
                and not coalesce(s.facts -> 'holds', '[]') @> jsonb_build_array(jsonb_build_object('rollback', d.id))))
            -- Its command ran before a release: whoever goes back behind that one is told.
            and not (d.facts ->> 'ran_before_at' is not null and exists (
                select from releases r
                where r.world_id = d.world_id and r.id = (d.facts ->> 'release_id')::uuid))
            and not exists (
                select from machines c
                where c.world_id = d.world_id and c.id = d.change_id and c.state <> all($9::text[]))
          else
            not exists (select from machines o where o.world_id = d.world_id and o.change_id = d.id)
            and (select count(*) from (
                    select from machines n
                    where n.world_id = d.world_id and n.kind = 'change' and n.kind in ('change', 'deployment')
                      and (n.created_at, n.id) > (d.created_at, d.id)
                    limit $7) newer) >= $7
          end
), gone as (
    delete from machines m using old o
    where not $10::bool and m.world_id = o.world_id and m.id = o.id and m.version = o.version
      and m.owner is null
    returning m.world_id
), counted as (
    update world_heads h set writes = h.writes + 1 where h.world_id in (select world_id from gone)
)
select (select count(*) from seen) as seen,
       case when $10 then (select count(*) from old) else (select count(*) from gone) end as gone,
       last.created_at as at, last.id
from (select created_at, id from seen order by created_at desc, id desc limit 1) last;

-- name: releases_to_forget
-- Services that may have some: those with more than $1, and those retired before $5; behind a place ($2, $3).
select r.world_id, r.service_id, s.id is null or (s.state = 'retired' and s.updated_at < $5) as over
from (select world_id, service_id, count(*) as n from releases
      where (world_id, service_id) > ($2::bigint, $3::uuid) group by world_id, service_id) r
left join machines s on s.world_id = r.world_id and s.id = r.service_id
where r.n > $1 or s.id is null or (s.state = 'retired' and s.updated_at < $5)
order by r.world_id, r.service_id limit $4;

-- name: forget_releases
-- Of a service ($1, $2), all but the newest $3: those made before $4 that neither the service nor a deployment
-- refers to, and that nobody holds.
with referred as materialized (
    select d.id::text as id from machines d
    where d.world_id = $1 and d.service_id = $2 and d.kind = 'deployment'
    union
    select v.id from machines d
    cross join lateral (values (d.facts ->> 'release_id'), (d.facts ->> 'restores')) v (id)
    where d.world_id = $1 and d.service_id = $2 and d.kind = 'deployment' and v.id is not null
    union
    select v.id from machines s
    cross join lateral (
        values (s.facts ->> 'serving'), (s.facts ->> 'previous'), (s.facts ->> 'kept'),
               (s.facts -> 'run' ->> 'release_id'), (s.facts -> 'last_run' ->> 'release_id')
        union all
        select h ->> 'release_id' from jsonb_array_elements(coalesce(s.facts -> 'holds', '[]')) h
    ) v (id)
    where s.world_id = $1 and s.id = $2 and $3 > 0 and v.id is not null  -- one that is over serves nothing
), old as materialized (
    select r.world_id, r.id from releases r
    where r.world_id = $1 and r.service_id = $2 and r.created_at < $4
      and ($3 = 0 or r.number < (
          select min(n.number) from (
              select number from releases k where k.world_id = $1 and k.service_id = $2
              order by number desc limit $3) n))
      and r.id::text not in (select id from referred)
    order by r.number limit $5
), gone as (
    delete from releases r using old o
    where not $6::bool and r.world_id = o.world_id and r.id = o.id
    returning r.id
)
select count(*) as gone from old;

-- name: forget_ended
-- Services that are retired and resources that are deleted, with nothing left of them, since before $1. How many of
-- a name there were stays known.
with old as materialized (
    select m.world_id, m.id, m.kind, m.version, m.facts ->> 'name' as name from machines m
    where m.kind in ('service', 'resource') and m.name is null and m.created_at < $1 and m.updated_at < $1
      and m.state in ('retired', 'deleted') and m.owner is null
      and not exists (select from mailbox b where b.world_id = m.world_id and b.machine_id = m.id)
      and not exists (select from machines d
                      where d.world_id = m.world_id and d.service_id = m.id and d.id <> m.id)
      and not exists (select from releases r where r.world_id = m.world_id and r.service_id = m.id)
      and not exists (select from outputs o where o.world_id = m.world_id and o.resource_id = m.id)
    limit $2
), gone as (
    delete from machines m using old o
    where not $3::bool and m.world_id = o.world_id and m.id = o.id and m.version = o.version
      and m.owner is null
    returning m.world_id, m.kind, o.name
), counted as (
    insert into forgotten as f (world_id, kind, name, number)
    select world_id, kind, name, count(*) from gone where name is not null group by world_id, kind, name
    on conflict (world_id, kind, name) do update set number = f.number + excluded.number
), locked as (
    select h.world_id from world_heads h
    where h.world_id in (select world_id from gone)
    order by h.world_id
    for no key update
), written as (
    update world_heads h set writes = h.writes + 1 from locked l where h.world_id = l.world_id
)
select case when $3 then (select count(*) from old) else (select count(*) from gone) end as gone;

-- name: forget_worlds
-- Ephemeral worlds that ended before $1, once nothing in them is left; their secrets go with them.
with old as materialized (
    select w.world_id from worlds w
    where w.ephemeral and w.retired_at < $1
      and not exists (select from machines m where m.world_id = w.world_id)
      and not exists (select from releases r where r.world_id = w.world_id)
      and not exists (select from outputs o where o.world_id = w.world_id)
      and not exists (select from transitions t where t.world_id = w.world_id)
    limit $2
), gone as (
    delete from worlds w using old o where not $3::bool and w.world_id = o.world_id returning w.world_id
), heads as (
    delete from world_heads h using gone g where h.world_id = g.world_id
), secret as (
    delete from secrets s using gone g where s.world_id = g.world_id
), counts as (
    delete from forgotten f using gone g where f.world_id = g.world_id
)
select case when $3 then (select count(*) from old) else (select count(*) from gone) end as gone;

-- name: forget_mail
-- What was sent to machines that are not there, and so is answered by nobody.
with old as materialized (
    select b.world_id, b.machine_id, b.id from mailbox b
    where b.sent_at < now() - $1::interval
      and not exists (select from machines m where m.world_id = b.world_id and m.id = b.machine_id)
    limit $2
), gone as (
    delete from mailbox b using old o
    where not $3::bool and b.world_id = o.world_id and b.machine_id = o.machine_id and b.id = o.id
)
select count(*) as gone from old;

-- name: forget_tokens
-- Those that count no more since before $1.
with old as materialized (
    select world_id, id from tokens where least(revoked_at, expires_at) < $1 limit $2
), gone as (
    delete from tokens t using old o where not $3::bool and t.world_id = o.world_id and t.id = o.id
)
select count(*) as gone from old;

-- name: forget_requests
-- Idempotency keys that were first used before $1.
with old as materialized (
    select world_id, actor, key from idempotency_keys where created_at < $1 order by created_at limit $2
), gone as (
    delete from idempotency_keys k using old o
    where not $3::bool and k.world_id = o.world_id and k.actor = o.actor and k.key = o.key
)
select count(*) as gone from old;

-- name: forget_uploads
-- Archives that began to come before $1, whole or not.
with old as materialized (
    select distinct world_id, id from uploads where number <= 1 and created_at < $1 limit $2
), gone as (
    delete from uploads u using old o where not $3::bool and u.world_id = o.world_id and u.id = o.id
)
select count(*) as gone from old;

-- name: forget_workers
-- Those that died before $1 and hold nothing.
with old as materialized (
    select id from workers w
    where w.died_at < $1 and not exists (select from machines m where m.owner = w.id) limit $2
), gone as (
    delete from workers w using old o where not $3::bool and w.id = o.id
)
select count(*) as gone from old;

-- name: referred_trees
-- Every tree that a release, a machine or a change about to be planned may be made of again.
select source ->> 'tree' as tree from releases where source ->> 'tree' is not null
union
select facts -> 'source' ->> 'tree' from machines
where kind in ('change', 'deployment') and facts -> 'source' ->> 'tree' is not null
union
select facts -> 'source' ->> 'base' from machines
where kind = 'change' and facts -> 'source' ->> 'base' is not null;
