-- name: add_world
-- Together with its head; a name that exists is left as it is.
with added as (
    insert into worlds (name, capabilities, ephemeral, gates) values ($1, $2::text::jsonb, $3, $4::text::jsonb)
    on conflict (name) where retired_at is null do nothing
    returning world_id
)
insert into world_heads (world_id) select world_id from added;

-- name: get_world
-- The living one of this name, or the last that ended.
select world_id, uid, name, capabilities::text as capabilities, ephemeral, created_at,
       gates::text as gates, retired_at, version
from worlds where name = $1 order by retired_at desc nulls first limit 1;

-- name: list_worlds
select world_id, uid, name, capabilities::text as capabilities, ephemeral, created_at,
       gates::text as gates, retired_at, version
from worlds order by name;

-- name: retire_world
-- Nothing can be deployed to it any more. Once and for all.
update worlds set retired_at = coalesce(retired_at, now()) where world_id = $1;

-- name: set_gates
update worlds set gates = $2::text::jsonb where world_id = $1;

-- name: update_world
-- All of it, if nobody changed it since this version; the new version.
update worlds set capabilities = $3::text::jsonb, gates = $4::text::jsonb
where world_id = $1 and version = $2 and retired_at is null
returning version;

-- name: get_head
select seq, at, horizon from world_heads where world_id = $1;

-- name: add_capability
-- One of this name is left as it is.
update worlds set capabilities = jsonb_build_object($2::text, $3::text::jsonb) || capabilities
where name = $1 and retired_at is null and not capabilities ? $2;
