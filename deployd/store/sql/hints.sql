-- name: hint
-- In a cheap transaction of its own, after the commit: it may be lost.
select pg_notify('deployd', $1);
