"""Letting go of what services left that ended long ago, and of environments that nobody has."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from deployd.drivers.process.client import Client
from deployd.drivers.process.environments import Environments
from deployd.drivers.process.instance import read_status
from deployd.drivers.process.shim.kernel import birth

__all__ = ["clear"]


def clear(
    client: Client, environments: Environments, services: Collection[UUID], age: timedelta, *, dry_run: bool
) -> Mapping[str, int]:
    """What the driver's `clear` does; blocks. A service's own home stays where there is anything in it."""
    living = {str(one) for one in services}
    before = time.time() - age.total_seconds()
    gone = 0
    for folder in _services(client.home):
        if folder.name in living or not _is_over(folder, before):
            continue
        gone += 1
        if not dry_run:
            _remove(folder)
    return {"folders of services": gone, "environments": environments.prune(dry_run=dry_run)}


def _services(home: Path) -> list[Path]:
    """HOME/WORLD/SERVICE and HOME/tasks/SERVICE."""
    if not home.is_dir():
        return []
    above = [one for one in home.iterdir() if one.is_dir() and (one.name.isdecimal() or one.name == "tasks")]
    return [one for world in above for one in world.iterdir() if len(one.name) == 36 and one.is_dir()]


def _is_over(folder: Path, before: float) -> bool:
    """Nothing of it runs, nothing of it was touched since, and there is something to remove."""
    instances = [one for one in folder.iterdir() if one.is_dir() and one.name != "home"]
    if any(_runs(one) for one in instances):
        return False
    touched = [folder, *(each for one in instances for each in (one, *one.rglob("*")))]
    if max(one.lstat().st_mtime for one in touched) >= before:
        return False
    return bool(instances) or not _has_data(folder)


def _runs(instance: Path) -> bool:
    status = read_status(instance)
    return status.shim > 0 and birth(status.shim) == status.shim_birth


def _has_data(folder: Path) -> bool:
    """Whether the service kept anything for itself."""
    own = folder / "home"
    return own.is_dir() and any(own.iterdir())


def _remove(folder: Path) -> None:
    """Everything but what the service kept for itself."""
    if not _has_data(folder):
        shutil.rmtree(folder, ignore_errors=True)
        return
    for one in folder.iterdir():
        if one.is_dir() and one.name != "home":
            shutil.rmtree(one, ignore_errors=True)
