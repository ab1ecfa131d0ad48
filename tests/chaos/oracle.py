"""What must hold once every fault is over and all has come to rest. Each check answers what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from deployd.engine.copies import copies
from deployd.machines import RUNNERS
from deployd.model.facts import ResourceFacts, ServiceFacts
from deployd.model.machine import Machine
from deployd.model.state import MachineKind
from deployd.store import machines, releases
from deployd.store.database import Database
from tests.chaos.stage import Stage
from tests.chaos.subscriber import Subscriber
from tests.standin import Folder

__all__ = ["at_rest", "heard", "leases", "mail", "numbered", "outside"]


async def _all(db: Database, world_id: int) -> list[Machine]:
    return [one for kind in MachineKind for one in await machines.list_kind(db, world_id, kind, all_=True)]


async def at_rest(db: Database, world_ids: Iterable[int]) -> list[str]:
    """Every machine is in a legal state in which it may stay, and none is past its deadline."""
    wrong = []
    for world_id in world_ids:
        for one in await _all(db, world_id):
            state = RUNNERS[one.kind].states.get(one.state)
            facts = one.facts
            if state is None or not state.settled:
                reason = facts.reason and facts.reason.summary
                wrong.append(f"{one.kind} {one.id} {one.name or ''} is {one.state}: {reason}")
            if isinstance(facts, ServiceFacts) and (facts.current or facts.next or facts.wish):
                wrong.append(f"service {facts.name} rests with work to do: {facts}")
    late = await db.pool.fetch(
        "select id, kind, state from machines where deadline_at < now() - interval '3 seconds'"
    )
    wrong += [f"{row['kind']} {row['id']} is {row['state']} beyond its deadline" for row in late]
    overdue = await db.pool.fetch(
        "select id, kind, state from machines where due_at < now() - interval '3 seconds' and owner is null"
    )
    return wrong + [f"{row['kind']} {row['id']} {row['state']} is due, and nobody looks" for row in overdue]


async def leases(db: Database, stage: Stage) -> list[str]:
    """Whoever holds a machine is alive."""
    rows = await db.pool.fetch(
        "select m.id, m.kind, m.state, w.pid, w.died_at from machines m left join workers w on w.id = m.owner"
        " where m.owner is not null"
    )
    living = {replica.pid for replica in stage.replicas if replica.lives}
    return [
        f"{row['kind']} {row['id']} {row['state']} is held by {row['pid']}, which is no more"
        for row in rows
        if row["died_at"] is not None or row["pid"] not in living
    ]


async def mail(db: Database) -> list[str]:
    """Each request was counted as answered once, by the commit that answered it."""
    rows = await db.pool.fetch("""
        select p.mail, p.what, count(c.mail) as times from chaos_posted p
        left join chaos_consumed c on c.mail = p.mail group by p.mail, p.what having count(c.mail) <> 1""")
    left = await db.pool.fetch("select machine_id, trigger from mailbox")
    strange = await db.pool.fetch("select mail from chaos_consumed except select mail from chaos_posted")
    return [
        *(f"mail {row['mail']} ({row['what']}) was answered {row['times']} times" for row in rows),
        *(f"{row['trigger']} still lies in the mailbox of {row['machine_id']}" for row in left),
        *(f"mail {row['mail']} was answered and never sent" for row in strange),
    ]


async def numbered(db: Database, world_id: int) -> list[str]:
    """`seq` without a gap, time never backwards, each machine's steps a chain that ends where it stands."""
    rows = await db.pool.fetch("select * from transitions where world_id = $1 order by seq", world_id)
    wrong = []
    if [row["seq"] for row in rows] != list(range(1, len(rows) + 1)):
        wrong.append(f"world {world_id}: seq has gaps or doubles in {[row['seq'] for row in rows]}")
    last: dict[UUID, str] = {}
    before = None
    for row in rows:
        if before is not None and row["at"] < before:
            wrong.append(f"world {world_id}: transition {row['seq']} is earlier than the one before")
        before = row["at"]
        if last.get(row["machine_id"]) != row["from_state"]:
            wrong.append(f"world {world_id}: transition {row['seq']} does not follow: {dict(row)}")
        last[row["machine_id"]] = row["to_state"]
        runner = RUNNERS[MachineKind(row["kind"])]
        if row["from_state"] is not None and not runner.allows(row["trigger"], row["from_state"]):
            wrong.append(f"world {world_id}: transition {row['seq']} is along no row: {dict(row)}")
    states = {one.id: one.state for one in await _all(db, world_id)}
    if states != last:
        wrong.append(f"world {world_id}: it stands at {states}, its transitions lead to {last}")
    return wrong


async def heard(db: Database, world_id: int, subscriber: Subscriber) -> list[str]:
    """The subscriber was told each transition once and in order."""
    rows = await db.pool.fetch(
        "select seq, machine_id, to_state from transitions where world_id = $1 order by seq", world_id
    )
    there = [(row["seq"], str(row["machine_id"]), row["to_state"]) for row in rows]
    if subscriber.seen == there:
        return []
    seen = Counter(subscriber.seen)
    missed = [one for one in there if one not in seen]
    twice = [one for one, times in seen.items() if times > 1]
    what = f"{len(subscriber.seen)} of {len(there)} came, missed {missed[:5]}, twice {twice[:5]}"
    return [f"subscriber of {subscriber.world}: {what}; its last trouble: {subscriber.trouble}"]


async def outside(db: Database, world_ids: Iterable[int], folder: Folder) -> list[str]:
    """Exactly one object of each that shall be there, and nothing else."""
    wrong = []
    known: dict[str, set[str]] = {}
    for world_id in world_ids:
        for one in await _all(db, world_id):
            wanted = await _wanted(db, one)
            if wanted is None:
                known[str(one.id)] = set(folder.of(one.id))
            else:
                known[str(one.id)] = wanted
                if set(folder.of(one.id)) != wanted:
                    name = getattr(one.facts, "name", "")
                    there = f"there are {folder.of(one.id)}, not {sorted(wanted)}"
                    wrong.append(f"{one.kind} {one.id} {name} is {one.state}: {there}")
    strange = [path for path in folder.root.iterdir() if path.is_dir() and path.name not in known]
    return wrong + [
        f"{path.name} has {_names(path)}, and nobody knows it" for path in strange if _names(path)
    ]


def _names(path: Path) -> list[str]:
    return sorted(one.name for one in path.iterdir())


async def _wanted(db: Database, machine: Machine) -> set[str] | None:
    """What shall exist of it; None: any part."""
    facts = machine.facts
    if isinstance(facts, ServiceFacts):
        if machine.state != "serving" or facts.serving is None:
            return set()
        release = await releases.get(db, machine.world_id, facts.serving)
        assert release is not None
        first = f"{release.id}.{release.spec.run}"
        number = copies(release.spec.scale, facts.copies)
        return {first, *(f"{first}.{copy}" for copy in range(2, number + 1))}
    if isinstance(facts, ResourceFacts):
        if machine.state == "deleted":
            return set()
        if machine.state == "ready":
            return {"begun", "object", "asleep"} if facts.suspended else {"begun", "object"}
        return None
    return set()
