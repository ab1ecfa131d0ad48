"""What an operator may set for `local/postgres`, and what a definition may set for a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from deployd.errors import InputError

__all__ = ["Config", "read_config", "read_connections"]

CONNECTIONS = 20
"""How many connections may be open to a database, where its settings do not say."""
MOST_CONNECTIONS = 100


@dataclass(frozen=True, slots=True)
class Config:
    """The defaults suit a laptop and a single server alike."""

    first_port: int = 30_600
    last_port: int = 31_199
    """A world's server gets a port from this range, and keeps it."""


def read_config(settings: Mapping[str, object]) -> Config:
    """Check what the operator wrote. Raises InputError for an unknown key or an impossible value."""
    known = {field.name for field in fields(Config)}
    given = {key: value for key, value in settings.items() if key != "driver"}
    if unknown := sorted(set(given) - known):
        raise InputError(
            f"local/postgres does not know the setting {', '.join(f'`{key}`' for key in unknown)}",
            remedy=f"Use only {', '.join(f'`{key}`' for key in sorted(known))}.",
        )
    default = Config()
    first = _whole(given.get("first_port", default.first_port), "first_port", 1024, 65_535)
    last = _whole(given.get("last_port", default.last_port), "last_port", 1024, 65_535)
    if first > last:
        raise InputError(
            f"local/postgres: `first_port` {first} is above `last_port` {last}",
            remedy="Set `first_port` below `last_port`.",
        )
    return Config(first, last)


def read_connections(settings: Mapping[str, object]) -> int:
    """The limit that a resource's settings name. Raises InputError."""
    if unknown := sorted(set(settings) - {"connections"}):
        raise InputError(
            f"a database has no setting {', '.join(f'`{key}`' for key in unknown)}",
            remedy="Use only `connections`.",
        )
    return _whole(settings.get("connections", CONNECTIONS), "connections", 1, MOST_CONNECTIONS)


def _whole(value: object, key: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InputError(
            f"local/postgres: `{key}` is {value!r}",
            remedy=f"Set `{key}` to a whole number from {least} to {most}.",
        )
    return value
