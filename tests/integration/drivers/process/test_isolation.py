"""What a service gets of the machine: its user, environment, limits, and nothing of deployd's."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from deployd.drivers.process.accounts import FIRST, LAST
from deployd.model.spec import ScaleSpec, SizeSpec
from tests.integration.drivers.process.place import Place, new_service, processes

ROOT = os.geteuid() == 0
REPORT = """
import json, os, resource, sys, time
def readable(path):
    try:
        open(path).close()
        return True
    except OSError:
        return False
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
print(json.dumps({
    "env": dict(os.environ), "uid": os.getresuid(), "gid": os.getresgid(), "groups": os.getgroups(),
    "privileges": status.get("NoNewPrivs", "").strip(), "capabilities": status["CapEff"].strip(),
    "session": os.getsid(0) == os.getpid() == os.getpgid(0), "cwd": os.getcwd(), "umask": os.umask(0),
    "files": sorted(os.listdir("/proc/self/fd")), "core": resource.getrlimit(resource.RLIMIT_CORE),
    "nofile": resource.getrlimit(resource.RLIMIT_NOFILE), "data": resource.getrlimit(resource.RLIMIT_DATA),
    "secret": readable(sys.argv[1]), "spec": readable(sys.argv[2]),
    "own": os.access(os.environ["HOME"], os.W_OK),
}), flush=True)
time.sleep(60)
"""


async def test_a_service_is_alone(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOYD_TOKEN", "secret")
    monkeypatch.setenv("PGPASSWORD", "secret")
    monkeypatch.setenv("PYTHONPATH", "/secret")
    monkeypatch.setenv("VIRTUAL_ENV", "/work/secret-venv")
    monkeypatch.setenv("PATH", f"/work/secret-venv/bin:/root:relative:{os.environ['PATH']}")
    monkeypatch.setenv("LANG", "C.UTF-8")
    secret = place.root / "secret"
    secret.write_text("s")
    secret.chmod(0o600)
    place.write("report.py", REPORT)
    ports = {"http": 8080, "admin-api": 9090}
    release = place.release("…", ports=ports, env={"GREETING": "hello $HOME", "PORT": "1"})
    run = f"/usr/bin/python3 report.py {secret} {place.folder(release)}/spec.json"
    release = replace(release, spec=replace(release.spec, run=run))
    await place.apply(release)
    assert (place.folder(release) / "spec.json").is_file()
    seen = json.loads((await place.logged('"env"')).text)
    env = seen["env"]
    assert env["GREETING"] == "hello $HOME"
    assert env["PORT"] == env["PORT_HTTP"] != env["PORT_ADMIN_API"]
    assert all(20_000 <= int(env[name]) <= 29_999 for name in ("PORT", "PORT_ADMIN_API"))
    assert Path(env["HOME"]) == place.home / "7" / str(place.service.service_id) / "home"
    assert "secret" not in env["PATH"]
    assert "relative" not in env["PATH"]
    assert {name for name in env if name.startswith(("DEPLOYD", "PG", "PYTHON", "VIRTUAL"))} == set()
    assert set(env) <= {
        "PATH",
        "HOME",
        "LANG",
        "TZ",
        "TMPDIR",
        "GREETING",
        "PORT",
        "PORT_HTTP",
        "PORT_ADMIN_API",
        "PWD",
        "OLDPWD",
        "_",
        "SHLVL",
        "LC_CTYPE",
    }
    assert seen["privileges"] == "1"
    assert seen["session"]
    assert seen["cwd"] == str(place.tree)
    assert seen["umask"] == 0o022
    assert seen["files"] == ["0", "1", "2", "3"]  # the fourth is the listing itself
    assert seen["core"] == [0, 0]
    assert seen["own"]
    if ROOT:
        user = seen["uid"][0]
        assert FIRST <= user <= LAST
        assert seen["uid"] == seen["gid"] == [user] * 3
        assert seen["groups"] == []
        assert int(seen["capabilities"], 16) == 0
        assert not seen["secret"]
        assert not seen["spec"]
        assert "/root" not in env["PATH"]


async def test_memory_is_limited(place: Place) -> None:
    program = (
        "import resource\nprint(resource.getrlimit(resource.RLIMIT_DATA)[0], flush=True)\nx = b'x' * 2**28"
    )
    release = place.python(program, size=SizeSpec(cpu=0.5, memory=2**27))
    plan = await place.driver().plan(place.service, release)
    assert any("cpu" in note for note in plan.notes)
    await place.apply(release)
    await place.logged(str(2**27))
    await place.logged("MemoryError", "stderr")


@pytest.mark.skipif(not ROOT, reason="only root can give users")
async def test_users_are_stable_and_distinct(place: Place) -> None:
    first, second = place.service, new_service()
    driver = place.driver()
    numbers = [driver.client.user_of(one) for one in (first, second, first, second)]
    assert numbers[:2] == numbers[2:]
    assert numbers[0] != numbers[1]
    assert place.driver().client.user_of(first) == numbers[0]


@pytest.mark.skipif(not ROOT, reason="root may enter everything")
async def test_a_closed_tree_is_refused(place: Place) -> None:
    place.tree.chmod(0o700)
    plan = await place.driver().plan(place.service, place.release("sleep 60"))
    assert [reason.code for reason in plan.refusals] == ["TREE_UNREACHABLE"]
    assert str(place.tree) in plan.refusals[0].summary


async def test_what_cannot_run_is_refused(place: Place) -> None:
    async def codes(run: str | None, **spec: object) -> list[str]:
        plan = await place.driver().plan(place.service, place.release(run, **spec))
        assert not plan.actions or not plan.refusals
        assert not place.home.exists()  # planning changes nothing
        return [reason.code for reason in plan.refusals]

    place.write("plain.txt", "no program").chmod(0o644)
    assert await codes("sleep 60", scale=ScaleSpec(2, 2)) == ["SCALE_UNSUPPORTED"]
    assert await codes("no-such-program --port 1") == ["PROGRAM_MISSING"]
    assert await codes("no-such-program --port $PORT") == ["PROGRAM_MISSING"]
    assert await codes("./plain.txt") == ["PROGRAM_NOT_EXECUTABLE"]
    assert await codes("./nowhere") == ["PROGRAM_MISSING"]
    assert await codes("sleep 'a") == ["BAD_COMMAND"]
    assert await codes("") == ["BAD_COMMAND"]
    assert await codes(None) == ["NOTHING_TO_RUN"]
    assert await codes("sleep 60") == []
    assert await codes("sleep 60 && no-such-program") == []


async def test_no_process_of_the_driver_shows_the_environment(place: Place) -> None:
    release = place.release("sleep 60", env={"SECRET": "the-secret-of-this-test"})
    await place.apply(release)
    running = (await place.until(release, lambda seen: seen.pid)).pid
    assert processes("the-secret-of-this-test") == [running]
