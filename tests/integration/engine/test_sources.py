"""Changes whose source is a git repository or an upload."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from deployd.engine.outcome import Outcome
from deployd.engine.wanted import Repository
from deployd.errors import Conflict, Forbidden, InputError, NotFound
from deployd.model.actor import Actor, Role
from deployd.model.facts import ChangeFacts
from deployd.model.machine import Machine
from deployd.store import forgetting, releases, uploads
from deployd.store.codec import decode, encode
from deployd.store.database import Database
from tests.house import ADA, House, house
from tests.integration.sources import repositories


@pytest.fixture
async def home(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with house(database, tmp_path) as running:
        yield running


def shop(home: House, run: str = "ok") -> repositories.Repository:
    """A repository with a manifest."""
    made = repositories.repository(home.home / "shop")
    change(home, made, run)
    return made


def change(home: House, made: repositories.Repository, run: str) -> str:
    return made.commit(**{"deployd.yaml": (Path(home.source(cart=run)) / "deployd.yaml").read_text()})


def packed(home: House, run: str = "ok", **files: str) -> bytes:
    """A tar.gz with a manifest."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as file:
        file.add(Path(home.source(cart=run)) / "deployd.yaml", "deployd.yaml")
        for name, target in files.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            file.addfile(link)
    return out.getvalue()


async def parts(content: bytes, size: int = 100) -> AsyncIterator[bytes]:
    for begin in range(0, len(content), size):
        yield content[begin : begin + size]


async def upload(home: House, content: bytes) -> UUID:
    return await home.operations.upload(ADA, home.world, parts(content))


async def facts(home: House, machine: Machine) -> ChangeFacts:
    found = (await home.get(machine.id)).facts
    assert isinstance(found, ChangeFacts)
    return found


async def stored(home: House) -> int:
    return int(await home.db.pool.fetchval("select count(*) from uploads"))


# -- git


async def test_a_repository_is_deployed_and_its_commit_is_known(home: House) -> None:
    made = shop(home)
    commit = made.git("rev-parse", "HEAD")
    asked = await home.operations.deploy(ADA, "local", repository=Repository(str(made.path), "main"))
    await home.until(asked.id, "done")
    source = (await facts(home, asked)).source
    assert (source.repository, source.ref, source.directory) == (str(made.path), "main", None)
    assert (source.commit, source.tree) == (commit, made.git("rev-parse", "HEAD^{tree}"))
    service = await home.service("cart")
    (release,) = await releases.list_of(home.db, home.world_id, service.id, 9)
    assert release.source == source
    assert home.running(service.id) == [f"{release.id}.ok"]


async def test_a_repeated_act_does_not_see_a_newer_commit(database: Database, tmp_path: Path) -> None:
    """The branch moves when the commit is known and nothing is made of it yet."""
    from deployd.engine.acts import ACTS
    from deployd.engine.context import Context
    from deployd.model.state import MachineKind

    planned = 0
    plan = ACTS[MachineKind.CHANGE, "plan"]

    async def moving(context: Context, machine: Machine) -> Outcome:
        nonlocal planned
        planned += 1
        if planned == 2:
            change(home, made, "newer")
        return await plan(context, machine)

    async with house(database, tmp_path, acts={**ACTS, (MachineKind.CHANGE, "plan"): moving}) as home:
        made = shop(home)
        commit = made.git("rev-parse", "HEAD")
        asked = await home.operations.deploy(ADA, "local", repository=Repository(str(made.path)))
        await home.until(asked.id, "done")
        assert planned == 2
        assert (await facts(home, asked)).source.commit == commit != made.git("rev-parse", "HEAD")
        service = await home.service("cart")
        assert [one.rpartition(".")[2] for one in home.running(service.id)] == ["ok"]


async def test_what_is_wrong_with_a_repository_is_the_changes_reason(home: House) -> None:
    made = shop(home)
    asked = await home.operations.deploy(ADA, "local", repository=Repository(str(made.path), "mian"))
    await home.until(asked.id, "failed")
    reason = (await facts(home, asked)).reason
    assert reason is not None
    assert (reason.code, reason.remedy) == ("NOT_FOUND", "Did you mean 'main'?")
    (made.path / "deployd.yaml").unlink()
    made.commit(other="x")
    asked = await home.operations.deploy(ADA, "local", repository=Repository(str(made.path), "main"))
    await home.until(asked.id, "failed")
    reason = (await facts(home, asked)).reason
    assert reason is not None
    assert reason.summary == f"There is no deployd.yaml in {made.path} at main."


async def test_a_fetch_that_did_not_work_is_tried_again(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    made = shop(home)
    once = home.home / "once"
    ssh = repositories.program(
        home.home / "ssh",
        f"if mkdir {once} 2>/dev/null; then echo 'Connection reset by peer' >&2; exit 255; fi\n"
        'for last; do :; done\nexec sh -c "$last"',
    )
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    url = f"ssh://git@host.invalid{made.path}"
    asked = await home.operations.deploy(ADA, "local", repository=Repository(url))
    await home.until(asked.id, "done")
    assert once.exists()
    assert (await facts(home, asked)).reason is None


# -- uploads


async def test_an_upload_is_deployed_and_then_forgotten(home: House) -> None:
    content = packed(home)
    given = await upload(home, content)
    assert b"".join([part async for part in uploads.read(home.db, home.world_id, given)]) == content
    asked = await home.operations.deploy(ADA, "local", upload=given, key="k")
    await home.until(asked.id, "done")
    source = (await facts(home, asked)).source
    assert source.upload == given
    assert source.tree is not None
    assert await stored(home) == 0
    again = await home.operations.deploy(ADA, "local", upload=given, key="k")
    assert again.id == asked.id
    with pytest.raises(NotFound, match="there is no upload"):
        await home.operations.deploy(ADA, "local", upload=given)


async def test_a_large_upload_is_kept_in_parts(home: House) -> None:
    content = b"\x1f\x8b" + bytes(range(256)) * 10_000
    given = await home.operations.upload(ADA, "local", parts(content, 99_999))
    assert await stored(home) == 4
    assert b"".join([part async for part in uploads.read(home.db, home.world_id, given)]) == content
    await home.db.pool.execute("delete from uploads where number = 2")
    with pytest.raises(NotFound, match="is not there any more"):
        _ = [part async for part in uploads.read(home.db, home.world_id, given)]


async def test_a_refused_upload_fails_the_change_and_leaves_nothing(home: House) -> None:
    asked = await home.operations.deploy(ADA, "local", upload=await upload(home, packed(home, bad="../x")))
    await home.until(asked.id, "failed")
    reason = (await facts(home, asked)).reason
    assert reason is not None
    assert reason.summary == "The link bad in the upload leads out of it, to ../x."
    assert not list((home.home / "sources").glob("unfinished-*"))


async def test_an_upload_that_breaks_off_is_not_there(home: House) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield b"\x1f\x8b" + bytes(3 * 1024**2)
        assert await stored(home) > 0
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await home.operations.upload(ADA, "local", breaking())
    assert await stored(home) == 0


async def test_uploads_that_are_refused_at_once(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for content in (b"", b"\x1f", b"no gzip"):
        with pytest.raises(InputError, match=r"no tar\.gz"):
            await home.operations.upload(ADA, "local", parts(content, 1))
    monkeypatch.setattr("deployd.engine.wanted.UPLOAD_MAXIMUM", 1000)
    with pytest.raises(InputError, match="larger than 1000 bytes"):
        await home.operations.upload(ADA, "local", parts(b"\x1f\x8b" + bytes(999)))
    with pytest.raises(Forbidden):
        await home.operations.upload(Actor("person:vi", Role.VIEWER), "local", parts(packed(home)))
    with pytest.raises(NotFound):
        await home.operations.upload(ADA, "none", parts(packed(home)))
    assert await stored(home) == 0


async def test_uploads_are_swept_after_their_time(home: House) -> None:
    old, new = await upload(home, packed(home)), await upload(home, packed(home))
    await home.db.pool.execute(
        "update uploads set created_at = now() - interval '25 hours' where id = $1", old
    )
    assert await forgetting.uploads(home.db, datetime.now(UTC) - timedelta(days=1)) == 1
    assert not await uploads.exists(home.db, home.world_id, old)
    assert await uploads.exists(home.db, home.world_id, new)


async def test_an_upload_belongs_to_its_world(home: House) -> None:
    given = await upload(home, packed(home))
    assert not await uploads.exists(home.db, home.world_id + 1, given)


# -- both


async def test_exactly_one_source(home: House) -> None:
    for given in ({}, {"repository": Repository("/x"), "upload": uuid4()}):
        with pytest.raises(InputError, match="exactly one source"):
            await home.operations.deploy(ADA, "local", **given)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="exactly one source"):
        await home.operations.deploy(ADA, "local", home.source(cart="ok"), upload=uuid4())


async def test_one_key_is_one_source(database: Database, tmp_path: Path) -> None:
    async with house(database, tmp_path, works=False) as home:
        made = shop(home)
        first = await home.operations.deploy(ADA, "local", repository=Repository(str(made.path)), key="k")
        second = await home.operations.deploy(ADA, "local", repository=Repository(str(made.path)), key="k")
        assert first.id == second.id
        with pytest.raises(Conflict):
            await home.operations.deploy(ADA, "local", repository=Repository(str(made.path), "main"), key="k")
        with pytest.raises(Conflict):
            await home.operations.deploy(ADA, "local", str(made.path), key="k")


async def test_facts_without_the_new_fields_are_read(home: House) -> None:
    asked = await home.deploy(cart="ok")
    await home.until(asked.id, "done")
    known = await facts(home, asked)
    old = encode(known).replace(',"repository":null,"ref":null,"commit":null,"upload":null', "")
    assert "repository" not in old
    assert decode(ChangeFacts, old) == replace(known)
