-- name: add_worker
insert into workers (id, placements, host, pid) values ($1, $2, $3, $4);

-- name: beat
-- A worker declared dead gets no row back, and must start anew with another id. Whether the clock was set back
-- since its last one.
with before as (select alive_at from workers where id = $1)
update workers set alive_at = now() where id = $1 and died_at is null
returning (select alive_at from before) > now() + interval '1 s' as set_back;

-- name: end_worker
update workers set died_at = now() where id = $1;

-- name: set_back
-- After the clock was set back: what was written later than now is due, or waits for a turn, by as much too late.
-- What is locked is being written anew.
with written as (
    select world_id, id from machines
    where (due_at is not null or limited_by is not null) and owner is null
      and updated_at > now() + interval '1 s'
    for no key update skip locked
), locked as (
    select h.world_id from world_heads h
    where h.world_id in (select world_id from written)
    order by h.world_id
    for no key update
), counted as (
    update world_heads h set writes = h.writes + 1 from locked l where h.world_id = l.world_id
)
update machines m set
    due_at = m.due_at - (m.updated_at - now()),
    turn_at = m.turn_at - (m.updated_at - now()),
    deadline_at = m.deadline_at - (m.updated_at - now()),
    updated_at = now()
from written w where m.world_id = w.world_id and m.id = w.id
returning m.id;

-- name: bury
-- Declare dead whoever has been silent for too long. A sign of life from the future was given before the clock
-- was set back: from now on its silence counts as well.
update workers set
    died_at = case when alive_at < now() - $1::bigint * interval '1 ms' then now() end,
    alive_at = least(alive_at, now())
where died_at is null
  and (alive_at < now() - $1::bigint * interval '1 ms' or alive_at > now() + interval '1 s')
returning id, died_at is null as set_back;

-- name: cut_off
-- End sessions of deployd that have not taken their answer for so long: a process that was stopped reads nothing,
-- and until its statement has been sent to it whole, that keeps its locks.
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and usename = current_user and application_name = 'deployd'
  and state = 'active' and wait_event = 'ClientWrite'
  and query_start < now() - $1::bigint * interval '1 ms';

-- name: list_alive_on
select id, pid from workers where host = $1 and died_at is null;
