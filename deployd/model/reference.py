"""References in a service's environment: `${resources.db.url}`, `${services.catalog.url}`, `${secrets.key}`.

Grammar: `${` KIND `.` NAME [`.` OUTPUT] `}`; `$${` stands for a literal `${`; every other `$` is itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "PATTERN",
    "SERVICE_OUTPUTS",
    "BadReference",
    "Reference",
    "ReferenceKind",
    "located",
    "parts",
    "references",
    "resolve",
]

SERVICE_OUTPUTS = ("url", "host", "port")
"""What can be referred to of a service: its stable address within its world."""

_MARK = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")

PATTERN = (
    r"([^$]|\$(?!\{|\$\{)|\$\$\{"
    rf"|\$\{{(resources\.{_NAME.pattern}\.{_NAME.pattern}"
    rf"|services\.{_NAME.pattern}\.({'|'.join(SERVICE_OUTPUTS)})|secrets\.{_NAME.pattern})\}})*"
)
"""Of a whole value whose references are well formed: for JSON Schema."""


class ReferenceKind(StrEnum):
    """What is referred to."""

    RESOURCES = "resources"
    SERVICES = "services"
    SECRETS = "secrets"


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference. `output` is empty for secrets, which have none."""

    kind: ReferenceKind
    name: str
    output: str = ""

    def __str__(self) -> str:
        """As it is written."""
        return "${" + ".".join(filter(None, (self.kind, self.name, self.output))) + "}"


class BadReference(ValueError):
    """The text between `${` and `}` is no reference; `start` counts characters of the value from 0."""

    def __init__(self, message: str, start: int) -> None:
        super().__init__(message)
        self.start = start


def parts(value: str) -> Iterator[str | Reference]:
    """The value as literal texts and references, in order. Raises BadReference."""
    for _, part in located(value):
        yield part


def located(value: str) -> Iterator[tuple[int, str | Reference]]:
    """As `parts`, each behind the character of the value, from 0, at which it begins."""
    at = 0
    for mark in _MARK.finditer(value):
        if mark.start() > at:
            yield at, value[at : mark.start()]
        at = mark.end()
        yield (
            mark.start(),
            "${" if mark.group() == "$${" else _reference(mark[1], mark[2], mark.start()),
        )
    if at < len(value):
        yield at, value[at:]


def _reference(inner: str, closing: str, start: int) -> Reference:
    if not closing:
        raise BadReference(
            "begins a reference with ${ and does not close it, would end with }; $${ is a literal ${", start
        )
    kind, *names = inner.split(".")
    if kind not in tuple(ReferenceKind):
        raise BadReference(
            "has a reference that begins with none of resources, services, secrets; "
            "would be such as ${resources.db.url}, or $${ for a literal ${",
            start,
        )
    wanted = 1 if kind == ReferenceKind.SECRETS else 2
    if len(names) != wanted or not all(_NAME.fullmatch(one) for one in names):
        form = {"secrets": "${secrets.NAME}", "resources": "${resources.NAME.OUTPUT}"}
        raise BadReference(
            f"has a reference of the wrong form, would be {form.get(kind, '${services.NAME.url}')}", start
        )
    if kind == ReferenceKind.SERVICES and names[1] not in SERVICE_OUTPUTS:
        outputs = f"{', '.join(SERVICE_OUTPUTS[:-1])} or {SERVICE_OUTPUTS[-1]}"
        raise BadReference(
            "has a reference to what a service does not have, would be ${services.NAME.url}; "
            f"there are {outputs}",
            start,
        )
    return Reference(ReferenceKind(kind), *names)


def references(values: Mapping[str, str]) -> set[Reference]:
    """All references in the values of an environment. Raises BadReference."""
    return {part for value in values.values() for part in parts(value) if isinstance(part, Reference)}


def resolve(value: str, find: Callable[[Reference], str]) -> str:
    """The value with each reference replaced by what `find` says of it. Raises what `find` raises."""
    return "".join(find(part) if isinstance(part, Reference) else part for part in parts(value))
