-- What a whole repository needs: secrets, outputs of resources, what a release is made of, gates.

alter table worlds add column gates jsonb not null default '{}';
alter table worlds add column retired_at timestamptz;
alter table worlds drop constraint worlds_name_key;
create unique index worlds_living on worlds (name) where retired_at is null;  -- a name can come again

-- Of everything that a service is made of. Releases from before have none, and are like no other.
alter table releases add column fingerprint text not null default '';

-- Values that people set. `content` is encrypted; `revision` is another one at every set.
create table secrets (
    world_id bigint not null,
    name     text not null,
    revision uuid not null,
    content  bytea not null,
    set_at   timestamptz not null default now(),
    set_by   text not null,
    primary key (world_id, name)
);

-- What resources have to offer, and what was generated for them: one encrypted JSON object each.
create table outputs (
    world_id    bigint not null,
    resource_id uuid not null,
    content     bytea not null,
    updated_at  timestamptz not null default now(),
    primary key (world_id, resource_id)
);

-- A service's environment is kept as written from now on: `$${` for a literal `${`; scale is a range.
update releases set spec = jsonb_set(jsonb_set(spec, '{env}',
        replace(coalesce(spec -> 'env', '{}')::text, '${', '$${')::jsonb),
    '{scale}', jsonb_build_object('min', coalesce(spec -> 'scale', '1'), 'max', coalesce(spec -> 'scale', '1')));
update machines set facts = jsonb_set(jsonb_set(facts, '{spec,env}',
        replace(coalesce(facts -> 'spec' -> 'env', '{}')::text, '${', '$${')::jsonb),
    '{spec,scale}', jsonb_build_object('min', coalesce(facts -> 'spec' -> 'scale', '1'),
                                       'max', coalesce(facts -> 'spec' -> 'scale', '1')))
where kind = 'deployment';
