"""The engine made wrong on purpose: what is changed, where that matters, and what is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from deployd.engine.holding import Holding
from deployd.engine.lease import Lease
from deployd.model.machine import Request
from deployd.store.queries import QUERIES
from tests.model import statements
from tests.model.scenarios import ONE, Scenario
from tests.model.values import Powers

Change = Callable[[pytest.MonkeyPatch], None]


def sql(query: str, before: str, after: str) -> Change:
    """The statement with this in place of that."""

    def change(patch: pytest.MonkeyPatch) -> None:
        assert QUERIES[query].count(before) == 1, f"{query} has no longer: {before}"
        patch.setitem(QUERIES, query, QUERIES[query].replace(before, after))

    return change


def both(group: tuple[str, str], one: tuple[str, str]) -> Change:
    """The statement for many outcomes, and the one for a lone one, which says the same in other words."""

    def change(patch: pytest.MonkeyPatch) -> None:
        sql("commit", *group)(patch)
        sql("commit_one", *one)(patch)

    return change


def function(name: str, before: str, after: str) -> Change:
    """The same for a function of the database."""

    def change(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(statements, "SPOILED", [(name, before, after)])

    return change


def _act_without_a_turn(patch: pytest.MonkeyPatch) -> None:
    async def never(_: Holding) -> bool:
        return False

    patch.setattr(Holding, "_waits_for_a_turn", never)


def commit_looks_for_mail(patch: pytest.MonkeyPatch) -> None:
    """When it lets go; what it finds is due."""
    look = (
        "case when exists (select from mailbox b where b.world_id = m.world_id and b.machine_id = m.id)"
        " then statement_timestamp() end,"
    )
    group = "due_at = case when not s.keep and s.limited_by is null then least("
    one = "due_at = case when not $11 and $13 is null then least("
    both((group, group + look), (one, one + look))(patch)


def _mail_looked_for_by_the_commit(patch: pytest.MonkeyPatch) -> None:
    """And a claim looks at the time alone."""
    commit_looks_for_mail(patch)
    sql("claim", "select * from timely union select * from called", "select * from timely")(patch)


def _the_living_are_buried(patch: pytest.MonkeyPatch) -> None:
    for before in ("case when alive_at < now()", "and (alive_at < now()"):
        after = before.replace("< now()", "<= now() + interval '1 day'")
        sql("bury", before, after)(patch)


def _mail_without_its_fence(patch: pytest.MonkeyPatch) -> None:
    deliver = Holding.deliver

    def delivered(self: Holding, mail: tuple[Request, ...], _: int) -> None:
        deliver(self, mail, self.machine.fence)

    patch.setattr(Holding, "deliver", delivered)


def _what_was_answered_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """What an earlier try answered is not remembered."""
    reload = Holding._reload

    async def reloaded(self: Holding) -> bool:
        held = await reload(self)
        self._answered.clear()
        return held

    patch.setattr(Holding, "_reload", reloaded)


def _a_lease_that_never_ends(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Lease, "held", True)


_STILL = Powers(time=False, crash=False)
_LATE = Scenario(posts=("cancel",), powers=Powers(late=True))
_LOST = Scenario(faults=1, powers=Powers(crash=False))
_PAIR = Scenario(processes="AB")
_PARENT = Scenario("P", powers=_STILL)
_STALE = Scenario(faults=1, deadline=2)
_TURNS = Scenario("MN", gate=ONE, state="releasing", powers=Powers(crash=False))
_MAILED = replace(_TURNS, posts=("wake",))

TEETH: dict[str, tuple[Change, Scenario, str]] = {
    "a commit does not look at the version": (
        both(("m.version = s.version and", ""), ("m.version = $3 and", "$3::bigint is not null and")),
        _LOST,
        "had moved on",
    ),
    "a commit does not look at the fence": (
        both(("and m.fence = s.fence", ""), ("and m.fence = $4", "and $4::bigint is not null")),
        _STALE,
        "claimed anew",
    ),
    "a commit does not look at the owner": (
        both(
            ("and m.owner is not distinct from s.owner", ""),
            ("and m.owner is not distinct from $7::uuid", "and $7::uuid is not null"),
        ),
        _PAIR,
        "which None holds",
    ),
    "a claim does not raise the fence": (
        sql("claim", "fence = m.fence + 1", "fence = m.fence"),
        _STALE,
        "claimed anew",
    ),
    "a claim takes what is held": (
        sql("claim", "where due_at <= now() and owner is null", "where coalesce(due_at, now()) <= now()"),
        _PAIR,
        "under a good lease",
    ),
    "the commit looks for mail, not the claim": (
        _mail_looked_for_by_the_commit,
        Scenario(posts=("wake",)),
        "nothing that may happen ends it well",
    ),
    "a step that does not count consumes its mail": (
        sql("commit", "where c.ord in (select ord from moved)\n    ))", "))"),
        Scenario(posts=("cancel",), processes="AB"),
        "of the mail",
    ),
    "a commit consumes all mail": (
        sql("commit", "and m.machine_id = c.machine_id and m.id = c.id", "and m.machine_id = c.machine_id"),
        Scenario(posts=("wake", "cancel")),
        "of the mail",
    ),
    "a step that does not count bears children": (
        sql(
            "commit",
            "where b.parent is null or b.parent in (select ord from moved)\n    on",
            "where true\n    on",
        ),
        Scenario("P"),
        "were written, not []",
    ),
    "what the living hold is returned": (
        sql(
            "release_dead",
            "and not exists (select from workers w where w.id = h.owner and w.died_at is null)",
            "",
        ),
        _PAIR,
        "under a good lease",
    ),
    "nothing of the dead is returned": (
        sql("release_dead", "where h.owner is not null", "where false"),
        Scenario(),
        "nothing that may happen ends it well",
    ),
    "the living are buried": (
        _the_living_are_buried,
        _PAIR,
        "under a good lease",
    ),
    "who waits is not written down": (
        sql("wait_for", "waiters || $3::uuid end", "waiters end"),
        _PARENT,
        "does not know it",
    ),
    "who waits is not told": (
        both(*[("where cardinality(m.woken) > 0", "where false")] * 2),
        _PARENT,
        "mail {} came",
    ),
    "seq has gaps": (
        both(
            ("seq = h.seq + t.n", "seq = h.seq + t.n + 1"),
            ("is not null then 1 else 0 end", "is not null then 2 else 1 end"),
        ),
        Scenario(),
        "seq is",
    ),
    "the clock is believed": (
        both(*[("then greatest(h.at, clock_timestamp())", "then clock_timestamp()")] * 2),
        Scenario(),
        "went back",
    ),
    "late mail is taken by a later claim": (_mail_without_its_fence, _LATE, "consumed a second time"),
    "a holder that read its machine anew forgets what it answered": (
        _what_was_answered_is_forgotten,
        Scenario(posts=("cancel",), faults=1, powers=Powers(late=True, crash=False, time=False)),
        "consumed a second time",
    ),
    "a lease never ends": (_a_lease_that_never_ends, _PAIR, "under a good lease"),
} | {
    "turns are not counted": (
        function("take_turns", "free := greatest(0, free - (", "free := greatest(0, free - 0 * ("),
        replace(_TURNS, processes="AB"),
        "were free",
    ),
    "who waits is counted as if it worked": (
        function("take_turns", "and h.turn_at is null\n              and h.owner is not null", ""),
        _TURNS,
        "were free",
    ),
    "turns go by chance": (
        function("take_turns", "order by m.turn_at\n", "order by m.turn_at desc\n"),
        _TURNS,
        "were free",
    ),
    "a turn that was taken is not written down": (
        function("take_turns", "due_at = null, turn_at = null", "due_at = null"),
        _TURNS,
        "than was said",
    ),
    "the time of waiting counts": (
        function("take_turns", "m.deadline_at + greatest(now() - mine.since, interval '0')", "m.deadline_at"),
        replace(_TURNS, deadline=1),
        "moved without an outcome",
    ),
    "what waits for a turn is not seen": (
        sql("list_waiting", "m.turn_at <= now()", "m.turn_at > now()"),
        _TURNS,
        "nothing that may happen ends it well",
    ),
    "mail of who waits for a turn is not looked at": (
        sql(
            "claim",
            "and owner is null\n          and (pl",
            "and owner is null and turn_at is null\n          and (pl",
        ),
        _MAILED,
        "wait for a turn",
    ),
    "who is claimed for its mail has a turn": (
        sql(
            "claim",
            "fence = m.fence + 1, due_at = null",
            "fence = m.fence + 1, due_at = null, turn_at = null",
        ),
        _MAILED,
        "have a turn",
    ),
    "who is claimed for its mail acts": (_act_without_a_turn, _MAILED, "has no turn"),
    "who is read anew has a turn": (
        sql("get_held", "m.limited_by is not null and m.turn_at is null as turn", "true as turn"),
        Scenario("M", posts=("cancel", "wake"), faults=1, state="releasing", gate=ONE, powers=_STILL),
        "has no turn",
    ),
    "who answers its mail goes to the end": (
        both(*[("when m.turn_at is not null\n", "when false\n")] * 2),
        _MAILED,
        "lost its place",
    ),
    "who goes on loses its turn": (
        both(
            ("when s.limited_by is null or s.turn then null", "when s.limited_by is null then null"),
            ("when $13 is null or $15 then null", "when $13 is null then null"),
        ),
        replace(_TURNS, posts=("cancel",)),
        "has no turn",
    ),
    "who looks again later keeps its turn": (
        both(
            ("when s.limited_by is null or s.turn then null", "when m.turn_at is null then null"),
            ("when $13 is null or $15 then null", "when m.turn_at is null then null"),
        ),
        _TURNS,
        "held by nobody and never due",
    ),
    "who ends keeps its turn": (
        both(
            ("limited_by = s.limited_by,", "limited_by = coalesce(s.limited_by, m.limited_by),"),
            ("limited_by = $13,", "limited_by = coalesce($13, m.limited_by),"),
        ),
        _TURNS,
        "takes one in vain",
    ),
    "a dead worker's turn is not given back": (
        sql("release_dead", "then coalesce(m.turn_at, now()) end", "then m.turn_at end"),
        _TURNS,
        "held by nobody and never due",
    ),
    "a turn whose answer was lost is not given back": (
        sql("return_unknown", "then coalesce(turn_at, now()) end", "then turn_at end"),
        replace(_TURNS, faults=1),
        "held by nobody and never due",
    ),
}
