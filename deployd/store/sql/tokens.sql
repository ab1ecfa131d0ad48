-- name: add_token
insert into tokens (world_id, id, name, role, sha256, worlds, expires_at, created_by)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict do nothing
returning id, name, role, worlds, created_at, created_by, expires_at, last_used_at, revoked_at, revoked_by;

-- name: find_token
select world_id, id, name, role, worlds, expires_at, now() as now,
       last_used_at is null or last_used_at < now() - interval '1 minute' as unseen
from tokens where sha256 = $1 and revoked_at is null;

-- name: see_token
-- To the minute, so that a busy token is not a busy row.
update tokens set last_used_at = now()
where world_id = $1 and id = $2 and (last_used_at is null or last_used_at < now() - interval '1 minute');

-- name: list_tokens
select id, name, role, worlds, created_at, created_by, expires_at, last_used_at, revoked_at, revoked_by
from tokens where world_id = $1 and ($2 or revoked_at is null and (expires_at is null or expires_at > now()))
order by name, created_at;

-- name: revoke_token
update tokens set revoked_at = now(), revoked_by = $3
where world_id = $1 and name = $2 and revoked_at is null
returning id, name, role, worlds, created_at, created_by, expires_at, last_used_at, revoked_at, revoked_by;
