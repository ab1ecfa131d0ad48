-- name: set_secret
insert into secrets (world_id, name, revision, content, set_by) values ($1, $2, $3, $4, $5)
on conflict (world_id, name) do update
set revision = excluded.revision, content = excluded.content, set_by = excluded.set_by, set_at = now()
returning name, revision, set_at, set_by;

-- name: unset_secret
delete from secrets where world_id = $1 and name = $2 returning name;

-- name: list_secrets
select name, revision, set_at, set_by from secrets where world_id = $1 order by name;

-- name: get_secrets
select name, content from secrets where world_id = $1 and name = any($2::text[]);

-- name: secret_revisions
select name, revision from secrets where world_id = $1 and name = any($2::text[]);

-- name: get_outputs
select content from outputs where world_id = $1 and resource_id = $2;

-- name: add_outputs
-- Only where there are none: answers whether that was so.
insert into outputs (world_id, resource_id, content) values ($1, $2, $3)
on conflict (world_id, resource_id) do nothing
returning resource_id;

-- name: replace_outputs
-- Only those that were read: answers whether they still were there.
update outputs set content = $4, updated_at = now()
where world_id = $1 and resource_id = $2 and content = $3
returning resource_id;

-- name: remove_outputs
delete from outputs where world_id = $1 and resource_id = $2;

-- name: other_keys
-- The names of keys but $1 with which anything is encrypted: bytes 2 to 9 of it (store/cipher.py).
select distinct encode(substring(content from 2 for 8), 'hex') as key
from (select content from secrets union all select content from outputs) kept
where substring(content from 2 for 8) <> $1
limit 1;

-- name: list_environments
-- Of each living service: that of the release it serves, and that of its newest deployment.
select s.name as service, coalesce(r.spec -> 'env', '{}')::text as env
from machines s
join releases r on r.world_id = s.world_id and r.id = (s.facts ->> 'serving')::uuid
where s.world_id = $1 and s.kind = 'service' and s.name is not null
union all
select s.name, coalesce(d.facts -> 'spec' -> 'env', '{}')::text
from machines s
cross join lateral (
    select facts from machines d
    where d.world_id = s.world_id and d.service_id = s.id and d.kind = 'deployment'
    order by d.created_at desc limit 1
) d
where s.world_id = $1 and s.kind = 'service' and s.name is not null;
