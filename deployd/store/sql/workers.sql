-- name: add_worker
insert into workers (id, placements, host, pid) values ($1, $2, $3, $4);

-- name: beat
-- A worker declared dead gets no row back, and must start anew with another id.
update workers set alive_at = now() where id = $1 and died_at is null returning id;

-- name: end_worker
update workers set died_at = now() where id = $1;

-- name: bury
-- Declare dead whoever has been silent for too long.
update workers set died_at = now()
where died_at is null and alive_at < now() - $1::bigint * interval '1 ms'
returning id;

-- name: cut_off
-- End sessions of deployd that have not taken their answer for so long: a process that was stopped reads nothing,
-- and until its statement has been sent to it whole, that keeps its locks.
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and usename = current_user and application_name = 'deployd'
  and state = 'active' and wait_event = 'ClientWrite'
  and query_start < now() - $1::bigint * interval '1 ms';

-- name: list_alive_on
select id, pid from workers where host = $1 and died_at is null;
