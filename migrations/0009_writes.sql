-- How often something of a world's services and resources was written, silently too: while it is the same, so is
-- whatever is counted over all of them.
alter table world_heads add column writes bigint not null default 0;
