"""The engine's statements, run on a database that is made to say exactly what a value says.

The answer of a statement depends on the tables and on its arguments alone: each pair is run once, on the real
server, and remembered. What must hold for every statement by itself is checked as it is run: `seq` without
gaps, `at` never going back (the head is set ahead of the clock, as after a clock that was put back),
`version` and `fence` rising by one at most, and never falling.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, NamedTuple

import asyncpg

from deployd.store.queries import QUERIES
from tests.model.tables import BASE, LOOK, RESTORE, rows_of, written
from tests.model.values import Letter, Peer, Tables, name_of

SPOILED: list[tuple[str, str, str]] = []
"""Functions of the database that are made wrong on purpose: name, what is replaced, by what."""


_WRITES = re.compile(r"\b(insert|update|delete|perform)\b")


class Violation(Exception):
    """A rule that does not hold."""


class News(NamedTuple):
    """A transition that a statement wrote."""

    machine: str
    trigger: str
    from_state: str | None
    to_state: str
    actor: str


class Ran(NamedTuple):
    """What a statement did and said."""

    after: Tables
    answer: Any
    risen: tuple[tuple[str, int, int], ...]
    """Machines whose version or fence rose, and by how much."""
    news: tuple[News, ...]


class Statements:
    """Use as the `db` of functions in deployd.store. `world_id` is the world of all machines."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record], world_id: int) -> None:
        self._connection, self.world_id = connection, world_id
        self._known: dict[Hashable, Ran] = {}
        self._functions: dict[str, str] = {}
        self._names: dict[str, tuple[bool, bool, bool, bool]] = {}
        self._said: Tables | None = None
        self.ran = 0

    @classmethod
    async def on(cls, connection: asyncpg.Connection[asyncpg.Record], limit: int | None = None) -> Statements:
        """On a migrated database of its own, with the world `local`, which limits jobs or does not."""
        await connection.execute("set synchronous_commit = off")
        await connection.execute(RESTORE)
        world = await connection.fetchval("select world_id from worlds where name = 'local'")
        await connection.execute("delete from world_heads where world_id <> $1", world)
        await connection.execute(
            "update worlds set capabilities = jsonb_set(capabilities, '{main,limit}', $2::text::jsonb)"
            " where world_id = $1",
            *(world, json.dumps(limit)),
        )
        for name, before, after in SPOILED:
            made = await connection.fetchval("select pg_get_functiondef($1::text::regproc)", name)
            assert made.count(before) == 1, f"{name} has no longer: {before}"
            await connection.execute(made.replace(before, after))
        statements = cls(connection, world)
        statements._functions["take_turns"] = await connection.fetchval(
            "select prosrc from pg_proc where proname = 'take_turns'"
        )
        return statements

    async def fetch(self, query: str, *args: Any) -> Sequence[asyncpg.Record]:
        """A named query, as a Database runs it."""
        return await self._connection.fetch(QUERIES[query], *args)

    async def execute(self, query: str, *args: Any) -> None:
        """Likewise."""
        await self.fetch(query, *args)

    @property
    def connection(self) -> asyncpg.Connection[asyncpg.Record]:
        """The session."""
        return self._connection

    async def run(
        self,
        before: Tables,
        query: str,
        key: Hashable,
        call: Callable[[Statements], Awaitable[Any]],
        check: Callable[[Tables, Ran], None],
    ) -> Ran:
        """What the call, which runs the query, does to these tables; it is known by `key`, and checked once.
        Its answer is made of plain values. Tables that the query's text does not name cannot matter to it,
        and are left away.
        """
        machines, mail, workers, writes = self._named(query)
        seen = Tables(
            before.machines if machines else (),
            before.mail if mail else (),
            before.workers if workers else (),
        )
        ran = self._known.get((seen, query, key))
        if ran is None:
            if self._said != before:  # what changed nothing leaves it for the next
                await self.restore(before)
            answer = await call(self)
            ran = await self.look(before, answer) if writes else Ran(before, answer, (), ())
            self._known[seen, query, key] = ran
            self._said = before if ran == Ran(before, answer, (), ()) else None
            check(before, ran)
        after = Tables(
            ran.after.machines if machines else before.machines,
            ran.after.mail if mail else before.mail,
            ran.after.workers if workers else before.workers,
        )
        return Ran(after, ran.answer, ran.risen, ran.news)

    def _named(self, query: str) -> tuple[bool, bool, bool, bool]:
        """Whether its text names machines, mail, workers, or anything that writes."""
        named = self._names.get(query)
        if named is None:
            sql = QUERIES[query] + self._functions.get(query, "")
            named = "machines" in sql, "mailbox" in sql, "workers" in sql, _WRITES.search(sql) is not None
            self._names[query] = named
        return named

    async def restore(self, said: Tables) -> None:
        """Make the database say it."""
        self.ran += 1
        if self.ran % 50 == 0:  # else each statement would walk over what the ones before left
            await self._connection.execute("vacuum machines, mailbox, workers, transitions, world_heads")
        await self._connection.fetchval("select model_restore($1::text::jsonb)", written(self.world_id, said))

    async def look(self, before: Tables, answer: Any, statements: int = 1) -> Ran:
        """What the database says now, so many statements later."""
        text = await self._connection.fetchval(LOOK, self.world_id)
        said = json.loads(text)
        rows = said["machines"] or []
        after = Tables(
            rows_of(rows),
            tuple(Letter(name_of(one["machine"]), one["id"], one["trigger"]) for one in said["mail"] or []),
            tuple(
                Peer(name_of(one["id"]), min(round(one["silent"]), 2), one["dead"])
                for one in said["workers"] or []
            ),
        )
        risen = []
        for one in rows:
            born = before.row(name_of(one["id"])) is None
            version, fence = (one[what] - (0 if born else BASE) for what in ("version", "fence"))
            if not 0 <= version <= statements or not 0 <= fence <= statements:
                raise Violation(f"version rose by {version} and fence by {fence}")
            if version or fence:
                risen.append((name_of(one["id"]), version, fence))
        news = said["transitions"] or []
        if [one["seq"] for one in news] != list(range(1, said["seq"] + 1)):
            raise Violation(f"seq is {said['seq']} after {[one['seq'] for one in news]}")
        if not said["at"] or not all(one["late"] for one in news):
            raise Violation("`at` went back")
        return Ran(
            after,
            answer,
            tuple(risen),
            tuple(
                News(name_of(one["machine"]), one["trigger"], one["from"], one["to"], one["actor"])
                for one in news
            ),
        )
