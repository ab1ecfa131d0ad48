-- name: moments
-- When machines last moved, in which state they last worked, and when they are looked at again.
select m.id, coalesce(m.due_at, m.turn_at) as due_at, m.owner is not null as held,
       case when m.turn_at <= now() then m.limited_by end as turn_of,
       coalesce(last.at, m.created_at) as since, worked.from_state as worked_in
from machines m
left join lateral (
    select t.at from transitions t where t.world_id = m.world_id and t.machine_id = m.id
    order by t.seq desc limit 1
) last on true
left join lateral (
    select t.from_state from transitions t where t.world_id = m.world_id and t.machine_id = m.id
      and t.from_state is not null and t.from_state not in ('rolling_back', 'cancelling')
    order by t.seq desc limit 1
) worked on true
where m.world_id = $1 and m.id = any($2::uuid[]);
