-- name: figures
-- Everything at once, so that it fits together. Worlds that came again under a name are counted together. Of machines
-- what lives or is under way, each by an index of its own: those that have ended are as many as there were in years.
select 'machines' as what, w.name as world, m.kind, m.state, sum(m.n)::bigint as number, 0::float8 as seconds
from (
    select world_id, kind, state, count(*) as n from (
        select world_id, kind, state from machines where name is not null
        union all
        select world_id, kind, state from machines
        where name is null and (due_at is not null or owner is not null or limited_by is not null)
    ) x group by world_id, kind, state
) m
join worlds w on w.world_id = m.world_id
group by w.name, m.kind, m.state
union all
select 'mail', w.name, null, null, count(b.id),
       coalesce(greatest(0, extract(epoch from clock_timestamp() - min(b.sent_at))), 0)::float8
from worlds w left join mailbox b on b.world_id = w.world_id
where w.retired_at is null or b.id is not null
group by w.name
union all
select 'due', null, null, null, count(*),
       coalesce(greatest(0, extract(epoch from clock_timestamp() - min(due_at))), 0)::float8
from machines where due_at <= clock_timestamp() and owner is null
union all
select 'workers', null, null, null, count(*), 0 from workers where died_at is null;
