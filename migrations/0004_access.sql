-- Who may what, who did what, and which requests were answered before.

alter table tokens
    add column worlds       text[],       -- patterns of names of worlds; null: all
    add column expires_at   timestamptz,  -- null: never
    add column last_used_at timestamptz,  -- to the minute
    add column created_by   text,
    add column revoked_by   text;

-- Names were not unique before: all but the oldest of a name get their id as well.
update tokens t set name = t.name || '-' || left(t.id::text, 8)
where revoked_at is null and exists (
    select from tokens o where o.world_id = t.world_id and o.name = t.name and o.revoked_at is null
    and (o.created_at, o.id) < (t.created_at, t.id));
create unique index tokens_named on tokens (world_id, name) where revoked_at is null;

-- Appended before a request is carried out (phase `asked`) and once it is answered; what was refused before
-- anything was asked has one row, `refused`.
create table audit (
    world_id   bigint not null,           -- of `system` for what belongs to no world
    at         timestamptz not null default clock_timestamp(),
    id         uuid not null,             -- one for each request
    phase      text not null check (phase in ('asked', 'done', 'refused', 'errored')),
    actor      text not null,
    action     text not null,             -- the mutation, or the way by which it came
    arguments  jsonb,                     -- as they were sent; never a secret's value
    code       text,                      -- of the problem, where it was refused
    message    text,
    primary key (world_id, at, id, phase)
) partition by range (at);

create table audit_default partition of audit default;
create index audit_requests on audit (world_id, id);

create function audit_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'the audit log is append-only';
end
$$;
create trigger audit_append_only before update or delete on audit
    for each row execute function audit_is_append_only();
create trigger audit_no_truncate before truncate on audit
    for each statement execute function audit_is_append_only();

-- A request under a key is carried out once; asked again it is answered as before.
create table idempotency_keys (
    world_id   bigint not null,           -- of `system`: keys are the actor's own, in all worlds
    actor      text not null,
    key        text not null,
    digest     text not null,             -- of the request
    id         uuid not null,             -- what is made of it derives from this
    busy_until timestamptz,               -- somebody carries it out until then
    answer     jsonb,                     -- a reference to what it came to; null: none yet
    created_at timestamptz not null default now(),
    primary key (world_id, actor, key)
);
create index idempotency_keys_by_age on idempotency_keys (created_at);
