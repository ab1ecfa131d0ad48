"""deployd is killed at named points of a call; what it left is adopted, put right or removed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from deployd.drivers.api import ResourceSpec
from deployd.model.state import Health
from tests.integration.drivers.postgres.place import DRIVER, Place, query

KILLER = """
import os, signal, subprocess, sys
from types import SimpleNamespace
from deployd.drivers import detached
from deployd.drivers.postgres import client, driver, folder, server
from deployd.drivers.postgres.config import Config
from deployd.postgres import cluster
from tests.ports import DATABASES
driver.read_config = lambda _: Config(DATABASES[0], DATABASES[-1])
driver.STARTING = server.ENDING = 60.0  # there is one call, which has to come to its point
point = sys.argv.pop(1)
die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
class Popen(subprocess.Popen):
    def communicate(self, *_, **__):
        die()
{
    "before the intent": lambda: setattr(folder.Folder, "keep", die),
    "before the data": lambda: setattr(server, "prepare", die),
    "after the data": lambda: setattr(cluster.shutil, "rmtree", die),
    "before the start": lambda: setattr(server, "start_detached", die),
    "while it starts": lambda: setattr(
        detached, "subprocess", SimpleNamespace(**{**vars(subprocess), "Popen": Popen})
    ),
    "before its port is on record": lambda: setattr(folder.Folder, "keep_port", die),
    "before the role": lambda: setattr(client, "role_statements", die),
    "before the database": lambda: setattr(client, "create_database", die),
    "before its comment": lambda: setattr(client, "database_statements", die),
    "before it is forgotten": lambda: setattr(folder.Folder, "forget", die),
    "before the server stops": lambda: setattr(server.Server, "stop", die),
    "after the server has stopped": lambda: setattr(server.Server, "_leave_socket", die),
    "before it is discarded": lambda: setattr(folder.Folder, "discard", die),
    "before its files are removed": lambda: setattr(folder.shutil, "rmtree", die),
}[point]()
import asyncio
from tests.contract.provision_once import main
asyncio.run(main(*sys.argv[1:]))
"""


def killed(place: Place, point: str, verb: str, resource: ResourceSpec) -> None:
    where = (place.home, verb, resource.resource_id, resource.name, resource.password)
    done = subprocess.run(
        [sys.executable, "-c", KILLER, point, DRIVER, *map(str, where)],
        input=b"go\n",
        capture_output=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr


async def only(place: Place, *resources: ResourceSpec) -> bool:
    """Whether exactly these have a database and a role each, and one server runs."""
    tags = sorted(f"deployd resource {one.resource_id}" for one in resources for _ in range(2))
    return sorted(tag for _, tag in await place.objects()) == tags and len(place.servers()) == 1


@pytest.mark.parametrize(
    "point",
    [
        "before the intent",
        "before the data",
        "after the data",
        "before the start",
        "while it starts",
        "before its port is on record",
    ],
)
async def test_killed_while_the_server_is_made(place: Place, point: str) -> None:
    resource = place.resource()
    killed(place, point, "apply", resource)
    assert (place.server_home / "data").exists() == (point not in {"before the intent", "before the data"})
    outputs = await place.apply(resource)
    assert await query(outputs, "select 1")
    assert await only(place, resource)
    assert not list(place.server_home.glob("part-*"))
    assert (place.server_home / "port").read_text() == outputs["port"]


@pytest.mark.parametrize("point", ["before the role", "before the database", "before its comment"])
async def test_killed_while_the_database_is_made(place: Place, point: str) -> None:
    first = place.resource()
    await place.apply(first)
    adopted, dropped = place.resource("adopted"), place.resource("dropped")
    for resource in (adopted, dropped):
        killed(place, point, "apply", resource)
        assert await place.driver.observe(resource) in {Health.MISSING, Health.HEALTHY}
    outputs = await place.apply(adopted)
    assert await query(outputs, "select 1")
    await place.destroy(dropped)
    assert await only(place, first, adopted)


@pytest.mark.parametrize("point", ["before the start", "while it starts", "before its port is on record"])
async def test_killed_while_it_comes_back(place: Place, point: str) -> None:
    resource = place.resource()
    outputs = await place.apply(resource)
    await query(outputs, "create table kept (x int)")
    await place.suspend(resource)
    killed(place, point, "apply", resource)
    assert await place.apply(resource) == outputs
    await query(outputs, "table kept")
    assert await only(place, resource)


async def test_killed_before_a_dropped_database_is_forgotten(place: Place) -> None:
    first, resource = place.resource(), place.resource()
    await place.apply(first)
    await place.apply(resource)
    killed(place, "before it is forgotten", "destroy", resource)
    assert await place.driver.observe(resource) is Health.MISSING
    await place.destroy(resource)
    assert await only(place, first)
    assert len(list((place.server_home / "resources").iterdir())) == 1


LAST = [
    "before it is forgotten",
    "before the server stops",
    "after the server has stopped",
    "before it is discarded",
    "before its files are removed",
]


@pytest.mark.parametrize("point", LAST)
async def test_killed_while_the_last_one_goes(place: Place, point: str) -> None:
    resource = place.resource()
    await place.apply(resource)
    killed(place, point, "destroy", resource)
    await place.destroy(resource)
    assert place.servers() == []
    assert {one.name for one in place.home.iterdir()} == {"7.lock"}


@pytest.mark.parametrize("point", LAST[1:])
async def test_what_half_went_is_no_part_of_what_comes(place: Place, point: str) -> None:
    """The world's last database was destroyed, and deployd died; then another one is wanted."""
    resource, other = place.resource(), place.resource("other")
    await place.apply(resource)
    killed(place, point, "destroy", resource)
    await place.apply(other)
    assert await only(place, other)
    await place.destroy(resource)
    assert await only(place, other)


@pytest.mark.parametrize("point", ["before the server stops", "after the server has stopped"])
async def test_killed_while_it_is_suspended(place: Place, point: str) -> None:
    resource = place.resource()
    outputs = await place.apply(resource)
    await query(outputs, "create table kept (x int)")
    killed(place, point, "suspend", resource)
    await place.suspend(resource)
    assert place.servers() == []
    assert await place.apply(resource) == outputs
    await query(outputs, "table kept")


async def test_a_dropping_that_was_cut_off(place: Place) -> None:
    first, resource = place.resource(), place.resource()
    await place.apply(first)
    for again in (place.apply, place.destroy):
        outputs = await place.apply(resource)
        # As Postgres leaves it when its server dies while files are removed.
        await place.administer(
            f"update pg_database set datconnlimit = -2 where datname = '{outputs['database']}'"
        )
        assert await place.driver.observe(resource) is Health.MISSING
        await again(resource)
    assert await only(place, first)
