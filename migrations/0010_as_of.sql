-- As of when some worlds are: how often each was written, then the `seq` up to which the transitions of each are not
-- kept. One row. None of these numbers ever falls; while all are the same, so is everything of the worlds that is
-- shown. Read in the statement that reads the worlds' machines, it says as of when those are.
create function as_of(world_ids bigint[]) returns table (numbers bigint[])
language sql stable as $$
    select array_agg(coalesce(h.writes, 0) order by k.n) || array_agg(coalesce(h.horizon, 0) order by k.n)
    from unnest(world_ids) with ordinality as k (world_id, n)
    left join world_heads h on h.world_id = k.world_id
$$;
