-- name: examine_server
select current_setting('server_version') as version, current_setting('server_version_num')::int as number,
       current_setting('fsync') as fsync, current_setting('full_page_writes') as full_page_writes,
       current_setting('synchronous_commit') as synchronous_commit,
       current_setting('max_connections')::int as max_connections, pg_is_in_recovery() as standby,
       (select count(*) from pg_stat_activity where backend_type = 'client backend') as connected,
       clock_timestamp() as now;

-- name: examine_held
-- What keeps vacuum from removing what is dead: transactions older than $1 seconds, and readers elsewhere that are
-- more than $2 transactions behind.
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
select 'replication slot', slot_name, 0, case when active then 'far behind' else 'unused' end
from pg_replication_slots
where greatest(age(xmin), age(catalog_xmin)) > case when active then $2::int else -1 end
union all
select 'standby', coalesce(nullif(application_name, ''), client_addr::text, 'process ' || pid), 0, 'far behind'
from pg_stat_replication where age(backend_xmin) > $2::int
order by 3 desc limit 5;

-- name: examine_default_partition
select array_remove(array[
    case when exists (select from transitions_default) then 'transitions_default' end,
    case when exists (select from audit_default) then 'audit_default' end], null) as used;

-- name: examine_dead_rows
-- Of each table: rows that are dead and those that live, its size, and when vacuum last came.
select relname as name, n_dead_tup as dead, n_live_tup as live, pg_total_relation_size(relid) as bytes,
       extract(epoch from clock_timestamp() - greatest(last_autovacuum, last_vacuum))::float8 as since,
       current_setting('autovacuum') = 'on' and current_setting('track_counts') = 'on' as vacuums
from pg_stat_user_tables order by n_dead_tup desc;

-- name: examine_transaction_ids
-- How many transactions ago the oldest row of the database was made that is not frozen; which table has it.
select greatest(age(d.datfrozenxid), mxid_age(d.datminmxid)) as age,
       (select c.oid::regclass::text from pg_class c where c.relkind in ('r', 't', 'm')
        order by greatest(age(c.relfrozenxid), mxid_age(c.relminmxid)) desc limit 1) as oldest
from pg_database d where d.datname = current_database();

-- name: examine_workers
select w.host, w.pid, extract(epoch from clock_timestamp() - w.alive_at)::float8 as silent,
       (select count(*) from machines m where m.owner = w.id) as held
from workers w where w.died_at is null order by w.started_at;

-- name: living_services
select id from machines where kind = 'service' and name is not null;
