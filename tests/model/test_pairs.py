"""Every pair of the engine's statements at the same time, on the real server.

The explorer takes a statement for one moment. That it is one is shown here: the first statement has run in
a transaction that is still open, the second begins, and finishes or waits for the first one's locks; then
the first commits, or rolls back. What both said and what the tables say must be what one of the two orders
comes to, one after the other (or, where the first was rolled back, the second alone).

A claim is held up in its middle as well, between its snapshot and its locks, while others act and commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import asyncpg
import pytest
from msgspec import structs

from deployd.model.machine import Machine
from deployd.store import commit, workers
from deployd.store.commit import Batch, Birth, Post, Step
from deployd.store.queries import QUERIES
from tests.model.calls import CALLS
from tests.model.statements import Statements
from tests.model.tables import BASE, FACTS, NEW
from tests.model.teeth import commit_looks_for_mail
from tests.model.values import FAR, Letter, Peer, Row, Tables, Turn, kind_of, uid

SITUATION = Tables(
    machines=(
        Row("B", "releasing", "B0", None, FAR, limited=True),  # with one of two turns
        Row("C", "releasing", "A0", None, FAR, ("M",)),  # a child; what settles it pokes M
        Row("D", "releasing", "X0", None, FAR),  # of a dead worker
        Row("M", "releasing", "A0", None, FAR),
        Row("N", "queued", None, 0, FAR),
        Row("P", "applying", "B0", None, FAR),
        Row("S", "releasing", None, None, FAR, limited=True, turn=Turn(0, 0)),  # these wait for one
        Row("T", "releasing", None, None, FAR, limited=True, turn=Turn(0, 1)),
        Row("U", "releasing", "A0", None, FAR, limited=True, turn=Turn(0, 2)),  # held for its mail only
        Row("W", "queued", None, FAR, FAR),  # not due but for its mail
    ),
    mail=(Letter("M", 1, "cancel"), Letter("M", 2, "wake"), Letter("W", 3, "wake"), Letter("T", 4, "wake")),
    workers=(Peer("A0", 2, False), Peer("B0", 0, False), Peer("X0", 0, True)),
)
Call = Callable[[Statements], Awaitable[tuple[Any, ...]]]


def step(name: str, owner: str, state: str, to: str | None, *, fence: int = 0, **more: Any) -> Step:
    then = datetime(2026, 1, 1, tzinfo=UTC)
    kind = kind_of(name)
    machine = Machine(
        0,
        uid(name),
        kind,
        state,
        None,
        None,
        None,
        None,
        BASE,
        BASE + fence,
        0,
        None,
        then,
        then,
        FACTS[kind],
    )
    more.setdefault("keep", False)
    return Step(machine, uid(owner), None if to is None else "go", to or state, actor="deployd", **more)


def commits(*steps: Step, births: tuple[str, ...] = (), posts: tuple[str, ...] = ()) -> Call:
    async def call(db: Statements) -> tuple[Any, ...]:
        batch = Batch(
            [structs.replace(one, machine=replace(one.machine, world_id=db.world_id)) for one in steps],
            [
                Birth(db.world_id, uid(one), kind_of(one), "queued", FACTS[kind_of(one)], "person:ada")
                for one in births
            ],
            [Post(db.world_id, uid(one), "cancel", "person:ada") for one in posts],
        )
        applied = await commit.write(db.connection, batch)
        return *(one and bool(one.woken) for one in applied), len(batch.born)

    return call


def calls(name: str, *args: Any) -> Call:
    async def call(db: Statements) -> tuple[Any, ...]:
        answer = await CALLS[name][1](db, *args)
        return answer if isinstance(answer, tuple) else (answer,)

    return call


async def _end(db: Statements) -> tuple[Any, ...]:
    await workers.end(db, uid("A0"))  # type: ignore[arg-type]
    return ()


SOON = timedelta()
STATEMENTS: dict[str, Call] = {
    "A claims": calls("claim", "A0"),
    "B claims": calls("claim", "B0"),
    "A reads its mail": calls("held_mail", "A0"),
    "A reads M anew": calls("get_held", "M", "A0", 0),
    "A commits M and keeps it": commits(step("M", "A0", "releasing", "verifying", keep=True, consumed=(2,))),
    "A commits M and lets it go": commits(
        step("M", "A0", "releasing", "cancelling", due=SOON, consumed=(1,))
    ),
    "A looks at C again later": commits(step("C", "A0", "releasing", None, due=FAR * timedelta(hours=1))),
    "A commits M by an old fence": commits(step("M", "A0", "releasing", "failed", fence=-1, consumed=(1,))),
    "A settles C": commits(step("C", "A0", "releasing", "failed", settled=True)),
    "X, which is dead, commits D": commits(step("D", "X0", "releasing", "verifying", keep=True)),
    "X, which is dead, lets D go": commits(step("D", "X0", "releasing", "verifying", due=SOON)),
    "A settles C and commits M": commits(
        step("C", "A0", "releasing", "succeeded", settled=True),
        step("M", "A0", "releasing", "cancelling", consumed=(1, 2)),
    ),
    "K is born": commits(births=("K",)),
    "K and L are born": commits(births=("L", "K")),
    "somebody posts to M": commits(posts=("M",)),
    "somebody posts to N and W": commits(posts=("W", "N")),
    "P waits for C": calls("wait_for", "P"),
    "A beats": calls("beat", "A0"),
    "A takes turns": calls("take_turns", "A0"),
    "B takes turns": calls("take_turns", "B0"),
    "A reads what it has taken": calls("get_taken", "A0", ("S", "T", "U")),
    "B commits B and keeps its turn": commits(
        step("B", "B0", "releasing", "cancelling", keep=True, limited_by="main", turn=True)
    ),
    "B gives its turn back": commits(step("B", "B0", "releasing", None, limited_by="main", due=SOON)),
    "A commits U, which keeps its place, and M, which asks for a turn": commits(
        step("M", "A0", "releasing", "cancelling", limited_by="main", due=SOON, consumed=(1,)),
        step("U", "A0", "releasing", None, limited_by="main", due=SOON),
    ),
    "the silent are buried": calls("bury"),
    "the dead let go": calls("release_dead"),
    "A returns what it does not know": calls("return_unknown", "A0", ("M",)),
    "A ends": _end,
    "Z registers": calls("add", "Z0"),
}
CLAIMS = ("A claims", "B claims", "A takes turns", "B takes turns")
"""They leave what is locked to the next claim, which therefore follows in every order."""


class Sessions:
    """Two sessions, and one that prepares and looks."""

    def __init__(self, one: Statements, two: Statements, control: Statements) -> None:
        self.one, self.two, self.control = one, two, control
        self._pid = two.connection.get_server_pid()
        self._serial: dict[tuple[str, ...], Any] = {}

    async def serially(self, *names: str) -> Any:
        """One after the other: what each says by its name, and what the tables say then."""
        if names not in self._serial:
            await self.control.restore(SITUATION)
            answers: dict[str, Any] = {}
            for name in names:
                answers[name] = _both(answers.get(name, ()), await STATEMENTS[name](self.one))
            self._serial[names] = await self._seen(answers)
        return self._serial[names]

    async def at_once(self, first: str, second: str, *, counts: bool) -> tuple[Any, bool]:
        """The second begins while the first one's transaction is open; then that commits, or rolls back.
        Also whether the second had to wait.
        """
        await self.control.restore(SITUATION)
        transaction = self.one.connection.transaction()
        await transaction.start()
        answers: dict[str, Any] = {}
        said = await STATEMENTS[first](self.one)
        other = asyncio.ensure_future(STATEMENTS[second](self.two))
        waited = await self.until_blocked(other)
        if counts:
            await transaction.commit()
            answers = {first: said}
        else:
            await transaction.rollback()
        answers[second] = await other
        for name in (first, second) if counts else (second,):
            if name in CLAIMS:
                answers[name] = _both(answers[name], await STATEMENTS[name](self.two))
        return await self._seen(answers), waited

    async def until_blocked(self, other: asyncio.Future[Any]) -> bool:
        """Until it is done (False), or waits for a lock."""
        while not (await asyncio.wait({other}, timeout=0.001))[0]:
            if await self.control.connection.fetchval(
                "select cardinality(pg_blocking_pids($1)) > 0", self._pid
            ):
                return True
        return False

    async def _seen(self, answers: dict[str, Any]) -> Any:
        ran = await self.control.look(SITUATION, None, statements=3)
        new = [(one.machine, one.trigger) for one in ran.after.mail if one.id >= NEW]
        old = [one for one in ran.after.mail if one.id < NEW]
        tables = ran.after._replace(mail=())
        return answers, tables, old, sorted(new), ran.risen, sorted(map(str, ran.news))


def _both(before: tuple[Any, ...], more: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a claim and the next one took."""
    return tuple(sorted(before + more)) if before and more else before + more


@pytest.fixture
async def sessions(dsn: str) -> AsyncIterator[Sessions]:
    connections = [await asyncpg.connect(dsn) for _ in range(3)]
    control = await Statements.on(connections[0], limit=2)
    one, two = (Statements(connection, control.world_id) for connection in connections[1:])
    yield Sessions(one, two, control)
    for connection in connections:
        await connection.close()


async def differing(sessions: Sessions, pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Those of the pairs that come to what neither order comes to."""
    wrong = []
    for first, second in pairs:
        again = [name for name in (first, second) if name in CLAIMS]
        seen, waited = await sessions.at_once(first, second, counts=True)
        # What both orders come to is so found in the same one, whichever of the two began: the other need not
        # be tried.
        orders = [(*order, *again) for order in sorted([(first, second), (second, first)])]
        if seen != await sessions.serially(*orders[0]) and seen != await sessions.serially(*orders[1]):
            both = [await sessions.serially(*order) for order in orders]
            wrong.append(f"{first}, and meanwhile {second}:\n  {seen}\nis neither of\n  {both}")
        if waited:  # what has not waited has not seen it either
            alone = await sessions.serially(second, *(name for name in again if name == second))
            seen, _ = await sessions.at_once(first, second, counts=False)
            if seen != alone:
                wrong.append(f"{first}, rolled back, and meanwhile {second}:\n  {seen}\nis not\n  {alone}")
    return wrong


@pytest.mark.parametrize("half", [0, 1])
async def test_whatever_is_done_at_once_is_as_if_one_came_before_the_other(
    sessions: Sessions, half: int
) -> None:
    pairs = list(combinations(STATEMENTS, 2))[half::2]
    assert await differing(sessions, [*pairs, *((two, one) for one, two in pairs)]) == []


async def test_a_waiter_by_a_state_that_was_not_read_under_the_lock_is_found(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = "(select s.state from machines s where s.world_id = $1 and s.id = $2) <> all"
    monkeypatch.setitem(QUERIES, "wait_for", QUERIES["wait_for"].replace("state <> all", beside))
    assert len(await differing(sessions, [("A settles C", "P waits for C")])) == 1


async def test_a_claim_that_looks_before_it_locks_is_found(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = QUERIES["claim"].replace("limit $3\n    for no key update skip locked", "limit $3")
    assert looks != QUERIES["claim"]
    monkeypatch.setitem(QUERIES, "claim", looks)
    assert len(await differing(sessions, [("A claims", "B claims")])) == 1


async def test_turns_that_are_counted_by_the_statement_that_locks_the_gate_are_too_many(
    sessions: Sessions,
) -> None:
    """It sees what was there before it waited for the lock."""
    made = await sessions.control.connection.fetchval("select pg_get_functiondef('take_turns'::regproc)")
    lock = "perform from worlds w where w.world_id = world for no key update;"
    count = "h.turn_at is null\n              and h.owner is not null));"
    assert made.count(lock) == made.count(count) == 1
    locked = "with gate as materialized (select from worlds w where w.world_id = world for no key update)"
    both = made.replace(lock, "").replace(
        "select count(*) from machines h\n", f"{locked} select count(*) from machines h cross join gate\n"
    )
    await sessions.control.connection.execute(both)
    assert len(await differing(sessions, [("A takes turns", "B takes turns")])) == 1


async def test_mail_that_the_commit_looks_for_is_lost(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where a post makes due whatever nobody holds: each may look before the other has committed."""
    commit_looks_for_mail(monkeypatch)
    monkeypatch.setitem(
        QUERIES,
        "post",
        "with posted as (insert into mailbox (world_id, machine_id, trigger, actor)"
        " values ($1, $2, 'cancel', 'person:ada'))"
        " update machines set due_at = now() where world_id = $1 and id = $2 and owner is null",
    )

    async def post(db: Statements) -> tuple[object, ...]:
        await db.execute("post", db.world_id, uid("C"))
        return ()

    monkeypatch.setitem(STATEMENTS, "somebody posts to C", post)
    assert len(await differing(sessions, [("somebody posts to C", "A looks at C again later")])) == 1


async def test_a_claim_that_was_held_up_does_not_bring_mail_that_was_answered_meanwhile(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B's claim has its snapshot, and is held up before its locks. A claims the same machine, answers its
    mail and lets it go. Then B's claim goes on.
    """
    held_up = "(select distinct world_id, machine_id from mailbox)"
    assert held_up in QUERIES["claim"]
    gate = "(select distinct world_id, machine_id from mailbox, pg_advisory_xact_lock_shared(77))"
    await sessions.control.restore(SITUATION)
    await sessions.control.connection.execute("select pg_advisory_lock(77)")
    with monkeypatch.context() as patch:
        patch.setitem(QUERIES, "claim", QUERIES["claim"].replace(held_up, gate))
        claiming = asyncio.ensure_future(STATEMENTS["B claims"](sessions.two))
        assert await sessions.until_blocked(claiming)
    taken = {held.name: held for held in await STATEMENTS["A claims"](sessions.one)}
    assert taken["W"].mail == ((3, "wake"),)
    answered = step("W", "A0", "queued", "fetching", fence=1, consumed=(3,))
    assert await commits(answered)(sessions.one) == (False, 0)
    await sessions.control.connection.execute("select pg_advisory_unlock(77)")
    assert {held.name: held.mail for held in await claiming} == {"N": (), "W": ()}


@pytest.mark.parametrize(("gate", "given"), [(True, ["S"]), (False, ["S", "T"])])
async def test_turns_are_counted_under_the_lock_of_the_gate(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch, gate: bool, given: list[str]
) -> None:
    """Of two turns one is free. B has counted, and is held up before it takes one; A takes turns meanwhile.
    Had B not locked the gate, both would take one.
    """
    control = sessions.control.connection
    made = await control.fetchval("select pg_get_functiondef('take_turns'::regproc)")
    lock, counted = "perform from worlds w where w.world_id = world for no key update;", "return query"
    assert made.count(lock) == made.count(counted) == 1
    made = made.replace("take_turns", "held_up").replace(
        counted, f"perform pg_advisory_xact_lock_shared(77);\n    {counted}"
    )
    await control.execute(made if gate else made.replace(lock, ""))
    await sessions.control.restore(SITUATION)
    await control.execute("select pg_advisory_lock(77)")
    with monkeypatch.context() as patch:
        patch.setitem(QUERIES, "take_turns", QUERIES["take_turns"].replace("from take_turns", "from held_up"))
        counting = asyncio.ensure_future(STATEMENTS["B takes turns"](sessions.two))
        assert await sessions.until_blocked(counting)
    other = asyncio.ensure_future(STATEMENTS["A takes turns"](sessions.one))
    await asyncio.wait({other}, timeout=0.2 if gate else 10)
    assert other.done() != gate
    await control.execute("select pg_advisory_unlock(77)")
    assert sorted([*await counting, *await other]) == given
