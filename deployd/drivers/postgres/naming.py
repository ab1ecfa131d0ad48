"""The names that a resource has outside, all derived from its id, and what is told of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote
from uuid import UUID

from deployd.drivers.api import ResourceSpec

__all__ = ["HOST", "name_of", "outputs_of", "tag_of"]

HOST = "127.0.0.1"
LONGEST = 63
"""Bytes that Postgres keeps of a name."""


def name_of(resource: ResourceSpec) -> str:
    """Of its database and of its role: readable, and its own by the end of its id, which is random."""
    mark = resource.resource_id.hex[-8:]
    words = re.sub(r"[^a-z0-9]+", "_", resource.name.lower()).strip("_")
    if (
        not words or not words[0].isalpha() or words.startswith("pg_") or words == "pg"
    ):  # those are Postgres's own
        words = f"db_{words}".rstrip("_")
    return f"{words[: LONGEST - 1 - len(mark)].rstrip('_')}_{mark}"


def tag_of(resource_id: UUID) -> str:
    """The comment on what is this resource's: only that is ever adopted, changed or dropped."""
    return f"deployd resource {resource_id}"


def outputs_of(resource: ResourceSpec, port: int) -> Mapping[str, str]:
    """What others may refer to."""
    name = name_of(resource)
    return {
        "host": HOST,
        "port": str(port),
        "database": name,
        "username": name,
        "password": resource.password,
        "url": f"postgresql://{name}:{quote(resource.password, safe='')}@{HOST}:{port}/{name}",
    }
