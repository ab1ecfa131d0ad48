-- name: read_transitions
-- What came after a cursor, in order. `at` never decreases within a world, so it may prune partitions.
select world_id, seq, at, machine_id, kind, service_id, trigger, from_state, to_state, actor,
       reason::text as reason
from transitions where world_id = $1 and seq > $2 and at >= $3
order by seq limit $4;

-- name: read_transitions_of
-- Those of one machine.
select world_id, seq, at, machine_id, kind, service_id, trigger, from_state, to_state, actor,
       reason::text as reason
from transitions where world_id = $1 and machine_id = $2 and seq > $3 and at >= $4
order by seq limit $5;

-- name: entered
-- When each machine came into the state that its transition of this number led out of.
select t.at
from unnest($1::bigint[], $2::uuid[], $3::bigint[]) with ordinality as k (world_id, machine_id, seq, n)
left join lateral (
    select x.at from transitions x
    where x.world_id = k.world_id and x.machine_id = k.machine_id and x.seq < k.seq
    order by x.seq desc limit 1
) t on true
order by k.n;

-- name: partitions
select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = $1::text::regclass;
