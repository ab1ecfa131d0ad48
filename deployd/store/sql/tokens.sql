-- name: add_token
insert into tokens (world_id, id, name, role, sha256) values ($1, $2, $3, $4, $5)
on conflict (sha256) do nothing;

-- name: find_token
select name, role from tokens where sha256 = $1 and revoked_at is null;
