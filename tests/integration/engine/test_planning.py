"""A plan says what a deployment would do, item by item, and does nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from deployd.engine.context import ENTRYPOINT
from deployd.engine.outcome import Go
from deployd.engine.provisioning import provide
from deployd.errors import Conflict
from deployd.model.facts import ChangeFacts, ResourceFacts
from deployd.model.machine import Machine
from deployd.model.plan import PlanAction, PlanField, PlanItem, PlanKind
from deployd.model.spec import ResourceNeed
from deployd.model.state import Health, MachineKind, Ownership
from deployd.model.world import Capability, Gate
from deployd.store import machines, releases, worlds
from deployd.store.commit import Post
from deployd.store.database import Database
from tests.house import ADA, House, deployment_facts, house

FIRST = """\
deployd: 1
services:
  cart:
    build: cart
    run: ok
    port: 80
    env: {LOG_LEVEL: info, OLD: x, KEY: "${secrets.payment}", URL: "${resources.db.url}"}
    resources: {db: postgres, old: postgres, all: {slug: postgres, shared: orders}}
    routes: [{host: shop.test, path: /cart, gate: public}, {host: old.test}]
  web: {build: web, run: ok, port: 80, routes: [{host: shop.test}]}
  mail: {build: mail, run: ok, resources: {all: {slug: postgres, shared: orders}}}
  gone: {build: mail, run: ok}
  tidy: {build: mail, run: ok, schedule: "0 3 * * *"}
"""
SECOND = """\
deployd: 1
services:
  cart:
    build: cart
    run: ok
    port: 80
    env: {LOG_LEVEL: debug, KEY: "${secrets.payment}", URL: "${resources.db.url}"}
    resources: {db: {slug: postgres, params: {connections: 30}}}
    rollout: recreate
    routes: [{host: shop.test, path: /cart, gate: office}, {host: new.test}]
  web: {build: web, run: ok, port: 80, routes: [{host: shop.test}]}
  mail: {build: mail, run: ok, resources: {all: {slug: postgres, shared: orders}}}
  tidy: {build: mail, run: ok, schedule: "0 4 * * *"}
  search: {build: web, run: ok, resources: {index: postgres}}
"""
S, R, W = PlanKind.SERVICE, PlanKind.RESOURCE, PlanKind.ROUTE


@pytest.fixture
async def home(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    await worlds.add_capability(database, "local", "data", Capability("local/postgres"))
    await worlds.add_capability(database, "local", ENTRYPOINT, Capability("route:standin"))
    local = await worlds.get(database, "local")
    assert local is not None
    await worlds.set_gates(database, local.world_id, {"public": Gate(), "office": Gate(("10.0.0.0/8",))})
    async with house(database, tmp_path) as running:
        await running.context.vault.set_secret(running.world_id, "payment", "hunter2hunter2", ADA.name)
        yield running


def write(home: House, manifest: str, **files: str) -> str:
    folder = home.home / "shop"
    for name in ("cart", "web", "mail"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        content = files.get(name)
        if content is not None or not (folder / name / "file").exists():
            (folder / name / "file").write_text(content or "1")
    (folder / "deployd.yaml").write_text(manifest)
    return str(folder)


async def planned(
    home: House, folder: str, *services: str, state: str = "planned", everything: bool = False
) -> Machine:
    """The plan; it left no trace but its own: nothing was born, asked, called or moved."""
    journal, before, moved = home.folder.journal(), await standing(home), len(await home.history())
    change = await home.operations.deploy(ADA, "local", folder, services, dry_run=True, everything=everything)
    ended = await home.until(change.id, state)
    assert known(ended).deployments == ()
    assert home.folder.journal() == journal
    after = await standing(home)
    assert after.pop(change.id) == state
    assert after == before
    others = [one for one in (await home.history())[moved:] if one.machine_id != change.id]
    assert {one.trigger for one in others} <= {"report"}, "services look around meanwhile"
    assert await home.db.pool.fetchval("select count(*) from mailbox") == 0
    return ended


async def standing(home: House) -> dict[UUID, str]:
    return {row["id"]: row["state"] for row in await home.db.pool.fetch("select id, state from machines")}


async def deployed(home: House, folder: str) -> Machine:
    """The change, once all of it is done and at rest."""
    change = await home.operations.deploy(ADA, "local", folder)
    ended = await home.until(change.id, "done")
    for one in await machines.list_kind(home.db, home.world_id, MachineKind.SERVICE):
        await home.until(one.id, "serving", "suspended")
    return ended


def known(machine: Machine) -> ChangeFacts:
    assert isinstance(machine.facts, ChangeFacts)
    return machine.facts


def actions(machine: Machine) -> dict[tuple[str, str], str]:
    return {(one.kind, one.name): str(one.action) for one in known(machine).items}


def item(machine: Machine, kind: PlanKind, name: str) -> PlanItem:
    [found] = [one for one in known(machine).items if (one.kind, one.name) == (kind, name)]
    return found


async def test_a_plan_and_its_deployment_say_the_same(home: House) -> None:
    folder = write(home, FIRST)
    plan = await planned(home, folder)
    assert await home.path(plan.id) == ["received", "planning", "planned"]
    assert set(actions(plan).values()) == {"create"}
    assert list(actions(plan)) == [
        *((S, name) for name in ("cart", "web", "mail", "gone", "tidy")),
        *((R, name) for name in ("cart/db", "cart/old", "orders")),
        *((W, name) for name in ("shop.test/cart", "old.test/", "shop.test/")),
    ]
    cart = {one.path: (one.before, one.after) for one in item(plan, S, "cart").fields}
    assert cart["env.KEY"] == (None, "${secrets.payment}")
    assert cart["source"] == (None, known(plan).source.tree)
    assert item(plan, R, "orders").why == "cart, mail need it"
    assert item(plan, R, "orders").fields[0] == PlanField("slug", None, "postgres")

    change = await deployed(home, folder)
    assert known(change).items == known(plan).items
    assert known(change).plan_hash == known(plan).plan_hash

    again = await planned(home, folder)
    assert set(actions(again).values()) == {"nothing"}
    assert set(actions(again)) == set(actions(plan))
    assert item(again, S, "cart").why == "it serves this already"


async def test_what_becomes_of_each_item(home: House) -> None:
    await deployed(home, write(home, FIRST))
    folder = write(home, SECOND, web="2")
    plan = await planned(home, folder)
    assert actions(plan) == {
        (S, "cart"): "roll",
        (S, "web"): "roll",
        (S, "mail"): "nothing",
        (S, "tidy"): "change",
        (S, "search"): "create",
        (S, "gone"): "nothing",
        (R, "cart/db"): "change",
        (R, "cart/old"): "orphan",
        (R, "orders"): "change",
        (R, "search/index"): "create",
        (W, "shop.test/cart"): "change",
        (W, "new.test/"): "create",
        (W, "shop.test/"): "nothing",
        (W, "old.test/"): "delete",
    }
    cart = item(plan, S, "cart")
    told = {one.path: (one.before, one.after) for one in cart.fields}
    assert told == {
        "env.LOG_LEVEL": ("info", "debug"),
        "env.OLD": ("x", None),
        "resources.db.params.connections": (None, "30"),
        "resources.all": ("postgres", None),
        "resources.all.shared": ("orders", None),
        "resources.old": ("postgres", None),
        "rollout": (None, "recreate"),
        "routes.shop.test/cart": ("entrypoint, gate public", "entrypoint, gate office"),
        "routes.new.test/": (None, "entrypoint"),
        "routes.old.test/": ("entrypoint", None),
    }
    assert cart.why == "recreate: release 1 ends before the new release starts"
    first = (await releases.list_of(home.db, home.world_id, (await home.service("web")).id, 1))[0]
    web = item(plan, S, "web")
    assert web.fields == (PlanField("source", first.source.tree, known(plan).source.tree),)
    assert web.why == "rolling: release 1 ends once the new release is healthy"
    assert item(plan, S, "tidy").fields == (PlanField("schedule", "0 3 * * *", "0 4 * * *"),)
    assert item(plan, S, "gone").notes == ("to end it: deployd retire gone",)
    assert item(plan, R, "cart/db").fields == (PlanField("params.connections", "20", "30"),)
    assert item(plan, R, "orders").fields == (PlanField("services", "cart, mail", "mail"),)
    assert item(plan, W, "shop.test/cart").fields == (PlanField("gate", "public", "office"),)
    assert not any(one.approval for one in known(plan).items)

    await deployed(home, folder)
    async with asyncio.timeout(20):  # until it rests, which is the last that becomes of it
        while True:
            old = await machines.get_named(home.db, home.world_id, MachineKind.RESOURCE, "cart/old")
            if old is not None and isinstance(old.facts, ResourceFacts) and old.facts.suspended:
                break
            await asyncio.sleep(0.01)
    assert old.facts.ownership is Ownership.ORPHANED
    assert (await home.service("gone")).state == "serving"
    back = await planned(home, write(home, FIRST))
    assert item(back, R, "cart/old").action is PlanAction.CHANGE
    assert item(back, R, "cart/old").fields[0] == PlanField("ownership", "orphaned", "managed")
    assert item(back, R, "cart/old").why == "it is taken back with its data; cart has it then"


async def test_secrets_are_told_without_what_they_are(home: House) -> None:
    folder = write(home, FIRST)
    await deployed(home, folder)
    await home.context.vault.set_secret(home.world_id, "payment", "correct horse battery", ADA.name)
    plan = await planned(home, folder)
    assert {name for (_, name), action in actions(plan).items() if action != "nothing"} == {"cart"}
    assert item(plan, S, "cart").fields == (PlanField("secrets.payment"),)
    texts = await home.db.pool.fetch("select facts::text as text from machines")
    assert not any("hunter2" in row["text"] or "battery" in row["text"] for row in texts)


async def test_what_is_named_and_what_does_not_run(home: House) -> None:
    folder = write(home, FIRST)
    await deployed(home, folder)
    plan = await planned(home, folder, "mail")
    assert {name: action for (kind, name), action in actions(plan).items() if kind == S} == {
        "cart": "nothing",
        "web": "nothing",
        "mail": "roll",
        "gone": "nothing",
        "tidy": "nothing",
    }
    assert item(plan, S, "mail").why.startswith("it was named; rolling")
    assert item(plan, S, "cart").why == "it was not asked for"
    everything = await planned(home, folder, everything=True)
    assert item(everything, S, "web").why.startswith("everything was asked for; ")
    await home.operations.suspend(ADA, "local", "web")
    await home.until((await home.service("web")).id, "suspended")
    suspended = item(await planned(home, folder), S, "web")
    assert suspended.action is PlanAction.ROLL
    assert suspended.why == "it is suspended at release 1, and starts again with the new release"

    mail = await home.service("mail")
    (running,) = home.running(mail.id)
    sick = home.folder.root / str(mail.id) / running
    sick.rename(sick.with_suffix(".sick"))
    await home.committer.store(posts=(Post(home.world_id, mail.id, "wake", "test"),))
    async with asyncio.timeout(20):
        while (await home.facts("mail")).health is not Health.DEGRADED:
            await asyncio.sleep(0.01)
    assert item(await planned(home, folder), S, "mail").why.startswith("it is degraded; ")


async def test_a_plan_fails_as_the_deployment_would(home: House) -> None:
    folder = write(home, FIRST.replace("mail, run: ok", "mail, run: refused"))
    plan = await planned(home, folder, state="failed")
    change = await home.operations.deploy(ADA, "local", folder)
    assert known(plan).reason == known(await home.until(change.id, "failed")).reason
    assert known(plan).reason is not None
    wrong = await planned(home, write(home, "deployd: 1\nservices: {cart: {rum: ok}}"), state="failed")
    assert known(wrong).reason is not None


async def test_one_key_is_a_plan_or_a_deployment(home: House) -> None:
    folder = write(home, FIRST)
    first = await home.operations.deploy(ADA, "local", folder, key="k", dry_run=True)
    assert (await home.operations.deploy(ADA, "local", folder, key="k", dry_run=True)).id == first.id
    with pytest.raises(Conflict):
        await home.operations.deploy(ADA, "local", folder, key="k")


# -- approvals


async def test_a_plan_awaits_no_approval_and_says_what_would(home: House, database: Database) -> None:
    await database.pool.execute(
        "update worlds set capabilities = jsonb_set(capabilities, '{main,approval}', 'true')"
        " where name = 'local'"
    )
    await asyncio.sleep(1.05)  # for which what was read of worlds is believed
    # Without what services share: whoever comes second plans otherwise, and asks again.
    folder = write(home, FIRST.replace(", all: {slug: postgres, shared: orders}", ""))
    plan = await planned(home, folder)
    assert all(one.approval for one in known(plan).items)
    change = await home.operations.deploy(ADA, "local", folder)
    waiting = await home.until(change.id, "awaiting_approval")
    assert known(waiting).items == known(plan).items
    await home.operations.approve(ADA, change.id, str(known(plan).plan_hash))
    await home.until(change.id, "done")


async def test_what_loses_data_waits_for_an_approval_of_exactly_that(home: House) -> None:
    await deployed(home, write(home, FIRST))
    home.provisioner.replacing = frozenset({"connections"})
    folder = write(home, FIRST.replace("db: postgres", "db: {slug: postgres, params: {connections: 30}}"))
    plan = await planned(home, folder)
    data = item(plan, R, "cart/db")
    assert (data.action, data.approval) == (PlanAction.REPLACE, True)
    assert data.fields == (PlanField("params.connections", "20", "30"),)
    assert [one.name for one in known(plan).items if one.approval] == ["cart/db"]

    change = await home.operations.deploy(ADA, "local", folder)
    waiting = await home.until(change.id, "awaiting_approval")
    made = home.folder.journal()
    await home.operations.approve(ADA, change.id, str(known(waiting).plan_hash))
    await home.until(change.id, "done")
    assert home.folder.journal() != made
    [deployment] = await home.deployments(change.id)
    assert deployment_facts(deployment).replaces == ("cart/db",)
    assert "awaiting_approval" not in await home.path(deployment.id)
    assert [one.action for one in known(await planned(home, folder)).items if one.changes] == []

    # Going back would replace it again; who rolls back has not looked at that.
    await home.until((await home.service("cart")).id, "serving")
    await home.operations.rollback(ADA, "local", "cart")
    async with asyncio.timeout(20):
        while not (back := await _newest(home, "cart", "rollback")):
            await asyncio.sleep(0.01)
    waiting = await home.until(back.id, "awaiting_approval")
    await home.operations.cancel(ADA, back.id)
    await home.until(back.id, "cancelled")


async def test_what_no_plan_said_is_not_replaced(home: House) -> None:
    """The resource may have become another one after the deployment planned."""
    change = await deployed(home, write(home, FIRST))
    cart = next(one for one in await home.deployments(change.id) if deployment_facts(one).service == "cart")
    facts = deployment_facts(cart)
    more = {**facts.spec.resources, "db": ResourceNeed("postgres", {"connections": 30})}
    home.provisioner.replacing = frozenset({"connections"})
    wants = replace(facts, spec=replace(facts.spec, resources=more))
    outcome = await provide(home.context, replace(cart, facts=wants))
    assert isinstance(outcome, Go)
    assert outcome.reason is not None
    assert (outcome.trigger, outcome.reason.code) == ("fail", "REPLACEMENT_NOT_PLANNED")
    planned_so = replace(wants, replaces=("cart/db",))
    outcome = await provide(home.context, replace(cart, facts=planned_so))
    assert [one.trigger for one in outcome.posts] == ["use"]


async def _newest(home: House, name: str, purpose: str) -> Machine | None:
    service = await home.service(name)
    found = await machines.list_deployments(home.db, home.world_id, service.id, 1)
    return found[0] if found and deployment_facts(found[0]).purpose == purpose else None
