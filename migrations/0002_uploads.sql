-- Archives that somebody uploaded, in parts, until a change has taken its tree (or a day is over).
-- Part 0 is written last and has the sha256 of all others: an upload without it is not there.

create table uploads (
    world_id   bigint not null,
    id         uuid not null,
    number     integer not null,
    content    bytea not null,
    created_at timestamptz not null default now(),
    primary key (world_id, id, number)
);

alter table uploads alter column content set storage external;  -- it is compressed already

create index uploads_created_at on uploads (created_at) where number <= 1;
