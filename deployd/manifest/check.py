"""What must hold between the parts of a service, and between services, wherever they are deployed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from deployd.manifest.entry import Entry, Where
from deployd.manifest.problem import meant
from deployd.model.reference import Reference, ReferenceKind, located

__all__ = ["check", "references"]


def check(entries: Sequence[Entry]) -> None:
    """Note what is wrong with services that live in one world."""
    for entry in entries:
        resources(entry)
    agreement(entries)
    routes(entries)


def references(entry: Entry) -> Iterator[tuple[Where, int, Reference]]:
    """Each reference of its environment, with its place and the character of the value where it begins."""
    for name, value in entry.spec.env.items():
        for start, part in located(value):
            if isinstance(part, Reference):
                yield ("env", name), start, part


def resources(entry: Entry) -> None:
    """Only what a service asked for can be referred to."""
    for where, start, reference in references(entry):
        if reference.kind == ReferenceKind.RESOURCES and reference.name not in entry.spec.resources:
            right = meant(
                reference.name,
                entry.spec.resources,
                f"would be there as `resources: {{{reference.name}: …}}`",
            )
            entry.note(
                where, f"has {reference}, which is none of the resources of {entry.name}, {right}", start
            )


def agreement(entries: Iterable[Entry]) -> None:
    """Those who share a resource ask for the same one."""
    first: dict[str, tuple[Entry, Where]] = {}
    for entry in entries:
        for key, need in entry.spec.resources.items():
            if need.shared is None:
                continue
            one, where = first.setdefault(need.shared, (entry, ("resources", key)))
            other = one.spec.resources[str(where[-1])]
            for field in ("slug", "params"):
                if getattr(other, field) != getattr(need, field):
                    contradiction(
                        (one, (*where, field)),
                        (entry, ("resources", key, field)),
                        f'is not what {{}} asks for under the shared name "{need.shared}" ({{}}), '
                        "would be the same in both",
                    )


def routes(entries: Iterable[Entry]) -> None:
    """A request goes to one service."""
    first: dict[tuple[str, str, str], tuple[Entry, Where]] = {}
    for entry in entries:
        for index, route in enumerate(entry.spec.routes):
            place: tuple[Entry, Where] = (entry, ("routes", index))
            one = first.setdefault((route.host, route.path, route.entrypoint), place)
            if one is not place:
                contradiction(
                    one,
                    place,
                    f"takes {route.host}{route.path} by the entrypoint {route.entrypoint}, "
                    "as {} does ({}), would be a host and path of its own",
                )


def contradiction(one: tuple[Entry, Where], other: tuple[Entry, Where], text: str) -> None:
    """Two places contradict each other: what overrides is wrong, else the later one."""
    if one[0].overrides(one[1]) and not other[0].overrides(other[1]):
        one, other = other, one
    other[0].note(other[1], text.format(one[0].name, one[0].shown(one[1])))
