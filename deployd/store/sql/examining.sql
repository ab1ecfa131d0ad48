-- name: examine_server
select current_setting('server_version') as version, current_setting('server_version_num')::int as number,
       current_setting('fsync') as fsync, current_setting('full_page_writes') as full_page_writes,
       current_setting('synchronous_commit') as synchronous_commit,
       current_setting('max_connections')::int as max_connections, pg_is_in_recovery() as standby,
       (select count(*) from pg_stat_activity where backend_type = 'client backend') as connected,
       clock_timestamp() as now;

-- name: examine_held
-- What keeps vacuum from removing what is dead, and is older than so many seconds.
select 'transaction' as what, 'process ' || pid || coalesce(' of ' || nullif(application_name, ''), '') as who,
       extract(epoch from clock_timestamp() - xact_start)::float8 as seconds, coalesce(state, '') as state
from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
  and xact_start < clock_timestamp() - $1::float8 * interval '1 s'
union all
select 'prepared transaction', gid, extract(epoch from clock_timestamp() - prepared)::float8, 'prepared'
from pg_prepared_xacts
where database = current_database() and prepared < clock_timestamp() - $1::float8 * interval '1 s'
union all
select 'replication slot', slot_name, 0, 'unused'
from pg_replication_slots where not active and (xmin is not null or catalog_xmin is not null)
order by 3 desc limit 5;

-- name: examine_default_partition
select exists (select from transitions_default) as used;

-- name: examine_workers
select w.host, w.pid, extract(epoch from clock_timestamp() - w.alive_at)::float8 as silent,
       (select count(*) from machines m where m.owner = w.id) as held
from workers w where w.died_at is null order by w.started_at;

-- name: living_services
select id from machines where kind = 'service' and name is not null;
