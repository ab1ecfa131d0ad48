"""The duties: what each removes, and what it leaves alone.

Each is idempotent, works in short statements of its own, does no harm when another replica does the same at
once, and stops when its time is over; the next run goes on.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from deployd.drivers.api import Clears
from deployd.engine.context import Driver
from deployd.machines import RUNNERS
from deployd.model.retention import Retention
from deployd.model.state import MachineKind
from deployd.sources import clearing
from deployd.sources.trees import Trees
from deployd.store import examining, forgetting, partitions, worlds
from deployd.store.database import Database

__all__ = ["DUTIES", "Spec", "Work"]

REQUESTS_KEPT = timedelta(days=7)
"""What was asked under an idempotency key is answered as before for so long."""
UPLOADS_KEPT = timedelta(days=1)
WORKERS_KEPT = timedelta(days=1)
HOSTS_KEPT = timedelta(days=30)
LOST_MAIL = timedelta(hours=1)
"""What was sent to a machine that is not there is removed after so long."""
CHANGES_KEPT = 50
"""The newest of each world stay, whatever their age: by them is seen which commits came later."""
UNDER_WAY = timedelta(days=1)
"""A release is made a moment before its deployment refers to it: none so young is touched."""
_NOTHING = UUID(int=0)
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Work:
    """What a duty may use, and what it has come to so far."""

    db: Database
    trees: Trees
    keep: Retention
    drivers: Callable[[], Awaitable[Sequence[Driver]]]
    """Every driver that a living world has a capability for."""
    until: float
    """On time.monotonic: when it should stop."""
    dry_run: bool = False
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    counted: Counter[str] = field(default_factory=Counter)
    """How many, by what they are."""
    unfinished: bool = False
    """There is more."""

    def more(self) -> bool:
        """Whether there is time for another batch."""
        self.unfinished = time.monotonic() >= self.until
        return not self.unfinished

    async def batches(self, what: str, batch: Callable[[], Awaitable[int]]) -> None:
        """Batch after batch, until one finds nothing."""
        while self.more() and (gone := await batch()):
            self.counted[what] += gone
            if self.dry_run:
                break  # it is there at the next look, too


Act = Callable[[Work], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Spec:
    """One duty."""

    name: str
    description: str
    every: timedelta
    act: Act
    hosted: bool = False
    """It is about what this host has: each one does its own."""


async def make_partitions(work: Work) -> None:
    """Months ahead have their partitions before anything is written into them."""
    if not work.dry_run:
        work.counted["partitions made"] += len(await partitions.ensure_partitions(work.db, work.now))


async def forget_transitions(work: Work) -> None:
    """By whole months; who reads on from before is told."""
    if work.keep.transitions is not None:
        before = work.now - work.keep.transitions
        if work.dry_run:
            gone = await partitions.droppable(work.db, "transitions", before)
        else:
            gone = await partitions.drop_transitions(work.db, before)
        work.counted["months of transitions"] += len(gone)


async def forget_audit(work: Work) -> None:
    """By whole months, and tokens that count no more."""
    if work.keep.audit is None:
        return
    before = work.now - work.keep.audit
    if work.dry_run:
        gone = await partitions.droppable(work.db, "audit", before)
    else:
        gone = await partitions.drop_audit(work.db, before)
    work.counted["months of the audit log"] += len(gone)
    await work.batches("tokens", lambda: forgetting.tokens(work.db, before, dry_run=work.dry_run))


async def forget_attempts(work: Work) -> None:
    """Deployments first, since changes stay as long as any of theirs."""
    if work.keep.attempts is None:
        return
    for world in await worlds.list_all(work.db):
        for kind in (MachineKind.DEPLOYMENT, MachineKind.CHANGE):
            await _forget_of(work, world.world_id, kind, work.now - work.keep.attempts)


async def _forget_of(work: Work, world_id: int, kind: MachineKind, before: datetime) -> None:
    keep = work.keep.releases if kind is MachineKind.DEPLOYMENT else CHANGES_KEPT
    states = _final(kind), _final(MachineKind.CHANGE)
    place: forgetting.Place | None = forgetting.FIRST
    while place is not None and work.more():
        page = await forgetting.attempts(
            work.db, world_id, kind, before, place, keep, states, dry_run=work.dry_run
        )
        work.counted[f"{kind}s"] += page.gone
        place = page.next


def _final(kind: MachineKind) -> list[str]:
    return [str(name) for name, state in RUNNERS[kind].states.items() if state.final]


async def forget_releases(work: Work) -> None:
    """All but the newest of each service, and what anything refers to; of services that are over, all."""
    before, after = _EVER, (0, _NOTHING)
    if work.keep.attempts is not None:
        before = work.now - work.keep.attempts
    while work.more():
        found = await forgetting.releases_of(work.db, work.keep.releases, before, after)
        for world_id, service_id, over in found:
            keep = 0 if over else work.keep.releases
            await _forget_releases_of(work, world_id, service_id, keep)
        if len(found) < forgetting.BATCH:
            return
        after = found[-1][:2]


async def _forget_releases_of(work: Work, world_id: int, service_id: UUID, keep: int) -> None:
    await work.batches(
        "releases",
        lambda: forgetting.releases(
            work.db, world_id, service_id, keep, work.now - UNDER_WAY, dry_run=work.dry_run
        ),
    )


async def forget_ended(work: Work) -> None:
    """Services, resources and ephemeral worlds of which nothing else is left."""
    if work.keep.attempts is None:
        return
    before = work.now - work.keep.attempts
    await work.batches(
        "services and resources", lambda: forgetting.ended(work.db, before, dry_run=work.dry_run)
    )
    await work.batches("worlds", lambda: forgetting.worlds(work.db, before, dry_run=work.dry_run))


async def sweep(work: Work) -> None:
    """What is only kept for a while."""
    db, now, dry = work.db, work.now, work.dry_run
    await work.batches("uploads", lambda: forgetting.uploads(db, now - UPLOADS_KEPT, dry_run=dry))
    await work.batches("idempotency keys", lambda: forgetting.requests(db, now - REQUESTS_KEPT, dry_run=dry))
    await work.batches("workers", lambda: forgetting.workers(db, now - WORKERS_KEPT, dry_run=dry))
    await work.batches("duties of hosts", lambda: forgetting.hosts(db, now - HOSTS_KEPT, dry_run=dry))
    await work.batches("lost requests", lambda: forgetting.mail(db, LOST_MAIL, dry_run=dry))


async def clear_sources(work: Work) -> None:
    """Snapshots that nothing is made of any more, and mirrors that nobody asks for."""
    if work.keep.sources is None:
        return
    home, age = work.trees.home, work.keep.sources.total_seconds()
    cleared = await clearing.clear_trees(home, await forgetting.referred_trees(work.db), dry_run=work.dry_run)
    work.counted["snapshots"] += cleared.trees
    if work.more():
        mirrors = await clearing.clear_mirrors(home, age, dry_run=work.dry_run)
        work.counted["mirrors"] += mirrors.mirrors


async def clear_drivers(work: Work) -> None:
    """What drivers keep on this host for services that ended."""
    if work.keep.sources is None:
        return
    services = await examining.living_services(work.db)
    for driver in await work.drivers():
        if isinstance(driver, Clears) and work.more():
            gone = await driver.clear(services, work.keep.sources, dry_run=work.dry_run)
            work.counted.update(gone)


_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)

DUTIES: dict[str, Spec] = {
    one.name: one
    for one in (
        Spec("partitions", "make the partitions of the months to come", 6 * _HOUR, make_partitions),
        Spec("sweep", "remove old uploads, idempotency keys, workers and lost requests", _HOUR, sweep),
        Spec("transitions", "drop months of transitions that are not kept", _DAY, forget_transitions),
        Spec("audit", "drop months of the audit log, and tokens that count no more", _DAY, forget_audit),
        Spec("attempts", "remove deployments and changes that ended long ago", _DAY, forget_attempts),
        Spec("releases", "remove releases that nobody can go back to", _DAY, forget_releases),
        Spec("ended", "remove services, resources and previews that ended long ago", _DAY, forget_ended),
        Spec("sources", "remove snapshots and mirrors that nothing needs", _DAY, clear_sources, hosted=True),
        Spec("folders", "remove what services left that ended", _DAY, clear_drivers, hosted=True),
    )
}
"""By name, in the order in which they are done: what one removes, another one need not keep."""
