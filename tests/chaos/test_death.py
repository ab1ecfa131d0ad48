"""Death at every step: in every state of every machine, at every await of its act, and in its commit.

Each trial kills a deployd with SIGKILL at one point; another one goes on. Then everything has come to its
end by itself, exactly one instance of the service exists, each object was made once, and `seq` is whole.

Every state is died in at every await by one scenario. The others, which come to the same states by other
ways, are died in at every twelfth; `make chaos` dies at every one of all of them.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployd.engine.context import ENTRYPOINT
from deployd.machines import TABLES
from deployd.model.world import Capability
from deployd.store import machines, worlds
from deployd.store.database import Database
from tests.chaos.process_steps import processes
from tests.chaos.scenarios import SCENARIOS
from tests.house import ADA, House, house
from tests.nursery import Nursery

CASES = [
    pytest.param(name, kind, state, id=f"{name}-{kind}-{state}")
    for name, scenario in SCENARIOS.items()
    for kind, state in scenario.targets
]
_COMMIT = (-1, -2)
_WHOLE = {
    ("first", "service"): {"idle"},
    ("better", "change"): {"received", "planning", "applying"},
    ("better", "deployment"): {"queued", "fetching", "planning", "building", "releasing", "verifying"},
    ("better", "service"): {"serving", "deploying"},
    ("sick", "deployment"): {"rolling_back"},
    ("cancelled", "deployment"): {"cancelling"},
    ("suspended", "service"): {"suspending"},
    ("woken", "service"): {"suspended"},
    ("retired", "service"): {"retiring"},
    ("approved", "change"): {"awaiting_approval"},
    ("approved", "deployment"): {"awaiting_approval"},
    ("provided", "deployment"): {"provisioning"},
    ("provided", "resource"): {"requested", "creating"},
    ("resource", "resource"): {"ready"},
    ("updated", "resource"): {"updating"},
    ("deleted", "resource"): {"deleting"},
}
"""Which scenario dies in a state at every await, whatever the stride."""
_STRIDE = 1 if os.environ.get("DEPLOYD_CHAOS") == "whole" else 12


@pytest.fixture(scope="session")
def victims() -> Iterator[Nursery]:
    nursery = Nursery("tests.chaos.victim")
    yield nursery
    nursery.close()


@pytest.fixture
def homes() -> Iterator[Path]:
    """A folder that services under another user can reach."""
    path = Path(tempfile.mkdtemp(prefix="deployd-chaos-", dir="/tmp"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def test_every_state_that_acts_is_died_in_at_every_await() -> None:
    acting = {(str(t.kind), str(s.name)) for t in TABLES.values() for s in t.states if s.act}
    assert sorted((kind, state) for (_, kind), states in _WHOLE.items() for state in states) == sorted(acting)
    for (name, kind), states in _WHOLE.items():
        assert states <= {target for of, target in SCENARIOS[name].targets if of == kind}


@pytest.mark.parametrize(("scenario", "kind", "state"), CASES)
async def test_death_at_every_point(
    database: Database,
    dsn: str,
    homes: Path,
    victims: Nursery,
    scenario: str,
    kind: str,
    state: str,
) -> None:
    died = 0
    every = itertools.count(0, 1 if state in _WHOLE.get((scenario, kind), ()) else _STRIDE)
    for number, point in enumerate(itertools.chain(_COMMIT, every)):
        world = f"w{number}"
        main = Capability("deploy:process", approval=scenario == "approved")
        able = {"main": main, "infra": Capability("provision:standin")}
        if SCENARIOS[scenario].routed:
            able[ENTRYPOINT] = Capability("route:standin")
        able["data"] = Capability("local/postgres")
        await worlds.add(database, world, able, ephemeral=SCENARIOS[scenario].ephemeral)
        home = homes / world
        home.mkdir(mode=0o711)
        status = await victims.fork(
            dsn=dsn,
            home=str(home),
            world=world,
            scenario=scenario,
            kind=kind,
            state=state,
            point=point,
        )
        assert status in (0, -9), f"at {point}"
        died += status == -9
        async with house(database, home, world=world, processes=SCENARIOS[scenario].processes) as survivor:
            if status == -9:
                await SCENARIOS[scenario].begin(survivor)
            await SCENARIOS[scenario].end(survivor)
            await check(survivor, remade=SCENARIOS[scenario].remade)
            if SCENARIOS[scenario].processes:
                await end_all(survivor)
        if status == 0 and point >= 0:
            break
    assert died >= len(_COMMIT) + 1


async def end_all(home: House) -> None:
    """Leave no process behind."""
    for one in await machines.list_kind(home.db, home.world_id, home.kind.SERVICE):
        await home.operations.retire(ADA, home.world, str(one.name))
        await home.until(one.id, "retired")
    assert processes(home) == []


async def check(home: House, *, remade: bool = False) -> None:
    """Whole, and nothing was made twice."""
    await home.check_whole()
    made = Counter(line for line in home.folder.journal() if line.startswith("made"))
    assert all(count == 1 for count in made.values()) or remade, made
    async with asyncio.timeout(30):  # services look around from time to time: catch a moment of rest
        while await home.db.pool.fetchval(
            "select exists (select from mailbox where world_id = $1)"
            " or exists (select from machines where world_id = $1 and owner is not null)",
            home.world_id,
        ):
            await asyncio.sleep(0.005)
