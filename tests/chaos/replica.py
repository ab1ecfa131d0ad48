"""A replica for the soak: engine, committer and worker over stand-ins that are out in the weather.

When the process that forks them ends, so do the replicas.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import random
import re
import signal
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import deployd.engine
from deployd.engine import calling, worker
from deployd.engine.context import Context, Driver
from deployd.errors import PostgresUnavailable, Unsupported
from deployd.store.database import Database
from deployd.store.queries import QUERIES
from tests.chaos.weather import Weather, weathered
from tests.house import house
from tests.nursery import serve
from tests.standin import StandinDeployer, StandinProvisioner, StandinRouter

__all__ = ["LEASE"]

LEASE = 2.0  # seconds
_PR_SET_PDEATHSIG = 1

_now = datetime.now
_CONSUMED = re.compile(r"from unnest\(\$\d+::int\[\], [^()]*\) as c \(ord, world_id, machine_id, id\)")
_AUDITED = """), audited as (
    insert into chaos_consumed (mail) select c.id {consumed} where c.ord in (select ord from moved)
), news as ("""


def audit_consumption() -> None:
    """Each commit says, in itself, which mail it counts as answered."""
    plain = QUERIES["commit"]
    (consumed,) = _CONSUMED.findall(plain)
    assert plain.count("), news as (") == 1
    QUERIES["commit"] = plain.replace("), news as (", _AUDITED.format(consumed=consumed))


def skew_clocks(path: Path) -> None:
    """The wall clock of this process is wrong by what the weather says."""

    class Skewed(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return _now(tz) + timedelta(seconds=Weather.read(path).skew)

        fromisoformat = datetime.fromisoformat  # plain ones, as they are kept

    modules = [module for name, module in sys.modules.items() if name.startswith(deployd.engine.__name__)]
    for module in modules:
        if getattr(module, "datetime", None) is datetime:
            module.datetime = Skewed  # type: ignore[attr-defined]


def expose(context: Context, home: Path, chance: random.Random) -> None:
    """Its drivers are stand-ins in the weather."""
    path = home / "weather.json"
    deployer = weathered(StandinDeployer, path, chance)
    provisioner = weathered(StandinProvisioner, path, chance)
    router = weathered(StandinRouter, path, chance)
    plain = context.driver("deploy:process", {})
    assert isinstance(plain, StandinDeployer)
    drivers: dict[str, Driver] = {
        "deploy:process": deployer(plain.folder),
        "local/postgres": provisioner(plain.folder),
        "route:standin": router(plain.folder),
    }

    def driver(name: str, config: Mapping[str, object]) -> Driver:
        if name not in drivers:
            raise Unsupported(name)
        return drivers[name]

    context.driver = driver


def tell_where() -> None:
    """What each task waits for, into the log: asked for where something did not come to rest."""
    for task in asyncio.all_tasks():
        awaits: Any = task.get_coro()
        places = []
        while awaits is not None:
            frame = getattr(awaits, "cr_frame", None) or getattr(awaits, "gi_frame", None)
            if frame is not None:
                places.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
            awaits = getattr(awaits, "cr_await", None) or getattr(awaits, "gi_yieldfrom", None)
        logging.info("task %s: %s", task.get_name(), " > ".join(places))


def begin(home: Path) -> None:
    """What makes this process a replica: it ends with whoever forked it, and is told of in the home's log."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    descriptor = os.open(home / "replicas.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 2)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(descriptor, 1)
    form = f"%(asctime)s.%(msecs)03d {os.getpid()} %(levelname)s %(message)s"
    logging.basicConfig(level=logging.INFO, format=form, datefmt="%H:%M:%S", force=True)
    skew_clocks(home / "weather.json")


async def live(dsn: str, home: str, world: str, seed: str) -> None:
    """Until it is killed. A database that is not there yet is waited for, as whoever starts deployd would."""
    begin(Path(home))
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, tell_where)
    while True:
        try:
            async with (
                Database(dsn, size=6) as db,
                house(
                    db,
                    Path(home),
                    world=world,
                    lease=timedelta(seconds=LEASE),
                    change=lambda context: expose(context, Path(home), random.Random(seed)),
                ),
            ):
                await asyncio.Event().wait()
        except PostgresUnavailable as error:
            logging.warning("replica: %s", error)
            await asyncio.sleep(0.2)


if __name__ == "__main__":
    audit_consumption()
    calling.LIMIT = 1.0
    worker._SWEEP = 2.0
    serve(live, waits=False)
