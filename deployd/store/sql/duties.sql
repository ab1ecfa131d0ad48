-- name: plan_duties
-- Those that are not known yet: $1 names, $2 places, $3 seconds until they are first due.
insert into duties (name, place, due_at)
select n.name, n.place, now() + n.seconds * interval '1 s'
from unnest($1::text[], $2::text[], $3::float8[]) as n (name, place, seconds)
on conflict do nothing;

-- name: take_duty
-- Its row, once it is ours for $3 seconds: it is due (or asked for, $4), and nobody is at it.
update duties set busy_until = now() + $3::float8 * interval '1 s'
where name = $1 and place = $2 and (busy_until is null or busy_until < now()) and ($4 or due_at <= now())
returning name;

-- name: end_duty
update duties set busy_until = null, last_at = now(), due_at = now() + $3::float8 * interval '1 s',
    seconds = $4, outcome = $5, summary = $6, counted = $7::text::jsonb
where name = $1 and place = $2;

-- name: forget_duties
-- Of hosts that nobody has worked on since they were due, before $1.
with old as materialized (
    select d.name, d.place from duties d
    where d.place <> '' and d.due_at < $1
      and not exists (select from workers w where w.host = d.place and w.died_at is null)
    limit $2
), gone as (
    delete from duties d using old o where not $3::bool and d.name = o.name and d.place = o.place
)
select count(*) as gone from old;

-- name: leave_duty
-- It was not done after all: somebody else may at once.
update duties set busy_until = null where name = $1 and place = $2;

-- name: list_duties
-- Those of the database and those of a place ($1; null: of all places).
select name, place, due_at, last_at, seconds, outcome, coalesce(summary, '') as summary,
       counted::text as counted, coalesce(busy_until > now(), false) as busy,
       extract(epoch from now() - due_at)::float8 as overdue,
       place = '' or exists (select from workers w where w.host = place and w.died_at is null) as living
from duties where $1::text is null or place in ('', $1) order by name, place;
