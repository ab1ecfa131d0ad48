-- Limits: how many machines of a world a capability works for at once. A machine whose state works by a limited
-- capability waits for a turn. It is then due by `turn_at` and not by `due_at`, so that claiming what is not
-- limited costs what it did before, and a replica from before this migration leaves alone what waits.

alter table machines
    add column limited_by text,          -- the capability whose turn its state needs; null: none
    add column turn_at    timestamptz;   -- since, or from when on, it waits for one; null: it has it, or needs none
create index machines_turns on machines (world_id, limited_by, turn_at) where limited_by is not null;

-- Turns of one capability for the worker `taker`, which holds those machines from then on. They are given in the
-- order in which they were asked for, over all places where a worker lives: whoever frees turns all the time
-- cannot keep them from others. The time of waiting does not count against a machine's deadline.
--
-- A function, since the lock has to be there before the statement that counts, and because a client between the
-- two that is stopped would keep the lock.
create function take_turns(taker uuid, places text[], world bigint, capability text, most bigint)
returns setof uuid language plpgsql as $$
declare
    free bigint;
begin
    perform from worlds w where w.world_id = world for no key update;
    select (w.capabilities -> capability ->> 'limit')::bigint into free from worlds w where w.world_id = world;
    if free is not null then
        free := greatest(0, free - (
            select count(*) from machines h
            where h.world_id = world and h.limited_by = capability and h.turn_at is null
              and h.owner is not null));
    end if;
    return query
    with due as (
        select m.id, m.turn_at as since from machines m
        where m.world_id = world and m.limited_by = capability and m.turn_at <= now() and m.owner is null
          and (m.placement is null or exists (
              select from workers k where k.died_at is null and m.placement = any (k.placements)))
        order by m.turn_at
        limit free  -- null where there is no limit any more: all
    ), mine as (
        select m.id, m.turn_at as since from machines m join due d on d.id = m.id
        where m.world_id = world and m.limited_by = capability and m.turn_at is not null and m.owner is null
          and (m.placement is null or m.placement = any (places))
        order by d.since
        limit most
        for no key update of m skip locked
    )
    update machines m set owner = taker, fence = m.fence + 1, due_at = null, turn_at = null,
                          deadline_at = m.deadline_at + greatest(now() - mine.since, interval '0')
    from mine where m.world_id = world and m.id = mine.id
    returning m.id;
end
$$;
