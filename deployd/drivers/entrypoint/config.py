"""What an operator may set for `route:local`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_address

from deployd.errors import InputError

__all__ = ["Config", "read_config"]


@dataclass(frozen=True, slots=True)
class Config:
    """The defaults suit a laptop."""

    port: int = 7080
    """At which names and routes are reached. 0: they are not."""
    listen: str = "127.0.0.1"
    """The address of this host for that port; 0.0.0.0 or ::, all of them."""
    gates: tuple[str, ...] = ()
    """Names of the world's gates: callers have to pass one of them, where there are any."""
    drain_seconds: float = 10.0
    """How long requests that are under way may keep a release that is not served any more."""
    first_port: int = 30_000
    last_port: int = 30_599
    """Of 127.0.0.1: services get their internal addresses from this range, which nothing else may use.
    It is outside of the range from which deploy:process gives ports to releases."""


def read_config(settings: Mapping[str, object]) -> Config:
    """Check what the operator wrote. Raises InputError for an unknown key or an impossible value."""
    known = {field.name for field in fields(Config)}
    if unknown := sorted(set(settings) - known):
        raise InputError(
            f"route:local does not know the setting {', '.join(f'`{key}`' for key in unknown)}",
            remedy=f"Use only {', '.join(f'`{key}`' for key in sorted(known))}.",
        )
    config = Config()
    first = _whole(settings, "first_port", config.first_port, 1024)
    last = _whole(settings, "last_port", config.last_port, 1024)
    port = _whole(settings, "port", config.port, 0)
    if first > last or first <= port <= last:
        raise InputError(
            f"route:local: the ports {first} to {last} cannot be those of internal addresses",
            remedy="Set `first_port` below `last_port`, and `port` outside of both.",
        )
    drain = settings.get("drain_seconds", config.drain_seconds)
    if isinstance(drain, bool) or not isinstance(drain, int | float) or not 0 <= drain <= 300:
        raise InputError(
            f"route:local: `drain_seconds` is {drain!r}",
            remedy="Set `drain_seconds` to a number from 0 to 300.",
        )
    return Config(
        port,
        _listen(settings.get("listen", config.listen)),
        _gates(settings.get("gates", ())),
        drain,
        first,
        last,
    )


def _whole(settings: Mapping[str, object], key: str, default: int, least: int) -> int:
    value = settings.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 65_535:
        more = "; 0: names and routes are not reached" if key == "port" else ""
        raise InputError(
            f"route:local: `{key}` is {value!r}",
            remedy=f"Set `{key}` to a number from {least} to 65535{more}.",
        )
    return value


def _listen(value: object) -> str:
    try:
        return str(ip_address(value if isinstance(value, str) else ""))
    except ValueError as error:
        raise InputError(
            f"route:local: `listen` is {value!r}",
            remedy="Set `listen` to an address of this host, such as 127.0.0.1, 0.0.0.0 or ::.",
        ) from error


def _gates(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise InputError(
            f"route:local: `gates` is {value!r}",
            remedy="Set `gates` to a list of names of the world's gates.",
        )
    return tuple(value)
