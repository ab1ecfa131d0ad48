-- name: read_transitions
-- What came after a cursor, in order. `at` never decreases within a world, so it may prune partitions.
select world_id, seq, at, machine_id, kind, service_id, trigger, from_state, to_state, actor,
       reason::text as reason
from transitions where world_id = $1 and seq > $2 and at >= $3
order by seq limit $4;

-- name: read_page
-- The same, with how far back the world's transitions go: in each row, and in one row without a transition
-- where there is none. In one statement, so that nothing can be dropped between the two.
select h.horizon, t.world_id, t.seq, t.at, t.machine_id, t.kind, t.service_id, t.trigger, t.from_state,
       t.to_state, t.actor, t.reason::text as reason
from world_heads h
left join lateral (
    select * from transitions x
    where x.world_id = $1 and x.seq > greatest($2, h.horizon) and x.at >= $3
    order by x.seq limit $4
) t on true
where h.world_id = $1
order by t.seq;

-- name: read_history
-- Which, by number and time: of a world, of a service ($2) with its deployments, or of one machine ($3), as far as it is kept; newest first,
-- behind a place; and as of when the world is. A branch for each, of which two find nothing at once: each has
-- an index.
select a.numbers, p.places
from as_of(array[$1::bigint]) a, (
    select string_agg(int8send(t.seq) || timestamptz_send(t.at), ''::bytea order by t.seq desc) as places
    from (
        (select seq, at from transitions
         where world_id = $1 and $2::uuid is null and $3::uuid is null and seq < $4 and at <= $5
           and seq > (select horizon from world_heads where world_id = $1)
         order by seq desc limit $6)
        union all
        (select seq, at from transitions
         where world_id = $1 and service_id = $2 and seq < $4 and at <= $5
           and seq > (select horizon from world_heads where world_id = $1)
         order by seq desc limit $6)
        union all
        (select seq, at from transitions
         where world_id = $1 and machine_id = $3 and seq < $4 and at <= $5
           and seq > (select horizon from world_heads where world_id = $1)
         order by seq desc limit $6)
    ) t
) p;

-- name: read_history_up
-- The same, oldest first.
select a.numbers, p.places
from as_of(array[$1::bigint]) a, (
    select string_agg(int8send(t.seq) || timestamptz_send(t.at), ''::bytea order by t.seq) as places
    from (
        (select seq, at from transitions
         where world_id = $1 and $2::uuid is null and $3::uuid is null and seq > $4 and at >= $5
           and seq > (select horizon from world_heads where world_id = $1)
         order by seq limit $6)
        union all
        (select seq, at from transitions
         where world_id = $1 and service_id = $2 and seq > $4 and at >= $5
           and seq > (select horizon from world_heads where world_id = $1)
         order by seq limit $6)
        union all
        (select seq, at from transitions
         where world_id = $1 and machine_id = $3 and seq > $4 and at >= $5
           and seq > (select horizon from world_heads where world_id = $1)
         order by seq limit $6)
    ) t
) p;

-- name: read_numbered
-- Those of a world with these numbers ($2), which were between two moments ($3, $4).
select world_id, seq, at, machine_id, kind, service_id, trigger, from_state, to_state, actor,
       reason::text as reason
from transitions where world_id = $1 and seq = any($2::bigint[]) and at between $3 and $4;

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

-- name: raise_horizons
-- What is dropped with a partition is not kept any more: $1 worlds, $2 their highest `seq` in it.
update world_heads h set horizon = greatest(h.horizon, d.seq)
from (select k.world_id, k.seq from unnest($1::bigint[], $2::bigint[]) as k (world_id, seq)
      join world_heads l on l.world_id = k.world_id
      order by k.world_id for no key update of l) d
where h.world_id = d.world_id;
