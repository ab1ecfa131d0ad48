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

-- name: partitions
select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = $1::text::regclass;
