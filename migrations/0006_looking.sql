-- What looking needs: how far back a world's transitions go, which description of a world one has seen, and
-- indexes for lists and for searching.

-- Transitions up to this `seq` are not kept any more. Raised together with the partitions being dropped.
alter table world_heads add column horizon bigint not null default 0;

-- Another one whenever somebody changed the world: so that two who change it do not undo each other's work.
alter table worlds add column version bigint not null default 1;
create function worlds_count_versions() returns trigger language plpgsql as $$
begin
    new.version := old.version + 1;
    return new;
end
$$;
create trigger worlds_version before update on worlds
    for each row execute function worlds_count_versions();

-- By which changes and deployments are found. Columns, not expressions in an index: they hardly ever change,
-- while `facts` does with every step, which would then not be a heap-only update any more.
alter table machines
    add column source_commit text generated always as (facts -> 'source' ->> 'commit') stored,
    add column requested_by  text generated always as (facts ->> 'requested_by') stored;
create index machines_newest on machines (world_id, kind, created_at, id)
    where kind in ('change', 'deployment');
create index machines_commit on machines (world_id, source_commit text_pattern_ops)
    where source_commit is not null;
create index machines_requested_by on machines (world_id, requested_by, created_at)
    where requested_by is not null;

create index releases_newest on releases (world_id, created_at, id);
create index releases_commit on releases (world_id, (source ->> 'commit') text_pattern_ops)
    where source ->> 'commit' is not null;

-- The history of a service: its own steps and those of its deployments.
create index transitions_of_service on transitions (world_id, service_id, seq) where service_id is not null;
