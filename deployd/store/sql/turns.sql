-- name: list_waiting
-- The limited capabilities that machines of these places wait for. Jumps from one capability to the next in the
-- index, however many wait.
with recursive limited as (
    (select world_id, limited_by from machines where limited_by is not null
     order by world_id, limited_by limit 1)
    union all
    select n.world_id, n.limited_by from limited l cross join lateral (
        select m.world_id, m.limited_by from machines m
        where m.limited_by is not null and (m.world_id, m.limited_by) > (l.world_id, l.limited_by)
        order by m.world_id, m.limited_by limit 1
    ) n
)
select l.world_id, l.limited_by from limited l
where exists (
    select from machines m
    where m.world_id = l.world_id and m.limited_by = l.limited_by and m.turn_at <= now() and m.owner is null
      and (m.placement is null or m.placement = any($1::text[]))
);

-- name: take_turns
-- Only their ids: what the server has to send while it holds the lock must fit into what it may send unread.
select id from take_turns($1, $2::text[], $3, $4, $5) as id;

-- name: get_taken
-- What this worker has just taken.
select m.world_id, m.id, m.kind, m.state, m.name, m.service_id, m.change_id, m.placement, m.version,
       m.fence, m.attempt, m.deadline_at, m.created_at, m.updated_at, m.facts::text as facts, m.limited_by,
       m.turn_at is null as turn,
       (select w.version from worlds w where w.world_id = m.world_id) as world_version,
       extract(epoch from m.deadline_at - now())::float8 as remaining,
       (select json_agg(json_build_object('id', b.id, 'trigger', b.trigger, 'actor', b.actor,
                                          'payload', b.payload) order by b.id)::text
        from mailbox b where b.world_id = m.world_id and b.machine_id = m.id) as mail
from machines m where m.world_id = $1 and m.id = any($2::uuid[]) and m.owner = $3;
