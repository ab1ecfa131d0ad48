-- name: add_release
-- Numbered within its service. The same id twice changes nothing.
insert into releases (world_id, id, service_id, number, spec, source, fingerprint)
select $1, $2, $3,
       coalesce((select max(number) from releases where world_id = $1 and service_id = $3), 0) + 1,
       $4::text::jsonb, $5::text::jsonb, $6
on conflict (world_id, id) do nothing;

-- name: get_release
select world_id, id, service_id, number, spec::text as spec, source::text as source, created_at, fingerprint
from releases where world_id = $1 and id = $2;

-- name: list_releases
-- Newest first.
select world_id, id, service_id, number, spec::text as spec, source::text as source, created_at, fingerprint
from releases where world_id = $1 and service_id = $2 order by number desc limit $3;

-- name: list_ran_before
-- Commands that ran before releases later than a number, oldest first.
select r.number, m.facts -> 'spec' -> 'before' ->> 'run' as command,
       (m.facts ->> 'ran_before_at')::timestamptz as at
from machines m
join releases r on r.world_id = m.world_id and r.id = (m.facts ->> 'release_id')::uuid
where m.world_id = $1 and m.service_id = $2 and m.kind = 'deployment'
  and m.facts ->> 'ran_before_at' is not null and r.number > $3
order by at, r.number;
