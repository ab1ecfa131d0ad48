-- name: read_expected
-- For services (and whether it is about going back to a release): what each state of their last ten deployments
-- that succeeded took, as medians in seconds; the state `null` is the whole. Waiting for a turn or for a person
-- is no work, and not counted.
with steps as (
    select k.world_id, k.service_id, k.rollback, d.id, t.to_state as state,
           extract(epoch from lead(t.at) over (partition by d.world_id, d.id order by t.seq) - t.at) as seconds
    from unnest($1::bigint[], $2::uuid[], $3::boolean[]) as k (world_id, service_id, rollback)
    cross join lateral (
        select * from machines m
        where m.world_id = k.world_id and m.service_id = k.service_id and m.kind = 'deployment'
          and m.state = 'succeeded' and (m.facts->>'purpose' = 'rollback') = k.rollback
        order by m.created_at desc limit 10
    ) d
    join transitions t on t.world_id = d.world_id and t.machine_id = d.id
                      and t.at >= d.created_at - interval '1 minute'
), worked as (
    select world_id, service_id, rollback, id, state, sum(seconds) as seconds from steps
    where seconds is not null and state not in ('queued', 'awaiting_approval')
    group by grouping sets ((world_id, service_id, rollback, id, state), (world_id, service_id, rollback, id))
)
select world_id, service_id, rollback, state,
       percentile_cont(0.5) within group (order by seconds) as seconds
from worked group by world_id, service_id, rollback, state;
