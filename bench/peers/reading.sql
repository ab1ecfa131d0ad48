-- deployd's tables as PostGraphile is shown them: one view for each type, with the columns that are asked for.

create schema bench;

create view bench.worlds as
select w.world_id, w.name, h.seq from worlds w join world_heads h using (world_id);
comment on view bench.worlds is E'@primaryKey world_id\n@unique name';

create view bench.tallies as
select world_id, kind, state, coalesce(facts ->> 'health', 'Unknown') as health, count(*) as count
from machines where kind in ('service', 'resource') and name is not null
group by 1, 2, 3, 4;
comment on view bench.tallies is
    E'@primaryKey world_id,kind,state,health\n@foreignKey (world_id) references bench.worlds (world_id)';

create view bench.releases as select world_id, id, number from releases;
comment on view bench.releases is E'@primaryKey world_id,id';

create view bench.services as
select world_id, id, name, state, facts ->> 'health' as health, facts ->> 'url' as url,
       (facts ->> 'running')::int as running, (facts ->> 'restarts')::int as restarts, created_at,
       facts -> 'reason' ->> 'code' as reason_code, facts -> 'reason' ->> 'summary' as reason_summary,
       (facts ->> 'serving')::uuid as serving_id
from machines where kind = 'service' and name is not null;
comment on view bench.services is
    E'@primaryKey world_id,id\n@foreignKey (world_id) references bench.worlds (world_id)\n'
    '@foreignKey (world_id, serving_id) references bench.releases (world_id, id)|@fieldName serving';

create view bench.resources as
select world_id, id, name, facts ->> 'slug' as slug, state, facts ->> 'health' as health
from machines where kind = 'resource' and name is not null;
comment on view bench.resources is E'@primaryKey world_id,id';

-- A list of ids within `facts` is no foreign key: a computed column instead.
create function bench.services_resources(service bench.services) returns setof bench.resources
stable language sql as $$
    select r.* from machines s
    cross join lateral jsonb_array_elements_text(s.facts -> 'resources') as k (id)
    join bench.resources r on r.world_id = s.world_id and r.id = k.id::uuid
    where s.world_id = service.world_id and s.id = service.id
    order by r.name
$$;

create view bench.deployments as
select world_id, id, service_id, state, (facts ->> 'requested_at')::timestamptz as requested_at,
       facts ->> 'requested_by' as requested_by, created_at
from machines where kind = 'deployment';
comment on view bench.deployments is
    E'@primaryKey world_id,id\n@foreignKey (world_id, service_id) references bench.services (world_id, id)';

create view bench.transitions as
select world_id, seq, at, machine_id, kind, service_id, trigger, from_state, to_state, actor,
       reason ->> 'code' as reason_code, reason ->> 'summary' as reason_summary
from transitions;
comment on view bench.transitions is
    E'@primaryKey world_id,seq\n@foreignKey (world_id) references bench.worlds (world_id)';
