"""Worlds full of services, written straight into deployd's schema: nobody works at them, they are there.

Each service serves a release by its second deployment, and has one resource; every machine has its
transitions. Nothing of it is ever due, and all of it belongs to another host.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import asyncpg

from deployd.model.facts import DeploymentFacts, Facts, ResourceFacts, ServiceFacts, Source
from deployd.model.reason import Reason
from deployd.model.spec import HealthSpec, ResourceNeed, ScaleSpec, ServiceSpec, SizeSpec
from deployd.model.state import Health
from deployd.store.codec import encode

__all__ = ["populate"]

_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_ELSEWHERE = "elsewhere"
_MACHINES = (
    *("world_id", "id", "kind", "state", "name", "service_id", "placement", "facts"),
    *("created_at", "updated_at"),
)
_RELEASES = ("world_id", "id", "service_id", "number", "spec", "source", "created_at", "fingerprint")
_TRANSITIONS = (
    *("world_id", "seq", "at", "machine_id", "kind", "service_id", "trigger", "from_state", "to_state"),
    *("actor", "reason"),
)
_UNWELL = Reason("UNHEALTHY", "it does not answer", "GET /healthz: 503", "See its log.", key="health")
_DEPLOYED = ("fetching", "planning", "building", "provisioning", "releasing", "verifying", "succeeded")

Row = tuple[Any, ...]


async def populate(dsn: str, world: str, services: int) -> None:
    """Fill a new world of this name, in a database that is migrated."""
    connection = await asyncpg.connect(dsn)
    try:
        world_id = await connection.fetchval(
            "insert into worlds (name, capabilities) values ($1, $2::text::jsonb) returning world_id",
            world,
            '{"main": {"driver": "deploy:process"}}',
        )
        made = _World(world_id)
        for number in range(services):
            made.add(number)
        last = made.transitions[-1]
        async with connection.transaction():
            for table, columns, rows in (
                ("machines", _MACHINES, made.machines),
                ("releases", _RELEASES, made.releases),
                ("transitions", _TRANSITIONS, made.transitions),
            ):
                await connection.copy_records_to_table(table, records=rows, columns=columns)
            await connection.execute(
                "insert into world_heads (world_id, seq, at) values ($1, $2, $3)", world_id, last[1], last[2]
            )
        await connection.execute("vacuum (analyze) machines, releases, transitions")
    finally:
        await connection.close()


class _World:
    """All rows of it."""

    def __init__(self, world_id: int) -> None:
        self.machines: list[Row] = []
        self.releases: list[Row] = []
        self.transitions: list[Row] = []
        self._world_id = world_id
        self._space = UUID(int=world_id)
        self._clock = _moments()

    def add(self, number: int) -> None:
        """A service with its resource, its releases and its deployments."""
        name = f"service-{number:05}"
        service, resource = self._id(name), self._id(f"{name}/db")
        unwell = number % 20 == 7
        spec = ServiceSpec(
            name,
            run=f"python3 -m {name.replace('-', '_')}",
            ports={"http": 8080},
            health=HealthSpec("/healthz"),
            size=SizeSpec(0.5, 256 * 2**20),
            scale=ScaleSpec(2, 4),
            env={"LOG_LEVEL": "info", "DATABASE_URL": "${resources.db.url}", "KEY": "${secrets.payment}"},
            resources={"db": ResourceNeed("postgres")},
        )
        facts = ResourceFacts(
            f"{name}/db",
            "postgres",
            "main",
            slug="postgres",
            users=(service,),
            outputs=("host", "port", "database", "username", "password", "url"),
            health=Health.HEALTHY,
        )
        self._machine(resource, "resource", ("requested", "creating", "ready"), facts, service, facts.name)
        releases = [self._deploy(name, service, resource, spec, number) for number in (1, 2)]
        serving = ServiceFacts(
            name,
            serving=releases[1],
            previous=releases[0],
            resources=(resource,),
            health=Health.DEGRADED if unwell else Health.HEALTHY,
            address="http://127.0.0.1:20001",
            url=f"http://{name}.localhost:8080",
            urls=(f"http://{name}.localhost:8080", f"https://shop.example.com/{name}"),
            pid=4000 + number,
            running=2,
            reason=_UNWELL if unwell else None,
        )
        self._machine(service, "service", ("idle", "deploying", "serving"), serving, service, name)

    def _deploy(self, name: str, service: UUID, resource: UUID, spec: ServiceSpec, number: int) -> UUID:
        deployment, release = self._id(f"{name} {number}"), self._id(f"{name} release {number}")
        at = next(self._clock)
        source = Source(
            tree="4b825dc642cb6eb9a060e54bf8d69288fbee4904", repository="https://git/shop", ref="main"
        )
        self.releases.append(
            (self._world_id, release, service, number, encode(spec), encode(source), at, f"{release.hex}")
        )
        facts = DeploymentFacts(
            name,
            at,
            "person:ada",
            spec,
            source,
            fingerprint=release.hex,
            resources=(resource,),
            release_id=release,
            actions=(f"start {name}", f"route {name}.localhost", "stop the release before"),
            address="http://127.0.0.1:20001",
            url=f"http://{name}.localhost:8080",
        )
        self._machine(deployment, "deployment", ("queued", *_DEPLOYED), facts, service, None)
        return release

    def _machine(
        self, id_: UUID, kind: str, states: tuple[str, ...], facts: Facts, service: UUID, name: str | None
    ) -> None:
        began = next(self._clock)
        for before, state in itertools.pairwise((None, *states)):
            at = next(self._clock)
            self.transitions.append(
                (
                    *(self._world_id, len(self.transitions) + 1, at, id_, kind, service),
                    *("begin" if before is None else "go_on", before, state, "deployd", None),
                )
            )
        self.machines.append(
            (
                *(self._world_id, id_, kind, states[-1], name, None if kind == "resource" else service),
                *(_ELSEWHERE, encode(facts), began, next(self._clock)),
            )
        )

    def _id(self, name: str) -> UUID:
        return uuid5(self._space, name)


def _moments() -> Iterator[datetime]:
    """One each millisecond."""
    return (_BEGAN + timedelta(milliseconds=number) for number in itertools.count())
