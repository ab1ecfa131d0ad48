"""Finds drivers by name: those of deployd and of anybody who registers in the group `deployd.drivers`.

A driver's entry point is a factory `(config, context) -> driver`; it is imported when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points

from deployd.drivers.api import Deployer, DriverContext, Provisioner, Router
from deployd.errors import NotFound, Terminal

__all__ = ["GROUP", "Factory", "create", "known", "load"]

GROUP = "deployd.drivers"
EXTRAS = {"deploy:process": "local", "local/postgres": "local"}
"""With which extra of deployd a driver's libraries come."""

Factory = Callable[[Mapping[str, object], DriverContext], Deployer | Provisioner | Router]


def known() -> tuple[str, ...]:
    """The names of all drivers that are installed."""
    return tuple(sorted(entry_points(group=GROUP).names))


def load(name: str) -> Factory:
    """A driver's factory. Raises NotFound for an unknown name, Terminal when it cannot be imported."""
    found = tuple(entry_points(group=GROUP, name=name))
    if not found:
        names = ", ".join(f"`{one}`" for one in known()) or "none"
        raise NotFound(
            f"there is no driver `{name}`", remedy=f"Use one of those that are installed: {names}."
        )
    entry = found[0]
    try:
        factory = entry.load()
    except ModuleNotFoundError as error:
        raise Terminal(
            f"the driver `{name}` needs the library `{error.name}`, which is not installed",
            remedy=f"Install it with `{_command(entry)}`.",
        ) from error
    except (ImportError, AttributeError) as error:
        raise Terminal(
            f"the driver `{name}` cannot be loaded: {error}",
            remedy="Reinstall it, or report it to its makers.",
        ) from error
    if not callable(factory):
        raise Terminal(f"the driver `{name}` is registered as {entry.value}, which is no factory")
    made: Factory = factory
    return made


def create(
    name: str, config: Mapping[str, object], context: DriverContext
) -> Deployer | Provisioner | Router:
    """A driver, configured. Raises what `load` raises, and InputError for settings that are wrong."""
    return load(name)(config, context)


def _command(entry: EntryPoint) -> str:
    distribution = entry.dist.name if entry.dist else "deployd"
    if distribution == "deployd":
        return f"pip install 'deployd[{EXTRAS.get(entry.name, 'all')}]'"
    return f"pip install --force-reinstall {distribution}"
