"""A change's plan, item by item: what becomes of every service, resource and route of its manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from deployd.engine.affected import SERVES_THIS, Selection, fingerprints
from deployd.engine.context import Context
from deployd.engine.provisioning import needs_of, replacing
from deployd.engine.resource_items import Asked, Leaving, resource_items
from deployd.engine.route_items import route_items
from deployd.engine.service_items import Looked, dropped, service_item
from deployd.errors import DeploydError, Retryable
from deployd.model.facts import ChangeFacts, ServiceFacts, Source
from deployd.model.machine import Machine
from deployd.model.plan import PlanAction, PlanField, PlanItem
from deployd.model.reference import ReferenceKind, references
from deployd.model.release import Release
from deployd.model.secret import Secret
from deployd.model.spec import ServiceSpec
from deployd.model.state import MachineKind
from deployd.store import machines, reads

__all__ = ["itemize"]

_IDLE = SERVES_THIS.partition(", ")[0] + ", "
NOT_ASKED = "it was not asked for"


async def itemize(
    context: Context,
    world_id: int,
    facts: ChangeFacts,
    manifest: Sequence[ServiceSpec],
    selection: Selection,
    notes: Mapping[str, tuple[str, ...]],
    *,
    gated: bool,
) -> tuple[PlanItem, ...]:
    """Services in the order of the manifest, then resources, then routes. Changes nothing.

    `notes`: what drivers say of services. `gated`: whatever is done waits for an approval.
    """
    living = await machines.list_kind(context.db, world_id, MachineKind.SERVICE)
    present = await _present(context, world_id, living)
    looked = await _looked(context, world_id, facts, manifest, selection, notes)
    asked, leaving = await _resources(context, world_id, looked)
    names = {one.id: str(one.name) for one in living}
    items = (
        *(service_item(one, facts) for one in looked),
        *dropped(present, {one.name: one for one in manifest}, facts),
        *resource_items(asked, leaving, names),
        *route_items(looked, {name: release.spec for name, release in present.items()}),
    )
    return tuple(
        replace(one, approval=one.changes and (gated or one.action is PlanAction.REPLACE)) for one in items
    )


async def _present(context: Context, world_id: int, living: Sequence[Machine]) -> dict[str, Release]:
    """What each service of the world serves."""
    serving = {
        one.facts.serving: str(one.name)
        for one in living
        if isinstance(one.facts, ServiceFacts) and one.facts.serving is not None
    }
    found = await reads.releases(context.db, [(world_id, release_id) for release_id in serving])
    return {serving[release_id]: release for (_, release_id), release in found.items()}


async def _looked(
    context: Context,
    world_id: int,
    facts: ChangeFacts,
    manifest: Sequence[ServiceSpec],
    selection: Selection,
    notes: Mapping[str, tuple[str, ...]],
) -> list[Looked]:
    chosen = {one.name for one in selection.affected}
    beyond = await _beyond(context, world_id, facts.source, selection)
    found = []
    for spec in manifest:
        left = None
        if spec.name not in chosen:
            left = selection.unaffected.get(spec.name, NOT_ASKED).removeprefix(_IDLE)
        standing = selection.standing.get(spec.name)
        found.append(Looked(spec, standing, left, beyond.get(spec.name, ()), notes.get(spec.name, ())))
    return found


# -- files and secrets


async def _beyond(
    context: Context, world_id: int, source: Source, selection: Selection
) -> dict[str, tuple[PlanField, ...]]:
    """By service: what else it will be made of."""
    served = {
        spec.name: standing.release
        for spec in selection.affected
        if (standing := selection.standing.get(spec.name)) is not None and standing.release is not None
    }
    moved = await _moved(context, source, selection, served)
    secrets = await context.vault.list_secrets(world_id) if served else []
    return {
        spec.name: (
            *(
                [PlanField("source", _called(served.get(spec.name)), _named(source))]
                if spec.name in moved
                else ()
            ),
            *_set_again(spec, served.get(spec.name), secrets),
        )
        for spec in selection.affected
    }


async def _moved(
    context: Context, source: Source, selection: Selection, served: Mapping[str, Release]
) -> set[str]:
    """Services whose files are others than those of what they serve; those that serve nothing, too."""
    trees: dict[str | None, list[ServiceSpec]] = {}
    for spec in selection.affected:
        release = served.get(spec.name)
        trees.setdefault(None if release is None else release.source.tree, []).append(spec)
    found: set[str] = set()
    for tree, specs in trees.items():
        if tree == source.tree:
            continue
        before: Mapping[str, str] = {}
        if tree is not None:
            try:
                before = await fingerprints(context, replace(source, tree=tree), specs, {})
            except Retryable:
                raise
            except (DeploydError, OSError):  # its tree is not on this host
                before = {}
        after = await fingerprints(context, source, specs, {}) if before else {}
        found |= {spec.name for spec in specs if not before or before[spec.name] != after[spec.name]}
    return found


def _named(source: Source) -> str | None:
    return source.commit or source.tree


def _called(release: Release | None) -> str | None:
    return None if release is None else _named(release.source)


def _set_again(spec: ServiceSpec, release: Release | None, secrets: Sequence[Secret]) -> list[PlanField]:
    """The secrets that it refers to and that were set since its release was made; never what they are."""
    if release is None:
        return []
    named = {one.name for one in references(spec.env) if one.kind is ReferenceKind.SECRETS}
    known = {one.name for one in references(release.spec.env) if one.kind is ReferenceKind.SECRETS}
    return [
        PlanField(f"secrets.{one.name}")
        for one in secrets
        if one.name in named & known and one.set_at > release.created_at
    ]


# -- resources


async def _resources(
    context: Context, world_id: int, looked: Sequence[Looked]
) -> tuple[list[Asked], list[Leaving]]:
    asked: dict[str, Asked] = {}
    gone: dict[UUID, set[str]] = {}
    for one in looked:
        needs = await needs_of(context, world_id, one.spec)
        for need in needs:
            its = asked.setdefault(need.name, Asked(need))
            if one.left is not None:
                its.left.append(one.spec.name)
                continue
            if not its.services:  # what is deployed says how it shall be
                its.need, its.forced = need, await replacing(context, world_id, need)
            its.services.append(one.spec.name)
        if one.left is None and one.standing is not None:
            for dropped_id in {*one.standing.facts.resources} - {need.id for need in needs}:
                gone.setdefault(dropped_id, set()).add(one.spec.name)
    found = await machines.list_many(context.db, world_id, list(gone)) if gone else []
    leaving = [Leaving(one, frozenset(gone[one.id])) for one in sorted(found, key=lambda one: str(one.name))]
    return [asked[name] for name in sorted(asked)], leaving
