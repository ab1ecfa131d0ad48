-- Everything that deployd keeps. Primary keys start with world_id and no constraint spans worlds, so
-- that the tables can be spread by world. No foreign keys on hot tables: the engine's commits keep them whole.

create table worlds (
    world_id     bigint generated always as identity primary key,
    uid          uuid not null default gen_random_uuid(),   -- unlike any world of any other database
    name         text not null unique check (name ~ '^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$'),
    capabilities jsonb not null default '{}',
    ephemeral    boolean not null default false,
    created_at   timestamptz not null default now()
);

-- The last transition of each world. Narrow and nearly empty pages: each update is heap-only.
create table world_heads (
    world_id bigint primary key,
    seq      bigint not null default 0,
    at       timestamptz not null default now()
) with (fillfactor = 10, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);

create table machines (
    world_id    bigint not null,
    id          uuid not null,
    kind        text not null,
    state       text not null,
    name        text,          -- unique among the living of a kind; cleared when it retires
    service_id  uuid,
    change_id   uuid,
    placement   text,          -- the host that it is bound to; null: any worker
    version     bigint not null default 0,   -- raised by every committed outcome
    fence       bigint not null default 0,   -- raised by every claim
    owner       uuid,          -- the worker that holds it
    attempt     integer not null default 0,
    due_at      timestamptz,   -- null while held, and when nothing is awaited
    deadline_at timestamptz,
    facts       jsonb not null,
    waiters     uuid[] not null default '{}',  -- machines of this world to be poked when it settles
    woken       uuid[] not null default '{}',  -- those poked by the latest commit
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    primary key (world_id, id),
    constraint machines_state check (
        kind = 'service' and state in ('idle', 'deploying', 'serving', 'suspending', 'suspended', 'retiring', 'retired')
        or kind = 'deployment' and state in ('queued', 'fetching', 'planning', 'awaiting_approval', 'building', 'provisioning', 'releasing', 'verifying', 'succeeded', 'rolling_back', 'rolled_back', 'failed', 'cancelling', 'cancelled', 'superseded')
        or kind = 'resource' and state in ('requested', 'creating', 'ready', 'updating', 'deleting', 'deleted', 'failed')
        or kind = 'change' and state in ('received', 'planning', 'awaiting_approval', 'applying', 'done', 'partly', 'failed', 'cancelled')
    )
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

create index machines_due on machines (due_at) where due_at is not null;
create index machines_owner on machines (owner) where owner is not null;
create unique index machines_name on machines (world_id, kind, name) where name is not null;
create index machines_of_service on machines (world_id, service_id, created_at) where service_id is not null;
create index machines_of_change on machines (world_id, change_id) where change_id is not null;

-- Insert-only for everybody; rows are deleted by the outcome that answers them, and by nobody else.
create table mailbox (
    world_id   bigint not null,
    machine_id uuid not null,
    id         bigint generated always as identity,
    trigger    text not null,
    payload    jsonb not null default '{}',
    actor      text not null,
    sent_at    timestamptz not null default clock_timestamp(),
    primary key (world_id, machine_id, id)
) with (autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0.02);

create table transitions (
    world_id   bigint not null,
    seq        bigint not null,
    at         timestamptz not null,
    machine_id uuid not null,
    kind       text not null,
    service_id uuid,
    trigger    text not null,
    from_state text,
    to_state   text not null,
    actor      text not null,
    reason     jsonb,
    primary key (world_id, seq, at)
) partition by range (at);

create table transitions_default partition of transitions default;
create index transitions_of_machine on transitions (world_id, machine_id, seq);

create table releases (
    world_id   bigint not null,
    id         uuid not null,
    service_id uuid not null,
    number     integer not null,
    spec       jsonb not null,
    source     jsonb not null,
    created_at timestamptz not null default now(),
    primary key (world_id, id),
    unique (world_id, service_id, number)
);

-- A process that acts. Its id is new at each start, and one declared dead never revives.
create table workers (
    id         uuid primary key,
    placements text[] not null,
    host       text not null,
    pid        integer not null,
    started_at timestamptz not null default now(),
    alive_at   timestamptz not null default now(),
    died_at    timestamptz
);

create table tokens (
    world_id   bigint not null,
    id         uuid not null,
    name       text not null,
    role       text not null,
    sha256     text not null unique,
    created_at timestamptz not null default now(),
    revoked_at timestamptz,
    primary key (world_id, id)
);
