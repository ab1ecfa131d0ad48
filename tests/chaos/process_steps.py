"""What goes on with real processes while a deployd is killed; each may be begun twice."""

from __future__ import annotations

from pathlib import Path

from deployd.model.machine import Machine
from deployd.store import machines
from tests.chaos.deploy_steps import at_rest, deployment_of
from tests.house import ADA, House, put

_PROGRAM = """\
import os, socket, sys
if sys.argv[1] == "broken":
    sys.exit("I am broken")
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    if sys.argv[1] == "mute":
        import time; server.close(); time.sleep(60)
    server.accept()[0].close()
"""


def program(home: House, version: str) -> str:
    """A working directory whose program carries the world's name and its version on its command line."""
    path = home.home / "program"
    path.mkdir(exist_ok=True)
    put(path / "serve.py", _PROGRAM)
    put(
        path / "deployd.yaml",
        "deployd: 1\nservice:\n  name: cart\n  port: 80\n"
        f"  run: /usr/bin/python3 -S serve.py {version} {home.home}\n",
    )
    return str(path)


def processes(home: House) -> list[str]:
    """The versions that run, one for each process there is."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode().split("\0")
        except OSError:
            continue
        if words[0] == "/usr/bin/python3" and str(home.home) in words:
            found.append(words[-3])
    return found


def one_runs(home: House, versions: list[str]) -> None:
    """Exactly these run; else what is seen instead."""
    seen = processes(home)
    assert seen == versions, f"{seen} run, not {versions}"


async def launch(home: House, version: str) -> Machine:
    return await home.operations.deploy(ADA, home.world, program(home, version), key=version)


async def launched(home: House) -> None:
    await home.until((await launch(home, "one")).id, "done")
    await at_rest(home, "cart", "serving")
    one_runs(home, ["one"])


async def begin_launch(home: House) -> None:
    await launch(home, "two")


async def end_launch(home: House) -> None:
    await home.until((await launch(home, "two")).id, "done")
    await at_rest(home, "cart", "serving")
    one_runs(home, ["two"])


async def begin_broken(home: House) -> None:
    await launch(home, "broken")


async def end_broken(home: House) -> None:
    change = await home.until((await launch(home, "broken")).id, "failed")
    (deployment,) = await home.deployments(change.id)
    assert deployment.state == "rolled_back"
    await at_rest(home, "cart", "serving")
    one_runs(home, ["one"])


async def begin_mute(home: House) -> None:
    deployment = await deployment_of(home, await launch(home, "mute"))
    await home.until(deployment.id, "verifying", "cancelling", "cancelled")
    await home.operations.cancel(ADA, deployment.id)


async def end_mute(home: House) -> None:
    await home.until((await launch(home, "mute")).id, "cancelled")
    await at_rest(home, "cart", "serving")
    one_runs(home, ["one"])


async def end_suspended_process(home: House) -> None:
    await at_rest(home, "cart", "suspended")
    one_runs(home, [])


async def end_retired_process(home: House) -> None:
    (service,) = await machines.list_kind(home.db, home.world_id, home.kind.SERVICE, all_=True)
    await home.until(service.id, "retired")
    one_runs(home, [])
