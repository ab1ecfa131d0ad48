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
