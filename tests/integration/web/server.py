"""A served application on a real port, and clients that speak HTTP and graphql-transport-ws with it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

import aiohttp

from deployd.drivers import registry
from deployd.drivers.api import (
    Deployer,
    Done,
    DriverContext,
    LogLine,
    LogPage,
    Observation,
    Plan,
    Progress,
    ReleaseSpec,
    ServiceRef,
    Supports,
)
from deployd.engine.access import Access
from deployd.engine.auditing import Auditing
from deployd.engine.birth import birth
from deployd.engine.bus import Bus
from deployd.engine.committer import Committer
from deployd.engine.context import Driver
from deployd.engine.maintaining import Maintaining
from deployd.engine.operations import Operations
from deployd.engine.secrets import Secrets
from deployd.errors import InputError
from deployd.graphql.context import Api
from deployd.model.facts import DeploymentFacts, Facts, ServiceFacts, Source
from deployd.model.identifier import new_id
from deployd.model.retention import Retention
from deployd.model.spec import ServiceSpec
from deployd.model.world import SYSTEM
from deployd.sources.trees import Trees
from deployd.store import machines, worlds
from deployd.store.commit import Birth, Step
from deployd.store.database import Database
from deployd.store.vault import Vault
from deployd.telemetry.tracing import Tracer
from deployd.web.application import application
from deployd.web.guard import LOOPBACK_HOSTS
from deployd.web.serving import Running, start

PROTOCOL = "graphql-transport-ws"


class Silent:
    """A deployer that keeps no logs."""

    supports = Supports(runs="tree")

    async def plan(self, service: ServiceRef, release: ReleaseSpec) -> Plan:
        return Plan()

    async def apply(self, service: ServiceRef, release: ReleaseSpec, *, alone: bool) -> Progress:
        return Done()

    async def observe(self, service: ServiceRef) -> Observation:
        return Observation()

    async def destroy(self, service: ServiceRef, release_id: UUID | None = None) -> Progress:
        return Done()


@dataclass
class Talking(Silent):
    """One that does: a cursor is the number of lines before it."""

    lines: list[str] = field(default_factory=list)
    asked: set[ServiceRef] = field(default_factory=set)

    async def read_logs(self, service: ServiceRef, after: str | None, limit: int) -> LogPage:
        self.asked.add(service)
        if after is not None and not after.isdecimal():
            raise InputError(f"{after!r} is no cursor")
        begin = max(0, len(self.lines) - limit) if after is None else int(after)
        found = self.lines[begin : begin + limit]
        at = datetime(2026, 1, 1, tzinfo=UTC)
        return LogPage(tuple(LogLine(at, "stdout", "1", text) for text in found), str(begin + len(found)))


class Socket:
    """A client's end of graphql-transport-ws."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def send(self, **message: object) -> None:
        await self.ws.send_json(message)

    async def receive(self) -> dict[str, Any]:
        message = await self.ws.receive(timeout=10)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        content: dict[str, Any] = message.json()
        return content

    async def closed(self) -> int:
        """The code with which the server ends the connection."""
        while True:
            message = await self.ws.receive(timeout=10)
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED):
                assert self.ws.close_code is not None
                return self.ws.close_code

    async def init(self, payload: Mapping[str, object] | None = None) -> Self:
        await self.send(type="connection_init", **({} if payload is None else {"payload": payload}))
        assert await self.receive() == {"type": "connection_ack"}
        return self

    async def subscribe(
        self,
        query: str,
        variables: Mapping[str, object] | None = None,
        id: str = "1",  # noqa: A002
    ) -> None:
        await self.send(type="subscribe", id=id, payload={"query": query, "variables": variables})

    async def next(self) -> dict[str, Any]:
        """The payload of the next event."""
        message = await self.receive()
        assert message["type"] == "next", message
        payload: dict[str, Any] = message["payload"]
        return payload


@dataclass
class Served:
    """A server, and what it is made of."""

    running: Running
    api: Api
    committer: Committer
    db: Database
    session: aiohttp.ClientSession
    world_id: int

    @property
    def url(self) -> str:
        return self.running.url

    async def post(self, query: str, headers: Mapping[str, str] | None = None, **variables: object) -> Any:
        """The answer's body to a query."""
        body = {"query": query, "variables": variables}
        async with self.session.post(f"{self.url}/graphql", json=body, headers=headers) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def data(self, query: str, **variables: object) -> Any:
        """Its data, where nothing went wrong."""
        answer = await self.post(query, None, **variables)
        assert "errors" not in answer, answer
        return answer["data"]

    @asynccontextmanager
    async def connect(
        self, headers: Mapping[str, str] | None = None, protocols: Sequence[str] = (PROTOCOL,)
    ) -> AsyncIterator[Socket]:
        async with self.session.ws_connect(f"{self.url}/graphql", headers=headers, protocols=protocols) as ws:
            yield Socket(ws)

    def deployment(self, service: str = "cart", service_id: UUID | None = None) -> Birth:
        facts = DeploymentFacts(
            service,
            datetime.now(UTC),
            "person:ada",
            ServiceSpec(service),
            Source("/x"),
            actions=("start",),
        )
        return birth(self.world_id, new_id(), facts, "person:ada", service_id=service_id or uuid4())

    def service(self, name: str, **facts: Any) -> Birth:
        machine_id = new_id()
        return birth(
            self.world_id,
            machine_id,
            ServiceFacts(name, **facts),
            "person:ada",
            name=name,
            service_id=machine_id,
        )

    async def move(
        self, machine_id: UUID, *steps: tuple[str | None, str], facts: Facts | None = None
    ) -> None:
        """Take a machine along (trigger or None, state), each committed by itself and with these facts."""
        owner = uuid4()
        held = {one.machine.id: one.machine for one in await machines.claim(self.db, owner, ["here"], 1000)}
        machine = held[machine_id]
        for trigger, state in steps:
            applied = await self.committer.step(
                Step(
                    machine=machine,
                    owner=owner,
                    trigger=trigger,
                    to_state=state,
                    keep=True,
                    actor="deployd",
                    facts=facts,
                )
            )
            assert applied is not None
            machine = replace(machine, state=state, version=machine.version + 1)
        await self.db.pool.execute("update machines set owner = null, due_at = now()")


@asynccontextmanager
async def serve(
    db: Database,
    *,
    trust_loopback: bool = True,
    driver: Deployer | None = None,
    hints: bool = True,
    tracer: Tracer | None = None,
    world: str = "local",
    port: int = 0,
) -> AsyncIterator[Served]:
    """`hints` False: nobody is ever told of a commit."""
    bus = Bus(db)
    committer = Committer(db, bus.committed if hints else lambda *_: None)
    running_committer = asyncio.create_task(committer.run())
    deployer: Deployer = driver or Silent()

    async def find(world_id: int, capability: str) -> Deployer:
        return deployer

    place = await worlds.get(db, world)
    assert place is not None
    operations = Operations(db, committer, "here")
    await worlds.add(db, SYSTEM, {})
    system = await worlds.get(db, SYSTEM)
    assert system is not None
    access, auditing = Access(operations, system.world_id, bus.revoked), Auditing(db, system.world_id)
    context = DriverContext(
        Path("/nonexistent"), "here"
    )  # nothing is asked of these drivers but what they are

    def make(name: str, config: Mapping[str, object]) -> Driver:
        return registry.create(name, config, context)

    async def drivers() -> Sequence[Driver]:
        return [deployer]

    sources = Trees(Path(tempfile.gettempdir()) / f"deployd-no-sources-{new_id()}")
    maintaining = Maintaining(db, sources, "here", Retention(), drivers)
    secret = Secrets(operations, Vault(db, b"k" * 32))
    api = Api(operations, db, bus, find, secret, access, auditing, make, maintaining)
    app = application(api, trust_loopback=trust_loopback, allowed_hosts=LOOPBACK_HOSTS, tracer=tracer)
    try:
        async with (
            auditing.running(),
            await start(app, "127.0.0.1", port) as running,
            aiohttp.ClientSession() as session,
        ):
            yield Served(running, api, committer, db, session, place.world_id)
    finally:
        committer.stop()
        await running_committer
