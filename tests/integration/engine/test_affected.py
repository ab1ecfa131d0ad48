"""A change deploys what it affects: a monorepo's history, commit by commit, and what else decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployd.engine import reading
from deployd.engine.restraint import Restraint
from deployd.engine.wanted import Patch, Repository
from deployd.errors import Conflict, InputError
from deployd.manifest import Manifest, find
from deployd.model.facts import ChangeFacts
from deployd.model.machine import Machine
from deployd.model.state import Health
from deployd.store import releases
from deployd.store.commit import Post
from deployd.store.database import Database
from tests.house import ADA, House, deployment_facts, house
from tests.integration.sources import repositories
from tests.integration.sources.repositories import Repository as Made

MANIFEST = """\
deployd: 1
services:
  cart: {build: services/cart, port: 80}
  catalog: {build: {context: ., dockerfile: services/catalog/Dockerfile}, port: 80}
  web: {build: services/web, port: 80}
  worker: {build: services/worker, run: ok}
  report: {build: services/report, port: 80}
  all: {run: ok}
"""
SHOP = {
    "deployd.yaml": MANIFEST,
    "README.md": "shop",
    "libs/common/common.py": "1",
    "libs/other/other.py": "1",
    "proto/order.proto": "1",
    "services/cart/Dockerfile": "FROM python\nCOPY . /app\n",
    "services/cart/.dockerignore": "tests\n*.md\n!NOTICE.md\n",
    "services/cart/cart.py": "1",
    "services/cart/README.md": "1",
    "services/cart/NOTICE.md": "1",
    "services/cart/tests/test_cart.py": "1",
    "services/catalog/Dockerfile": (
        "FROM python AS base\nCOPY libs/common /libs\nFROM base\nCOPY services/catalog/*.py /app/\n"
    ),
    "services/catalog/catalog.py": "1",
    "services/catalog/notes.txt": "1",
    "services/web/Dockerfile": (
        "ARG SOURCES=src\nFROM node AS tests\nCOPY tests /tests\nRUN test\n"
        "FROM node AS built\nARG SOURCES\nCOPY package*.json /\nCOPY ${SOURCES} /src\nRUN build\n"
        "FROM nginx\nCOPY --from=built /dist /www\nCOPY <<EOF /etc/nginx.conf\nlisten 80;\nEOF\n"
    ),
    "services/web/package.json": "1",
    "services/web/package-lock.json": "1",
    "services/web/src/deep/page.js": "1",
    "services/web/tests/page.js": "1",
    "services/worker/worker.py": "1",
    "services/worker/Dockerfile": "FROM python\nCOPY worker.py /\n",
    "services/worker/helper.py": "1",
    "services/report/Dockerfile": "FROM python\nCOPY report.py /\n",
    "services/report/report.py": "1",
}
HISTORY: list[tuple[dict[str, str | None], set[str]]] = [
    ({"README.md": "a shop"}, {"all"}),
    ({"services/cart/cart.py": "2"}, {"all", "cart"}),
    ({"services/cart/README.md": "2", "services/cart/tests/test_cart.py": None}, {"all"}),
    ({"services/cart/NOTICE.md": "2"}, {"all", "cart"}),
    ({"libs/common/common.py": "2"}, {"all", "catalog"}),
    ({"libs/other/other.py": "2", "services/catalog/notes.txt": "2"}, {"all"}),
    ({"services/web/tests/page.js": "2"}, {"all"}),
    ({"services/web/src/deep/new.js": "1", "services/web/package-lock.json": "2"}, {"all", "web"}),
    ({"services/worker/helper.py": "2"}, {"all", "worker"}),
    ({"proto/order.proto": "2"}, {"all", "report"}),
    ({"deployd.yaml": MANIFEST.replace("web, port: 80}", "web, port: 81}")}, {"web"}),
    ({"services/cart/.dockerignore": "*.md\n"}, {"all", "cart"}),
    ({"services/cart/.dockerignore": SHOP["services/cart/.dockerignore"]}, {"all", "cart"}),
    ({"services/catalog/Dockerfile": "FROM python\nCOPY $UNKNOWN /app\n"}, {"all", "catalog"}),
    ({"libs/other/other.py": "3"}, {"all", "catalog"}),
    (
        {"services/report/report.py": "2", "services/web/src/deep/new.js": None},
        {"all", "catalog", "report", "web"},
    ),
    ({}, set()),
]


def write(made: Made, files: dict[str, str | None]) -> str:
    """Commit these; None removes one. The commit's id."""
    for name, text in files.items():
        path = made.path / name
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return made.commit()


@pytest.fixture
async def home(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with house(database, tmp_path) as running:
        yield running


@pytest.fixture
def shop(tmp_path: Path) -> Made:
    return repositories.repository(tmp_path / "shop")


@pytest.fixture
def watching_protocols(monkeypatch: pytest.MonkeyPatch) -> None:
    """`report` has `watch:` in its specification."""

    def found(tree: Path, shown: Path | str | None = None, **how: Any) -> Manifest:
        read = find(tree, shown, **how)
        report = replace(read.services["report"], watch=("/proto/*.proto",))
        return replace(read, services={**read.services, "report": report})

    monkeypatch.setattr(reading, "find", found)


def known(machine: Machine) -> ChangeFacts:
    assert isinstance(machine.facts, ChangeFacts)
    return machine.facts


async def deployed(home: House, change: Machine) -> set[str]:
    """The services that the change deployed, once it is done and they serve."""
    ended = await home.until(change.id, "done")
    made = {deployment_facts(one).service for one in await home.deployments(change.id)}
    for name in made:
        await home.until((await home.service(name)).id, "serving")
    assert not made & set(known(ended).unaffected)
    return made


async def push(home: House, made: Made, *, automatic: bool = True, **more: object) -> Machine:
    repository = Repository(f"file://{made.path}", "main")
    return await home.operations.deploy(
        ADA,
        "local",
        repository=repository,
        automatic=automatic,
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("kind", ["directory", "repository"])
async def test_a_history_commit_by_commit(
    home: House, shop: Made, watching_protocols: None, kind: str
) -> None:
    write(shop, dict(SHOP))
    services = {"all", "cart", "catalog", "report", "web", "worker"}
    for files, expected in [({}, services), *HISTORY]:
        write(shop, files)
        if kind == "repository":
            change = await push(home, shop)
        else:
            change = await home.operations.deploy(ADA, "local", str(shop.path))
        assert await deployed(home, change) == expected, files
        facts = known(await home.get(change.id))
        assert set(facts.unaffected) == services - expected
        assert {line for line in facts.plan if "nothing to do" in line} == {
            f"{name}: nothing to do, it serves this already" for name in services - expected
        }
    await home.check_whole()


async def test_nothing_to_do_is_done_and_says_so(home: House) -> None:
    assert await deployed(home, await home.deploy(cart="ok", web="ok")) == {"cart", "web"}
    change = await home.deploy(cart="ok", web="ok")
    assert await deployed(home, change) == set()
    facts = known(await home.get(change.id))
    assert facts.reason is not None
    assert facts.reason.code == "NOTHING_TO_DO"
    assert facts.reason.summary == (
        "cart: nothing to do, it serves this already; web: nothing to do, it serves this already"
    )
    assert await home.path(change.id) == ["received", "planning", "applying", "done"]


async def test_everything_and_what_is_named(home: House) -> None:
    await deployed(home, await home.deploy(cart="ok", web="ok"))
    source = home.source(cart="ok", web="ok")
    assert await deployed(home, await home.operations.deploy(ADA, "local", source, everything=True)) == {
        "cart",
        "web",
    }
    assert await deployed(home, await home.operations.deploy(ADA, "local", source, ["web"])) == {"web"}
    with pytest.raises(InputError, match="everything, and some"):
        await home.operations.deploy(ADA, "local", source, ["web"], everything=True)


async def test_a_release_keeps_the_fingerprint_and_a_rollback_has_it_again(home: House) -> None:
    await deployed(home, await home.deploy(cart="ok"))
    await deployed(home, await home.deploy(cart="better"))
    service = await home.service("cart")
    second, first = await releases.list_of(home.db, home.world_id, service.id, 9)
    assert len({first.fingerprint, second.fingerprint, ""}) == 3
    await home.operations.rollback(ADA, "local", "cart")
    async with asyncio.timeout(20):
        while (await home.facts("cart")).serving != first.id:
            await asyncio.sleep(0.01)
    assert await deployed(home, await home.deploy(cart="ok")) == set()
    assert await deployed(home, await home.deploy(cart="better")) == set()  # that is held
    await Restraint(home.operations).lift(ADA, "local", "cart")
    async with asyncio.timeout(20):
        while (await home.facts("cart")).holds:
            await asyncio.sleep(0.01)
    assert await deployed(home, await home.deploy(cart="better")) == {"cart"}


async def test_what_does_not_serve_is_deployed(home: House) -> None:
    await deployed(home, await home.deploy(cart="ok"))
    service = await home.service("cart")
    await home.operations.suspend(ADA, "local", "cart")
    await home.until(service.id, "suspended")
    assert await deployed(home, await home.deploy(cart="ok")) == {"cart"}
    await home.operations.retire(ADA, "local", "cart")
    await home.until(service.id, "retired")
    assert await deployed(home, await home.deploy(cart="ok")) == {"cart"}


async def test_what_failed_is_tried_again_and_what_serves_is_not(home: House) -> None:
    await deployed(home, await home.deploy(cart="ok"))
    for _ in range(2):
        await home.until((await home.deploy(cart="sick")).id, "failed")
    await home.until((await home.service("cart")).id, "serving")
    assert await deployed(home, await home.deploy(cart="ok")) == set()


async def test_a_person_mends_what_is_degraded_and_a_trigger_does_not(home: House) -> None:
    await deployed(home, await home.deploy(cart="ok"))
    service = await home.service("cart")
    (running,) = home.running(service.id)
    sick = home.folder.root / str(service.id) / running
    sick.rename(sick.with_suffix(".sick"))
    await home.committer.store(posts=(Post(home.world_id, service.id, "wake", "test"),))
    async with asyncio.timeout(20):
        while (await home.facts("cart")).health is not Health.DEGRADED:
            await asyncio.sleep(0.01)
    source = home.source(cart="ok")
    trigger = await home.operations.deploy(ADA, "local", source, automatic=True)
    assert await deployed(home, trigger) == set()
    assert await deployed(home, await home.operations.deploy(ADA, "local", source)) == {"cart"}


async def test_what_is_being_deployed_counts(home: House) -> None:
    await deployed(home, await home.deploy(cart="ok"))
    under_way = await home.deploy(cart="slow")
    async with asyncio.timeout(20):
        while not await home.deployments(under_way.id):
            await asyncio.sleep(0.005)
    again = await home.deploy(cart="slow")
    await home.until(again.id, "done")
    assert known(await home.get(again.id)).plan == ("cart: nothing to do, it is being deployed already",)
    # What it serves still is not what it will serve.
    back = await home.deploy(cart="ok")
    async with asyncio.timeout(20):
        while not await home.deployments(back.id):
            await asyncio.sleep(0.005)
    await home.operations.cancel(ADA, under_way.id)
    assert await deployed(home, back) == {"cart"}


async def test_what_is_being_given_up_does_not_count(home: House) -> None:
    await deployed(home, await home.deploy(cart="ok"))
    change = await home.deploy(cart="slow")
    async with asyncio.timeout(20):
        while not (made := await home.deployments(change.id)):
            await asyncio.sleep(0.005)
    await home.until(made[0].id, "verifying")
    await home.operations.cancel(ADA, change.id)
    await home.until(change.id, "cancelled")
    await home.until((await home.service("cart")).id, "serving")
    assert await deployed(home, await home.deploy(cart="ok")) == set()


async def test_releases_from_before_there_were_fingerprints(home: House) -> None:
    await deployed(home, await home.deploy(cart="ok"))
    await home.db.pool.execute("update releases set fingerprint = ''")
    assert await deployed(home, await home.deploy(cart="ok")) == {"cart"}
    assert await deployed(home, await home.deploy(cart="ok")) == set()


async def test_one_key_is_one_request(home: House) -> None:
    await home.deploy("k", cart="ok")
    for more in ({"everything": True}, {"automatic": True}):
        with pytest.raises(Conflict):
            await home.operations.deploy(ADA, "local", home.source(cart="ok"), key="k", **more)  # type: ignore[arg-type]


async def test_a_base_is_for_uploads(home: House) -> None:
    source = home.source(cart="ok")
    for patch in (Patch("0" * 40), Patch(removed=("x",))):
        with pytest.raises(InputError, match="only an upload"):
            await home.operations.deploy(ADA, "local", source, patch=patch)


# -- what comes late


def of(run: str, **more: str) -> dict[str, str | None]:
    lines = [f"  {name}: {{build: {name}, run: {how}}}" for name, how in {"cart": run, **more}.items()]
    return {"deployd.yaml": "deployd: 1\nservices:\n" + "\n".join(lines) + "\n", "cart/x": "x", "web/x": "x"}


async def test_a_trigger_never_replaces_a_newer_commit(home: House, shop: Made) -> None:
    older = write(shop, of("one"))
    newer = write(shop, of("two"))
    assert await deployed(home, await push(home, shop)) == {"cart"}
    shop.git("reset", "-q", "--hard", older)
    late = await push(home, shop)
    assert await deployed(home, late) == set()
    facts = known(await home.get(late.id))
    assert facts.source.commit == older
    assert facts.plan == (f"cart: left as it is, it has the newer commit {newer[:12]}",)
    # Named, it is still a trigger that asks. A person may, and so may a trigger after that.
    assert await deployed(home, await push(home, shop, services=["cart"])) == set()
    assert await deployed(home, await push(home, shop, automatic=False)) == {"cart"}
    diverged = write(shop, of("three"))
    assert await deployed(home, await push(home, shop)) == {"cart"}
    release = (await releases.list_of(home.db, home.world_id, (await home.service("cart")).id, 1))[0]
    assert release.source.commit == diverged


async def test_nor_one_that_found_the_service_as_it_should_be(home: House, shop: Made) -> None:
    """In the newest commit `web` is as it was at first, so that there is no newer release of it."""
    first = write(shop, of("one", web="ok"))
    assert await deployed(home, await push(home, shop)) == {"cart", "web"}
    middle = write(shop, of("one", web="changed"))
    last = write(shop, of("two", web="ok"))
    assert await deployed(home, await push(home, shop)) == {"cart"}
    shop.git("reset", "-q", "--hard", middle)
    late = await push(home, shop)
    assert await deployed(home, late) == set()
    assert set(known(await home.get(late.id)).plan) == {
        f"{name}: left as it is, it has the newer commit {last[:12]}" for name in ("cart", "web")
    }
    assert first != middle


async def test_another_branch_and_other_services_are_not_newer(home: House, shop: Made) -> None:
    older = write(shop, of("one"))
    write(shop, of("two", web="ok"))
    shop.git("branch", "next")
    repository = Repository(f"file://{shop.path}", "next")
    asked = await home.operations.deploy(
        ADA, "local", repository=repository, services=["cart"], automatic=True
    )
    assert await deployed(home, asked) == {"cart"}
    shop.git("reset", "-q", "--hard", older)
    assert await deployed(home, await push(home, shop)) == {"cart"}


async def test_waiting_for_its_turn_counts_as_newer(home: House, shop: Made) -> None:
    older = write(shop, of("one"))
    write(shop, of("slow"))
    under_way = await push(home, shop)
    async with asyncio.timeout(20):
        while not await home.deployments(under_way.id):
            await asyncio.sleep(0.005)
    shop.git("reset", "-q", "--hard", older)
    late = await push(home, shop)
    assert await deployed(home, late) == set()
    (deployment,) = await home.deployments(under_way.id)
    assert deployment.state not in ("superseded", "cancelled")
    await home.operations.cancel(ADA, under_way.id)
    await home.until(under_way.id, "cancelled")


async def test_nothing_to_do_needs_no_approval(database: Database, tmp_path: Path) -> None:
    await database.pool.execute(
        "update worlds set capabilities = jsonb_set(capabilities, '{main,approval}', 'true')"
        " where name = 'local'"
    )
    async with house(database, tmp_path) as home:
        change = await home.deploy(cart="ok")
        waiting = await home.until(change.id, "awaiting_approval")
        await home.operations.approve(ADA, change.id, str(known(waiting).plan_hash))
        assert await deployed(home, change) == {"cart"}
        again = await home.deploy(cart="ok")
        assert await deployed(home, again) == set()
        assert "awaiting_approval" not in await home.path(again.id)
