-- What keeps the database as quick as on its first day: duties that all replicas share, what is remembered of
-- what was forgotten, and the settings of tables that are hot or that only grow.

-- When each duty is due and what it last came to. Whoever takes one writes until when it may be busy with it.
create table duties (
    name       text not null,
    place      text not null default '',  -- the host whose own things it is about; empty: the database
    due_at     timestamptz not null,
    busy_until timestamptz,
    last_at    timestamptz,               -- when it last ended
    seconds    double precision,          -- what that took
    outcome    text,                      -- done, unfinished or failed
    summary    text,
    counted    jsonb not null default '[]',
    primary key (name, place)
);

-- Services and resources that ended and whose rows are gone. The next one of a name derives its id from how many
-- there were before, so their number outlives them.
create table forgotten (
    world_id bigint not null,
    kind     text not null,
    name     text not null,
    number   bigint not null,
    primary key (world_id, kind, name)
);

-- By which ended services and resources are found. Its columns never change once a row is in it, so that it
-- keeps no update from being heap-only.
create index machines_ended on machines (world_id, kind, created_at, id)
    where kind in ('service', 'resource') and name is null;

-- Rewritten by every heartbeat, commit and answer: room on the page makes that heap-only, and vacuum comes after
-- so many dead rows, however large the table is, without pausing.
alter table workers set (fillfactor = 50, autovacuum_vacuum_threshold = 200,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);
alter table world_heads set (autovacuum_vacuum_cost_delay = 0);
alter table mailbox set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);
alter table idempotency_keys set (fillfactor = 70);
alter table machines set (toast.autovacuum_vacuum_scale_factor = 0.05, toast.autovacuum_vacuum_cost_delay = 0);

-- What is only inserted is frozen by the vacuum that comes after so many inserts, so that no later one has to read
-- all of it against the wraparound of transaction ids.
do $$
declare part regclass;
begin
    for part in select inhrelid::regclass from pg_inherits
                where inhparent in ('transitions'::regclass, 'audit'::regclass) loop
        execute format('alter table %s set (autovacuum_freeze_min_age = 0,'
            ' autovacuum_vacuum_insert_threshold = 20000, autovacuum_vacuum_insert_scale_factor = 0.1)', part);
    end loop;
end
$$;
