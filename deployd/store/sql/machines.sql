-- name: claim
-- What is due: its time has come, or its mailbox is not empty. Each claim raises the fence. What waits for a
-- turn (turns.sql) comes only with mail: that is answered without one.
-- Rows are locked as they are now, mail is read as it was when the statement began. A machine that was claimed,
-- answered and let go in between shows by its fence: then its mail is left to be read by the holder's next look.
with timely as (
    select world_id, id from machines
    where due_at <= now() and owner is null and (placement is null or placement = any($2::text[]))
      and id <> all($4::uuid[])
    order by due_at
    limit $3
    for no key update skip locked
), called as (
    select m.world_id, m.id
    from (select distinct world_id, machine_id from mailbox) b
    cross join lateral (
        select world_id, id from machines
        where world_id = b.world_id and id = b.machine_id and owner is null
          and (placement is null or placement = any($2::text[])) and id <> all($4::uuid[])
        for no key update skip locked
    ) m
    limit $3
), claimed as (
    update machines m set owner = $1, fence = m.fence + 1, due_at = null
    from (select * from timely union select * from called) c
    where m.world_id = c.world_id and m.id = c.id
    returning m.*
)
select c.world_id, c.id, c.kind, c.state, c.name, c.service_id, c.change_id, c.placement, c.version,
       c.fence, c.attempt, c.deadline_at, c.created_at, c.updated_at, c.facts::text as facts,
       c.limited_by, false as turn,
       (select w.version from worlds w where w.world_id = c.world_id) as world_version,
       extract(epoch from c.deadline_at - now())::float8 as remaining,
       (select json_agg(json_build_object('id', b.id, 'trigger', b.trigger, 'actor', b.actor,
                                          'payload', b.payload) order by b.id)::text
        from mailbox b where b.world_id = c.world_id and b.machine_id = c.id
          and exists (select from machines s
                      where s.world_id = c.world_id and s.id = c.id and s.fence = c.fence - 1)) as mail
from claimed c;

-- name: overlooked
-- Whether anything is due that nobody holds: right after a claim that took nothing, because its row was locked.
-- Somebody claims it just now, or writes on it that he waits for it.
select exists (
    select from machines
    where due_at <= now() and owner is null and (placement is null or placement = any($1::text[]))
      and id <> all($2::uuid[])
) or exists (
    select from (select distinct world_id, machine_id from mailbox) b
    join machines m on m.world_id = b.world_id and m.id = b.machine_id
    where m.owner is null and (m.placement is null or m.placement = any($1::text[])) and m.id <> all($2::uuid[])
) as locked;

-- name: get_held
-- A machine that this worker still holds under this fence, with its mail.
select m.world_id, m.id, m.kind, m.state, m.name, m.service_id, m.change_id, m.placement, m.version,
       m.fence, m.attempt, m.deadline_at, m.created_at, m.updated_at, m.facts::text as facts,
       m.limited_by, m.limited_by is not null and m.turn_at is null as turn,
       (select w.version from worlds w where w.world_id = m.world_id) as world_version,
       extract(epoch from m.deadline_at - now())::float8 as remaining,
       (select json_agg(json_build_object('id', b.id, 'trigger', b.trigger, 'actor', b.actor,
                                          'payload', b.payload) order by b.id)::text
        from mailbox b where b.world_id = m.world_id and b.machine_id = m.id) as mail
from machines m where m.world_id = $1 and m.id = $2 and m.owner = $3 and m.fence = $4;

-- name: return_unknown
-- What this worker holds without knowing it (a commit whose answer was lost): due again.
update machines set owner = null, due_at = case when limited_by is null then now() end,
                    turn_at = case when limited_by is not null then coalesce(turn_at, now()) end
where owner = $1 and id <> all($2::uuid[])
returning id;

-- name: let_go
-- What this worker took and does not understand, for others.
update machines set owner = null, due_at = case when limited_by is null then now() end,
                    turn_at = case when limited_by is not null then coalesce(turn_at, now()) end
where owner = $1 and id = any($2::uuid[])
returning id;

-- name: held_mail
-- What has come for the machines that this worker holds.
select b.world_id, b.machine_id, m.fence, b.id, b.trigger, b.actor, b.payload::text as payload
from (select distinct world_id, machine_id from mailbox) k
join machines m on m.world_id = k.world_id and m.id = k.machine_id and m.owner = $1
join mailbox b on b.world_id = k.world_id and b.machine_id = k.machine_id
order by b.id;

-- name: wait_for
-- Write on a machine who waits for it, unless it has settled. Locks its row, so that its own commit comes
-- either before (and this finds it settled) or after (and sees the waiter). Answers where it stands.
update machines set waiters = case when $3::uuid = any(waiters) then waiters else waiters || $3::uuid end
where world_id = $1 and id = $2 and state <> all($4::text[])
returning state;

-- name: get_machine
select world_id, id, kind, state, name, service_id, change_id, placement, version, fence, attempt,
       deadline_at, created_at, updated_at, facts::text as facts
from machines where world_id = $1 and id = $2;

-- name: find_machine
-- By its id alone, over all worlds that are given.
select world_id, id, kind, state, name, service_id, change_id, placement, version, fence, attempt,
       deadline_at, created_at, updated_at, facts::text as facts
from machines where world_id = any($1::bigint[]) and id = $2;

-- name: get_named
select world_id, id, kind, state, name, service_id, change_id, placement, version, fence, attempt,
       deadline_at, created_at, updated_at, facts::text as facts
from machines where world_id = $1 and kind = $2 and name = $3;

-- name: count_ended
-- How many of this kind and name have ended: the generation of the next one. Those too that are forgotten.
select count(*) + coalesce((select number from forgotten f
                            where f.world_id = $1 and f.kind = $2 and f.name = $3), 0) as count
from machines
where world_id = $1 and kind = $2 and name is null and facts ->> 'name' = $3;

-- name: list_kind
select world_id, id, kind, state, name, service_id, change_id, placement, version, fence, attempt,
       deadline_at, created_at, updated_at, facts::text as facts
from machines where world_id = $1 and kind = $2 and ($3::bool or name is not null)
order by name, created_at;

-- name: list_many
select world_id, id, kind, state, name, service_id, change_id, placement, version, fence, attempt,
       deadline_at, created_at, updated_at, facts::text as facts
from machines where world_id = $1 and id = any($2::uuid[]);

-- name: list_deployments
-- Newest first.
select world_id, id, kind, state, name, service_id, change_id, placement, version, fence, attempt,
       deadline_at, created_at, updated_at, facts::text as facts
from machines where world_id = $1 and service_id = $2 and kind = 'deployment'
order by created_at desc, id desc limit $3;

-- name: list_changes_of
-- Of one branch of a repository, those that left services as they were, and not by planning only; newest first.
select world_id, id, kind, state, name, service_id, change_id, placement, version, fence, attempt,
       deadline_at, created_at, updated_at, facts::text as facts
from machines where world_id = $1 and kind = 'change' and facts -> 'source' ->> 'repository' = $2
  and facts -> 'source' ->> 'ref' is not distinct from $3 and jsonb_array_length(facts -> 'unaffected') > 0
  and state <> 'planned'
order by created_at desc limit $4;

-- name: release_dead
-- Return what workers that are dead, or unknown, still hold. By the ids of those: where somebody else returned
-- one first, and it was claimed since, its owner is none of them. (`not in` the living would take it from a
-- worker that registered after this statement began.)
with dead as (
    select distinct h.owner from machines h
    where h.owner is not null
      and not exists (select from workers w where w.id = h.owner and w.died_at is null)
)
update machines m set owner = null, due_at = case when m.limited_by is null then now() end,
                      turn_at = case when m.limited_by is not null then coalesce(m.turn_at, now()) end
from dead d where m.owner = d.owner
returning m.world_id, m.id;
