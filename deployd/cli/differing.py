"""What a document of the operator's would change of a world. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from deployd.cli.client import Json
from deployd.manifest.operator import Draft
from deployd.model.sensitive import hidden
from deployd.model.world import Capability, Gate

__all__ = ["Difference", "capabilities_of", "differences", "gates_of"]

MISSING = object()


@dataclass(frozen=True)
class Difference:
    """One field that is another one; `before` or `after` is None where it is not there."""

    field: str
    before: object = None
    after: object = None
    kind: str = "changed"
    """`added`, `changed` or `removed`."""


def capabilities_of(world: Json) -> dict[str, Capability]:
    """What the server says that a world can do."""
    return {
        one["name"]: Capability(one["driver"], one["config"] or {}, one["approval"], one["limit"])
        for one in world["capabilities"]
    }


def gates_of(world: Json) -> dict[str, Gate]:
    """What the server says of who may come into it."""
    return {one["name"]: Gate(tuple(one["allow"]), tuple(one["ports"])) for one in world["gates"]}


def differences(draft: Draft, world: Json) -> list[Difference]:
    """What of the world would be otherwise; nothing of what the document does not say."""
    found: list[Difference] = []
    if draft.capabilities is not None:
        before = {name: _plain(one) for name, one in capabilities_of(world).items()}
        after = {name: _plain(one) for name, one in draft.capabilities.items()}
        found += _between("capabilities", before, after)
    if draft.gates is not None:
        rules = {name: _rules(one) for name, one in gates_of(world).items()}
        found += _between("gates", rules, {name: _rules(one) for name, one in draft.gates.items()})
    return found


def _plain(one: Capability) -> dict[str, object]:
    limit = {} if one.limit is None else {"limit": one.limit}
    return {"driver": one.driver, "approval": one.approval, **limit, **_marked(one.config)}


def _marked(config: Mapping[str, object]) -> dict[str, object]:
    """As the server shows it."""
    shown = hidden(config)
    assert isinstance(shown, dict)
    return shown


def _rules(one: Gate) -> dict[str, object]:
    return {"allow": list(one.allow), "ports": list(one.ports)}


def _between(
    what: str, before: Mapping[str, Mapping[str, object]], after: Mapping[str, Mapping[str, object]]
) -> Iterator[Difference]:
    for name in sorted({*before, *after}):
        here = f"{what}.{name}"
        if name not in before:
            yield Difference(here, after=after[name], kind="added")
        elif name not in after:
            yield Difference(here, before=before[name], kind="removed")
        else:
            for key in sorted({*before[name], *after[name]}):
                one, other = before[name].get(key, MISSING), after[name].get(key, MISSING)
                if one is MISSING:
                    yield Difference(f"{here}.{key}", after=other, kind="added")
                elif other is MISSING:
                    yield Difference(f"{here}.{key}", before=one, kind="removed")
                elif one != other:
                    yield Difference(f"{here}.{key}", before=one, after=other)
