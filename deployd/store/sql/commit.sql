-- name: commit
-- One group commit: steps, births, posts and consumed mail of many machines in one statement.
-- A step counts only where version, fence and owner still match; whatever hangs on a step (its births,
-- posts and consumed mail) counts only with it. The worlds' heads are locked last, in their order.
with shape as (
    -- Most steps of a batch are alike: what they share is sent once.
    select * from unnest(
        $1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::bool[], $7::bigint[], $8::bool[],
        $9::bool[], $10::text[], $41::text[], $42::bool[]
    ) with ordinality as x (
        owner, trigger, from_state, to_state, attempt, keep, deadline_ms, settled, frees_name, actor,
        limited_by, turn, n
    )
), step as (
    select (s.n - 1)::int as ord, s.world_id, s.id, s.fence, s.version, s.facts, s.due_ms, s.reason,
           x.owner, x.trigger is not null as moves, x.trigger, x.from_state, x.to_state, x.attempt, x.keep,
           x.deadline_ms, x.settled, x.frees_name, x.actor, x.limited_by, x.turn
    from unnest(
        $11::int[], $12::bigint[], $13::uuid[], $14::bigint[], $15::bigint[], $16::text[], $17::bigint[],
        $18::text[]
    ) with ordinality as s (shape, world_id, id, fence, version, facts, due_ms, reason, n)
    join shape x on x.n = s.shape
), moved as (
    update machines m set
        state = s.to_state,
        facts = coalesce(s.facts::jsonb, m.facts),
        version = m.version + 1,
        attempt = s.attempt,
        name = case when s.frees_name then null else m.name end,
        owner = case when s.keep then m.owner end,
        -- The time of waiting for a turn is added when the turn is taken: of who keeps its place, all of it.
        deadline_at = case when s.moves then
            case when s.limited_by is null or s.turn then statement_timestamp()
                 else least(m.turn_at, statement_timestamp()) end + s.deadline_ms * interval '1 ms'
                           else m.deadline_at end,
        due_at = case when not s.keep and s.limited_by is null then least(
            statement_timestamp() + s.due_ms * interval '1 ms',
            case when s.moves then statement_timestamp() + s.deadline_ms * interval '1 ms'
                 else m.deadline_at end) end,
        limited_by = s.limited_by,
        -- Who waits for a turn already, and was held for its mail only, keeps its place.
        turn_at = case
            when s.limited_by is null or s.turn then null
            when m.turn_at is not null
            then least(m.turn_at, statement_timestamp() + s.due_ms * interval '1 ms')
            else coalesce(least(
                statement_timestamp() + s.due_ms * interval '1 ms',
                case when s.moves then statement_timestamp() + s.deadline_ms * interval '1 ms'
                     else m.deadline_at end), statement_timestamp()) end,
        waiters = case when s.settled then '{}' else m.waiters end,
        woken = case when s.settled then m.waiters else '{}' end,
        updated_at = statement_timestamp()
    from step s
    where m.world_id = s.world_id and m.id = s.id
      and m.version = s.version and m.fence = s.fence
      -- Not `=`: a plan made while the table was small would look up all that the owner holds, for each step.
      and m.owner is not distinct from s.owner
    returning s.ord, m.world_id, m.id, m.kind, m.service_id, m.woken, m.deadline_at,
              s.moves, s.trigger, s.from_state, s.to_state, s.actor, s.reason
), born as (
    insert into machines (world_id, id, kind, state, name, service_id, change_id, placement, facts,
                          due_at, deadline_at)
    select b.world_id, b.id, b.kind, b.state, b.name, b.service_id, b.change_id, b.placement,
           b.facts::jsonb, statement_timestamp(), statement_timestamp() + b.deadline_ms * interval '1 ms'
    from unnest(
        $19::int[], $20::bigint[], $21::uuid[], $22::text[], $23::text[], $24::text[], $25::uuid[],
        $26::uuid[], $27::text[], $28::text[], $29::bigint[]
    ) as b (parent, world_id, id, kind, state, name, service_id, change_id, placement, facts, deadline_ms)
    where b.parent is null or b.parent in (select ord from moved)
    on conflict do nothing
    returning world_id, id, kind, state, service_id
), posted as (
    insert into mailbox (world_id, machine_id, trigger, payload, actor)
    select p.world_id, p.machine_id, p.trigger, p.payload::jsonb, p.actor
    from unnest($30::int[], $31::bigint[], $32::uuid[], $33::text[], $34::text[], $35::text[])
         with ordinality as p (parent, world_id, machine_id, trigger, payload, actor, n)
    where p.parent is null or p.parent in (select ord from moved)
    order by p.n
), poked as (
    insert into mailbox (world_id, machine_id, trigger, actor)
    select m.world_id, w.id, 'wake', 'deployd'
    from moved m cross join lateral unnest(m.woken) as w (id)
    where cardinality(m.woken) > 0
), consumed as (
    -- Row by row by the primary key, whatever the planner believes of a mailbox that is mostly empty. Mail
    -- is never updated, so that its place cannot change within the statement.
    delete from mailbox x
    where x.ctid = any (array(
        select l.place
        from unnest($36::int[], $37::bigint[], $38::uuid[], $39::bigint[]) as c (ord, world_id, machine_id, id)
        cross join lateral (
            select m.ctid as place from mailbox m
            where m.world_id = c.world_id and m.machine_id = c.machine_id and m.id = c.id
            offset 0
        ) l
        where c.ord in (select ord from moved)
    ))
), news as (
    select ord, world_id, id, kind, service_id, trigger, from_state, to_state, actor, reason
    from moved where moves
    union all
    select 1000000 + d.n, b.world_id, b.id, b.kind, b.service_id, 'create', null, b.state, d.actor, null
    from born b
    join (
        select distinct on (world_id, id) world_id, id, actor, n
        from unnest($20::bigint[], $21::uuid[], $40::text[]) with ordinality as d (world_id, id, actor, n)
        order by world_id, id, n
    ) d on d.world_id = b.world_id and d.id = b.id
), tally as (
    -- What is written silently has no number, and is counted by `writes`.
    select world_id, sum(n) as n from (
        select world_id, 1 as n from news
        union all
        select world_id, 0 from moved where not moves
    ) w group by world_id
), locked as (
    select h.world_id from world_heads h
    where h.world_id in (select world_id from tally)
    order by h.world_id
    for no key update
), head as (
    update world_heads h set
        seq = h.seq + t.n,
        at = case when t.n > 0 then greatest(h.at, clock_timestamp()) else h.at end,
        writes = h.writes + 1
    from tally t join locked l on l.world_id = t.world_id
    where h.world_id = t.world_id
    returning h.world_id, h.seq - t.n as base, h.at
), numbered as (
    select n.ord, n.world_id, h.base + row_number() over (partition by n.world_id order by n.ord) as seq, h.at,
           n.id, n.kind, n.service_id, n.trigger, n.from_state, n.to_state, n.actor, n.reason
    from news n join head h on h.world_id = n.world_id
), written as (
    insert into transitions (world_id, seq, at, machine_id, kind, service_id, trigger, from_state, to_state,
                             actor, reason)
    select world_id, seq, at, id, kind, service_id, trigger, from_state, to_state, actor, reason::jsonb
    from numbered
)
-- Not joined: which step has which number is put together by the caller.
select ord, case when cardinality(woken) > 0 then woken end as woken,
       extract(epoch from deadline_at - statement_timestamp())::float8 as remaining,
       null::bigint as seq, null::timestamptz as at, null::uuid as id
from moved
union all
select ord, null, null, seq, at, id from numbered;


-- name: commit_one
-- The same for one step on which nothing hangs: no births, posts or consumed mail. What is alone has nobody to
-- share the price of the statement above with, most of which is its arrays.
-- $1 to $4: world, machine, version and fence; $5 trigger, null where nothing moves; $6 state; $7 owner.
with moved as (
    update machines m set
        state = $6,
        facts = coalesce($8::text::jsonb, m.facts),
        version = m.version + 1,
        attempt = $9,
        name = case when $10::bool then null else m.name end,
        owner = case when $11::bool then m.owner end,
        deadline_at = case when $5::text is not null then
            case when $13::text is null or $15::bool then statement_timestamp()
                 else least(m.turn_at, statement_timestamp()) end + $12::bigint * interval '1 ms'
                           else m.deadline_at end,
        due_at = case when not $11 and $13 is null then least(
            statement_timestamp() + $14::bigint * interval '1 ms',
            case when $5 is not null then statement_timestamp() + $12 * interval '1 ms'
                 else m.deadline_at end) end,
        limited_by = $13,
        turn_at = case
            when $13 is null or $15 then null
            when m.turn_at is not null
            then least(m.turn_at, statement_timestamp() + $14 * interval '1 ms')
            else coalesce(least(
                statement_timestamp() + $14 * interval '1 ms',
                case when $5 is not null then statement_timestamp() + $12 * interval '1 ms'
                     else m.deadline_at end), statement_timestamp()) end,
        waiters = case when $16::bool then '{}' else m.waiters end,
        woken = case when $16 then m.waiters else '{}' end,
        updated_at = statement_timestamp()
    where m.world_id = $1 and m.id = $2
      and m.version = $3 and m.fence = $4
      and m.owner is not distinct from $7::uuid
    returning m.world_id, m.id, m.kind, m.service_id, m.woken, m.deadline_at
), poked as (
    insert into mailbox (world_id, machine_id, trigger, actor)
    select m.world_id, w.id, 'wake', 'deployd'
    from moved m cross join lateral unnest(m.woken) as w (id)
    where cardinality(m.woken) > 0
), head as (
    update world_heads h set
        seq = h.seq + case when $5 is not null then 1 else 0 end,
        at = case when $5 is not null then greatest(h.at, clock_timestamp()) else h.at end,
        writes = h.writes + 1
    from moved m where h.world_id = m.world_id
    returning h.seq, h.at
), written as (
    insert into transitions (world_id, seq, at, machine_id, kind, service_id, trigger, from_state, to_state,
                             actor, reason)
    select m.world_id, h.seq, h.at, m.id, m.kind, m.service_id, $5, $17, $6, $18, $19::text::jsonb
    from moved m cross join head h
    where $5 is not null
)
select extract(epoch from m.deadline_at - statement_timestamp())::float8 as remaining,
       case when cardinality(m.woken) > 0 then m.woken end as woken,
       case when $5 is not null then h.seq end as seq, case when $5 is not null then h.at end as at
from moved m left join head h on true;
