"""What an operator may set for `deploy:process`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from deployd.errors import InputError

__all__ = ["Config", "read_config"]


@dataclass(frozen=True, slots=True)
class Config:
    """The defaults suit a laptop and a single server alike."""

    grace_seconds: float = 10.0
    """How long a service may take to end after its stop signal, before it is killed."""
    first_port: int = 20_000
    last_port: int = 29_999
    """Services get ports from this range: above the well-known, below the ephemeral ones."""
    open_files: int = 65_536
    """RLIMIT_NOFILE of a service; less where the machine's hard limit is lower."""


def read_config(settings: Mapping[str, object]) -> Config:
    """Check what the operator wrote. Raises InputError for an unknown key or an impossible value."""
    known = {field.name for field in fields(Config)}
    given = {key: value for key, value in settings.items() if key != "driver"}
    if unknown := sorted(set(given) - known):
        raise InputError(
            f"deploy:process does not know the setting {', '.join(f'`{key}`' for key in unknown)}",
            remedy=f"Use only {', '.join(f'`{key}`' for key in sorted(known))}.",
        )
    config = Config()
    grace = _number(given, "grace_seconds", config.grace_seconds, 0, 3600)
    first = int(_number(given, "first_port", config.first_port, 1024, 65_535))
    last = int(_number(given, "last_port", config.last_port, 1024, 65_535))
    files = int(_number(given, "open_files", config.open_files, 64, 2**30))
    if first > last:
        raise InputError(
            f"deploy:process: `first_port` {first} is above `last_port` {last}",
            remedy="Set `first_port` below `last_port`.",
        )
    return Config(grace_seconds=grace, first_port=first, last_port=last, open_files=files)


def _number(given: Mapping[str, object], key: str, default: float, least: float, most: float) -> float:
    value = given.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise InputError(
            f"deploy:process: `{key}` is {value!r}",
            remedy=f"Set `{key}` to a number from {least} to {most}.",
        )
    return value
