-- name: add_audit
insert into audit (world_id, id, phase, actor, action, arguments, code, message)
values ($1, $2, $3, $4, $5, $6::text::jsonb, $7, $8);

-- name: read_audit
-- Newest first, one row for each request: when it was asked, and what it came to. Of worlds, and of an actor
-- where one is named.
select a.world_id, a.id, a.at, a.actor, a.action, a.arguments::text as arguments,
       coalesce(b.phase, a.phase) as phase, b.at as ended_at,
       coalesce(b.code, a.code) as code, coalesce(b.message, a.message) as message
from audit a
left join lateral (
    select phase, at, code, message from audit e
    where e.world_id = a.world_id and e.id = a.id and e.phase <> 'asked' and a.phase = 'asked'
    order by e.at limit 1
) b on true
where a.world_id = any($1::bigint[])
  and (a.phase = 'asked' or a.phase = 'refused' and not exists (
      select from audit s where s.world_id = a.world_id and s.id = a.id and s.phase = 'asked'))
  and ($2::text is null or a.actor = $2)
  and (a.at, a.id) < ($3, $4)
order by a.at desc, a.id desc limit $5;

-- name: begin_request
-- The first who comes with a key has it for half a minute; so has the next one after that, where no answer
-- was kept. Always one row: `mine` says whether it is ours to carry out.
with taken as (
    insert into idempotency_keys as k (world_id, actor, key, digest, id, busy_until)
    values ($1, $2, $3, $4, $5, now() + interval '30 seconds')
    on conflict (world_id, actor, key) do update
        set busy_until = excluded.busy_until
        where k.answer is null and k.digest = excluded.digest
          and (k.busy_until is null or k.busy_until < now())
    returning id, digest, answer::text as answer
)
select id, digest, answer, true as mine from taken
union all
select id, digest, answer::text, false from idempotency_keys
where world_id = $1 and actor = $2 and key = $3 and not exists (select from taken);

-- name: end_request
-- Without an answer it is free for another try.
update idempotency_keys set answer = $4::text::jsonb, busy_until = null
where world_id = $1 and actor = $2 and key = $3 and answer is null;
