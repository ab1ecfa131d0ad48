"""When the programs of a bench were started and began to listen, as they wrote it themselves."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Moments", "await_moments", "make_project", "start_command"]

PATIENCE = 300.0
SOURCE = Path(__file__).parent / "service"


@dataclass(frozen=True, slots=True)
class Moments:
    """Of one program, in seconds since 1970."""

    pid: int
    started: float
    listening: float

    @property
    def own(self) -> float:
        """Seconds that it took to listen once it was started: nobody's but the program's."""
        return self.listening - self.started


def make_project(folder: Path) -> Path:
    """The service's files, in a folder that is made for them."""
    folder.mkdir()
    for file in SOURCE.iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    return folder


def start_command(moments: Path, name: str) -> str:
    """By which a service is started that writes its moments into a folder that anybody may write to."""
    moments.mkdir(exist_ok=True)
    moments.chmod(0o1777)
    return f"bash start {moments / name}"


async def await_moments(
    folder: Path, names: Iterable[str], check: Callable[[], None] = lambda: None
) -> dict[str, Moments]:
    """Once all have written them. Raises TimeoutError, and what `check` raises when it is in vain to wait."""
    found: dict[str, Moments] = {}
    missing = set(names)
    async with asyncio.timeout(PATIENCE):
        while missing:
            for name in sorted(missing):
                if (file := folder / name).exists():
                    found[name] = Moments(**json.loads(file.read_text()))
            missing -= found.keys()
            if missing:
                check()
                await asyncio.sleep(0.02)
    return found
