"""What an operator may set for `route:local`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from deployd.errors import InputError

__all__ = ["Config", "read_config"]


@dataclass(frozen=True, slots=True)
class Config:
    """The defaults suit a laptop."""

    port: int = 7080
    """Of 127.0.0.1. 0: no local addresses."""
    drain_seconds: float = 10.0
    """How long requests that are under way may keep a release that is not served any more."""


def read_config(settings: Mapping[str, object]) -> Config:
    """Check what the operator wrote. Raises InputError for an unknown key or an impossible value."""
    known = {field.name for field in fields(Config)}
    if unknown := sorted(set(settings) - known):
        raise InputError(
            f"route:local does not know the setting {', '.join(f'`{key}`' for key in unknown)}",
            remedy=f"Use only {', '.join(f'`{key}`' for key in sorted(known))}.",
        )
    config = Config()
    port, drain = settings.get("port", config.port), settings.get("drain_seconds", config.drain_seconds)
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65_535:
        raise InputError(
            f"route:local: `port` is {port!r}", remedy="Set `port` to a number from 0 to 65535; 0: none."
        )
    if isinstance(drain, bool) or not isinstance(drain, int | float) or not 0 <= drain <= 300:
        raise InputError(
            f"route:local: `drain_seconds` is {drain!r}",
            remedy="Set `drain_seconds` to a number from 0 to 300.",
        )
    return Config(port, drain)
