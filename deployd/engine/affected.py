"""Which services a change deploys: those that are made of something else than what they serve."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from deployd.engine.context import Context
from deployd.engine.holds import forbids, refusal, told
from deployd.machines import RUNNERS
from deployd.manifest.inputs import fingerprint
from deployd.model.facts import ChangeFacts, DeploymentFacts, ServiceFacts, Source
from deployd.model.machine import Machine
from deployd.model.reason import Reason
from deployd.model.release import Release
from deployd.model.spec import ServiceSpec
from deployd.model.state import DeploymentState, Health, MachineKind, ServiceState
from deployd.store import machines, releases

__all__ = ["Selection", "Standing", "fingerprints", "select"]

SERVES_THIS = "nothing to do, it serves this already"
DEPLOYS_THIS = "nothing to do, it is being deployed already"
_STATES = RUNNERS[MachineKind.DEPLOYMENT].states
_TURNED = (DeploymentState.CANCELLING, DeploymentState.ROLLING_BACK)
_ATTEMPTS = 20  # of a service, of which the newest that works or waits is looked for
_CHANGES = 50  # of a branch: commits that came later than this one are among the last


@dataclass(frozen=True, slots=True)
class Selection:
    """What a change does with the services of its manifest."""

    affected: tuple[ServiceSpec, ...]
    unaffected: Mapping[str, str]
    """By name, why not."""
    fingerprints: Mapping[str, str]
    """Of those that are affected."""
    standing: Mapping[str, Standing | None]
    """Of all of them; None: there is none yet."""
    refused: tuple[Reason, ...] = ()
    """Why some of them must not be deployed, though they were asked for: they are held."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a service stands, and what comes next."""

    state: str
    facts: ServiceFacts
    coming: DeploymentFacts | None
    """Of the newest deployment that works or waits."""
    release: Release | None
    """What it serves."""

    @property
    def sources(self) -> list[Source]:
        """Of what it serves, and of what is coming."""
        return [one.source for one in (self.coming, self.release) if one is not None]


async def select(
    context: Context,
    world_id: int,
    facts: ChangeFacts,
    specs: Sequence[ServiceSpec],
    extra: Mapping[str, Iterable[str]] | None = None,
) -> Selection:
    """Look at each service of the change as it is now. Raises InputError, Retryable.

    `extra`, by the service's name, belongs to its fingerprint: what its specification refers to and does not
    hold, such as the revisions of secrets.
    """
    prints = await fingerprints(context, facts.source, specs, extra or {})
    standing = {spec.name: await _standing(context, world_id, spec.name) for spec in specs}
    newer = await _newer(context, world_id, facts, standing) if facts.automatic else {}
    unaffected: dict[str, str] = {}
    refused: list[Reason] = []
    named = bool(facts.services or facts.everything) and not facts.automatic
    for spec in specs:
        why = newer.get(spec.name)
        if why is None and not facts.services and not facts.everything:
            why = _unaffected(standing[spec.name], prints[spec.name], automatic=facts.automatic)
        there = standing[spec.name]
        if why is None and there is not None:
            hold = forbids(there.facts.holds, prints[spec.name])
            if hold is not None and named:
                refused.append(refusal(spec.name, hold))
            elif hold is not None:
                why = told(spec.name, hold)
        if why is not None:
            unaffected[spec.name] = why
    affected = tuple(spec for spec in specs if spec.name not in unaffected)
    mine = {spec.name: prints[spec.name] for spec in affected}
    return Selection(affected, unaffected, mine, standing, tuple(refused))


def _unaffected(standing: Standing | None, wanted: str, *, automatic: bool) -> str | None:
    """Why there is nothing to do; None where there is."""
    if standing is None or standing.facts.wish is not None:
        return None
    if standing.coming is not None:
        return DEPLOYS_THIS if standing.coming.fingerprint == wanted else None
    if standing.state not in (ServiceState.SERVING, ServiceState.DEPLOYING) or standing.facts.suspended:
        return None
    if standing.facts.health is Health.DEGRADED and not automatic:
        return None
    release = standing.release
    return SERVES_THIS if release is not None and release.fingerprint == wanted else None


async def fingerprints(
    context: Context, source: Source, specs: Sequence[ServiceSpec], extra: Mapping[str, Iterable[str]]
) -> dict[str, str]:
    """Of each service, were it made of this source. Raises InputError, NotFound without its tree."""
    assert source.tree is not None
    entries = await context.trees.entries(source.tree)
    folder = await context.tree(source.tree)

    def read(path: str) -> bytes:
        file = folder / path
        return os.fsencode(file.readlink()) if file.is_symlink() else file.read_bytes()

    def every() -> dict[str, str]:
        return {spec.name: fingerprint(spec, entries, read, extra.get(spec.name, ())) for spec in specs}

    return await asyncio.to_thread(every)


async def _standing(context: Context, world_id: int, name: str) -> Standing | None:
    """The living service of this name; None where there is none yet."""
    service = await machines.get_named(context.db, world_id, MachineKind.SERVICE, name)
    if service is None:
        return None
    facts = service.facts
    assert isinstance(facts, ServiceFacts)
    current = facts.current.deployment_id if facts.current is not None else None
    attempts = await machines.list_deployments(context.db, world_id, service.id, _ATTEMPTS)
    coming = [one.facts for one in attempts if _comes(one, current)]
    newest = max(
        (one for one in coming if isinstance(one, DeploymentFacts)),
        key=lambda one: one.requested_at,
        default=None,
    )
    release = facts.serving and await releases.get(context.db, world_id, facts.serving)
    return Standing(service.state, facts, newest, release or None)


def _comes(deployment: Machine, current: UUID | None) -> bool:
    """Whether the service will serve it, as far as is known."""
    if _STATES[deployment.state].final:  # perhaps the service has not heard of it yet
        return deployment.state == DeploymentState.SUCCEEDED and deployment.id == current
    return deployment.state not in _TURNED


async def _newer(
    context: Context, world_id: int, facts: ChangeFacts, standing: Mapping[str, Standing | None]
) -> dict[str, str]:
    """Services that have a newer commit of the same branch, or were found to be as that has them; why."""
    mine = facts.source
    if mine.repository is None or mine.commit is None:
        return {}
    seen: dict[str, set[str]] = {}
    for name, one in standing.items():
        for source in one.sources if one is not None else ():
            if source.commit is not None and _same_branch(source, mine):
                seen.setdefault(source.commit, set()).add(name)
    for change in await machines.list_changes_of(context.db, world_id, mine.repository, mine.ref, _CHANGES):
        assert isinstance(change.facts, ChangeFacts)
        if change.facts.source.commit is not None:
            seen.setdefault(change.facts.source.commit, set()).update(change.facts.unaffected)
    seen.pop(mine.commit, None)
    if not seen:
        return {}
    newer = await context.trees.newer(mine.repository, mine.ref, mine.commit, seen)
    return {
        name: f"left as it is, it has the newer commit {commit[:12]}"
        for commit in sorted(newer)
        for name in seen[commit]
        if standing.get(name) is not None
    }


def _same_branch(one: Source, other: Source) -> bool:
    return replace(one, commit=None, tree=None) == replace(other, commit=None, tree=None)
