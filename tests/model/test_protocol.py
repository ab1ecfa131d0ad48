"""The protocol is right in every interleaving of every scenario; where it is made wrong, that is found."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from deployd.engine.holding import Holding
from deployd.engine.lease import Lease
from deployd.model.machine import Request
from deployd.store.queries import QUERIES
from tests.model import jobs
from tests.model.acting import Actors
from tests.model.explorer import Explored, explore
from tests.model.network import Network
from tests.model.scenarios import QUICK, WHOLE, Scenario
from tests.model.statements import Statements
from tests.model.values import Powers

_ALL = QUICK | WHOLE if os.environ.get("DEPLOYD_CHAOS") == "whole" else QUICK


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def explored(connection: asyncpg.Connection, scenario: Scenario) -> Explored:
    statements = await Statements.on(connection)
    actors = Actors(statements.world_id, jobs.runners(scenario.deadline))
    return await explore(Network(statements, actors, scenario.powers), scenario.first)


@pytest.mark.parametrize("name", list(_ALL))
async def test_every_rule_holds_in_every_interleaving(connection: asyncpg.Connection, name: str) -> None:
    seen = await explored(connection, _ALL[name])
    print(f"{name}: {seen}")
    assert seen.wrong is None, str(seen)
    assert seen.states > 200


# -- teeth

Change = Callable[[pytest.MonkeyPatch], None]


def sql(query: str, before: str, after: str) -> Change:
    """The statement with this in place of that."""

    def change(patch: pytest.MonkeyPatch) -> None:
        assert QUERIES[query].count(before) == 1, f"{query} has no longer: {before}"
        patch.setitem(QUERIES, query, QUERIES[query].replace(before, after))

    return change


def _mail_looked_for_by_the_commit(patch: pytest.MonkeyPatch) -> None:
    """A commit that lets go looks whether there is mail; a claim looks at the time alone."""
    sql(
        "commit",
        "due_at = case when not s.keep and s.limited_by is null then least(",
        "due_at = case when not s.keep and s.limited_by is null then least("
        "case when exists (select from mailbox b where b.world_id = m.world_id and b.machine_id = m.id)"
        " then statement_timestamp() end,",
    )(patch)
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


_LATE = Scenario(posts=("cancel",), powers=Powers(late=True))
_LOST = Scenario(faults=1, powers=Powers(crash=False))
_PAIR = Scenario(processes="AB")
_PARENT = Scenario("P", powers=Powers(time=False, crash=False))
_STALE = Scenario(faults=1, deadline=2)

TEETH: dict[str, tuple[Change, Scenario, str]] = {
    "a commit does not look at the version": (
        sql("commit", "m.version = s.version and", ""),
        _LOST,
        "had moved on",
    ),
    "a commit does not look at the fence": (
        sql("commit", "and m.fence = s.fence", ""),
        _STALE,
        "claimed anew",
    ),
    "a commit does not look at the owner": (
        sql("commit", "and m.owner is not distinct from s.owner", ""),
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
        sql("commit", "where cardinality(m.woken) > 0", "where false"),
        _PARENT,
        "mail {} came",
    ),
    "seq has gaps": (
        sql("commit", "seq = h.seq + t.n", "seq = h.seq + t.n + 1"),
        Scenario(),
        "seq is",
    ),
    "the clock is believed": (
        sql("commit", "then greatest(h.at, clock_timestamp())", "then clock_timestamp()"),
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
}


@pytest.mark.parametrize("name", list(TEETH))
async def test_what_is_made_wrong_is_found(
    connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    change, scenario, wrong = TEETH[name]
    change(monkeypatch)
    seen = await explored(connection, scenario)
    print(f"{name}: {seen}")
    assert seen.wrong is not None, str(seen)
    assert wrong in seen.wrong, str(seen)
    assert seen.trace
