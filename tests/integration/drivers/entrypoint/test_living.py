"""The table and the proxy through everything that happens to them."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import pytest

from deployd.drivers.api import Target
from deployd.drivers.entrypoint.proxy import record as table
from deployd.drivers.entrypoint.proxy.record import Record
from deployd.errors import InputError
from tests.integration.drivers.entrypoint.place import (
    Place,
    Service,
    alive,
    saying,
    serving,
    table_of,
    until,
)
from tests.ports import INSIDE, free_port, settings


async def test_routing_is_idempotent_and_found_again(here: Place) -> None:
    async with serving(saying("hello")) as service:
        routed = await here.route(service)
        assert (routed.url, routed.draining, routed.note) == (f"http://hello.localhost:{here.port}", 0, "")
        assert routed.urls == (routed.url,)
        pid, since = here.pid(), table_of(here)["since"]
        assert await here.route(service) == routed
        assert (here.pid(), table_of(here)["since"]) == (pid, since)


async def test_many_at_once_start_one_proxy(here: Place) -> None:
    async with serving(saying("hello")) as service:
        routed = await asyncio.gather(*(here.route(service) for _ in range(8)))
        assert {one.url for one in routed} == {f"http://hello.localhost:{here.port}"}
        assert len({one.endpoint for one in routed}) == 1
        assert (await here.get()).body == b"hello"
        listed = subprocess.run(["pgrep", "-fc", str(here.home)], capture_output=True, text=True, check=False)
        assert listed.stdout.strip() == "1"


async def test_the_proxy_outlives_who_started_it(here: Place) -> None:
    program = (
        "import asyncio, json, sys\n"
        "from pathlib import Path\n"
        "from uuid import UUID\n"
        "from deployd.drivers.api import DriverContext, ServiceRef, Target\n"
        "from deployd.drivers.entrypoint.driver import create\n"
        "home, config, service, address = sys.argv[1:]\n"
        "router = create(json.loads(config), DriverContext(Path(home), 'here'))\n"
        "asyncio.run(router.route(ServiceRef(1, 'local', UUID(service), 'hello'), [Target(address)]))\n"
        "import os, signal\n"
        "os.killpg(0, signal.SIGKILL)\n"
    )
    async with serving(saying("hello")) as service:
        config = json.dumps({"port": here.port, **settings(INSIDE)})
        argv = [str(here.home / "drivers" / "route-local"), config, str(here.service.service_id)]
        starter = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, *argv, service.address, start_new_session=True
        )
        assert await starter.wait() == -signal.SIGKILL
        pid = here.pid()
        assert (await here.get()).body == b"hello"
        await here.route(service)
        assert here.pid() == pid


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_proxy_that_died_is_started_again(here: Place, number: signal.Signals) -> None:
    async with serving(saying("hello")) as service:
        await here.route(service)
        pid = here.pid()
        os.kill(pid, number)
        await until(lambda: not alive(pid), "it is dead")
        assert (await here.route(service)).url
        assert here.pid() != pid
        assert (await here.get()).body == b"hello"


async def test_a_proxy_that_hangs_is_replaced(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployd.drivers.entrypoint.client.PATIENCE", 3.0)
    async with serving(saying("hello")) as service:
        await here.route(service)
        pid = here.pid()
        os.kill(pid, signal.SIGSTOP)
        assert (await here.route(service)).url
        assert here.pid() != pid
        assert (await here.get()).body == b"hello"


async def test_the_successor_of_a_proxy_that_hung_is_left_alone(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two waited for the same one in vain: the second comes when the first has replaced it."""
    async with serving(saying("hello")) as service:
        await here.route(service)
        pid, name, second = here.pid(), str(here.service.service_id), here.router().client

        def replaced(_: bytes) -> bytes:
            os.kill(pid, signal.SIGKILL)
            here.router().client.keep(name, "127.0.0.1", here.port)
            raise TimeoutError

        monkeypatch.setattr(second, "_talk", replaced)
        assert await asyncio.to_thread(second.ask, name) is None
        assert here.pid() != pid
        assert alive(here.pid())
        assert (await here.get()).body == b"hello"


async def test_a_proxy_that_hung_and_ended_meanwhile(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    client, lock = here.router().client, here.home / "drivers" / "route-local" / "lock"
    lock.parent.mkdir(parents=True)
    ended = subprocess.Popen(["true"])
    ended.wait()
    lock.write_text(f"{ended.pid}\n")

    def in_vain(_: bytes) -> bytes:
        raise TimeoutError

    monkeypatch.setattr(client, "_talk", in_vain)
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert client.ask("any") is None
    lock.unlink()  # the number may be anybody's by the end


async def test_a_port_that_is_taken_is_told_and_had_once_it_is_free(
    here: Place, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(saying("hello")) as service:
        with socket.create_server(("127.0.0.1", here.port)):
            routed = await here.route(service)
            assert routed.url is None
            assert routed.draining == 0
            assert f"there is no http://hello.localhost:{here.port}" in routed.note
            assert "Address already in use" in routed.note
            assert "DEPLOYD_ENTRYPOINT_PORT" in routed.note
            assert routed.note in caplog.text
        assert (await here.route(service)).url
        assert (await here.get()).body == b"hello"


async def test_another_port_takes_the_place_of_the_first(here: Place) -> None:
    async with serving(saying("hello")) as service:
        inside = (await here.route(service)).endpoint
        assert inside is not None
        pid, port = here.pid(), free_port()
        routed = await here.route(service, port=port)
        assert (routed.url, routed.endpoint) == (f"http://hello.localhost:{port}", inside)
        assert here.pid() == pid
        with pytest.raises(ConnectionRefusedError):
            await here.get()
        without = await here.route(service, port=0)
        assert (without.url, without.urls, without.endpoint) == (None, (), inside)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        _, writer = await asyncio.open_connection("127.0.0.1", inside.port)
        writer.close()


async def test_the_proxy_ends_once_nothing_is_routed(here: Place) -> None:
    async with serving(saying("hello")) as service:
        await here.route(service)
        pid = here.pid()
        await here.router().unroute(here.service, "is suspended")
        await until(lambda: not alive(pid), "it ends by itself")
        await here.route(service)
        assert (await here.get()).body == b"hello"


async def test_what_is_no_http_has_no_public_address(here: Place) -> None:
    routed = await here.router().route(here.service, [Target("tcp://127.0.0.1:1")])
    assert (routed.url, routed.urls) == (None, ())
    assert routed.endpoint is not None
    assert routed.endpoint.url == f"tcp://127.0.0.1:{routed.endpoint.port}"
    await here.router().unroute(here.service, "is suspended")
    await here.router().unroute(here.service)
    assert not list((here.home / "drivers" / "route-local" / "routes").glob("*.json"))


async def test_a_switch_takes_new_requests_at_once_and_waits_for_old_ones(here: Place) -> None:
    go_on = asyncio.Event()

    async def slow(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        await saying("old")(head, reader, writer)

    async with serving(slow) as old, serving(saying("new")) as new, here.client_after(old) as client:
        await client.send("GET / HTTP/1.1\r\nHost: hello.localhost\r\n\r\n")
        await until(lambda: old.heads, "it arrives")
        assert (await here.route(new)).draining == 1
        assert (await here.get()).body == b"new"
        assert (await here.route(new)).draining == 1
        go_on.set()
        assert (await client.answer()).body == b"old"
        assert (await here.route(new)).draining == 0
        assert (await client.get()).body == b"new"
        assert old.connections == 1


async def test_waiting_for_old_requests_has_an_end(here: Place) -> None:
    async def never(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    async with serving(never) as old, serving(saying("new")) as new, here.client_after(old) as client:
        await client.send("GET / HTTP/1.1\r\nHost: hello.localhost\r\n\r\n")
        await until(lambda: old.heads, "it arrives")
        router = here.router(drain_seconds=0.5)
        began = time.monotonic()
        while (await router.route(here.service, [Target(new.address)])).draining:
            await asyncio.sleep(0.02)
        assert 0.4 < time.monotonic() - began < 20  # the old request lasts 30


async def test_a_tunnel_is_not_waited_for(here: Place) -> None:
    async def tunnel(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        while data := await reader.read(100):
            writer.write(data.upper())

    async with serving(tunnel) as old, serving(saying("new")) as new, here.client_after(old) as client:
        await client.send(
            "GET / HTTP/1.1\r\nHost: hello.localhost\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nearly"
        )
        assert (await client.head()).startswith("HTTP/1.1 101 ")
        assert await client.reader.readexactly(5) == b"EARLY"
        assert (await here.route(new)).draining == 0
        await client.send("late")
        assert await client.reader.readexactly(4) == b"LATE"
        client.writer.write_eof()
        assert await client.rest() == b""


def leading_to(here: Place, service: Service, records: Mapping[str, Record]) -> Record:
    target = table.Target(service.address.removeprefix("http://"), 100)
    return replace(records[str(here.service.service_id)], targets=(target,))


async def test_a_request_that_meets_the_stopped_old_one_is_asked_of_the_new_one(here: Place) -> None:
    """The table changes without a word to the proxy, within the time for which it believes it."""
    port = free_port()
    await here.router().route(here.service, [Target(f"http://127.0.0.1:{port}")])
    async with serving(saying("new")) as new, here.client() as client:
        for _ in range(20):
            assert (await client.get()).status == 502
            router = here.router()
            router.client.change(str(here.service.service_id), partial(leading_to, here, new))
            await client.send("POST / HTTP/1.1\r\nHost: hello.localhost\r\nContent-Length: 4\r\n\r\nbody")
            assert (await client.answer()).body == b"new"
            await router.route(here.service, [Target(f"http://127.0.0.1:{port}")])


@pytest.mark.parametrize(
    "settings",
    [
        {"port": -1},
        {"port": True},
        {"prot": 1},
        {"drain_seconds": "1"},
        {"listen": "here"},
        {"listen": 1},
        {"gates": "office"},
        {"gates": [1]},
        {"first_port": 80},
        {"first_port": 30_001, "last_port": 30_000},
        {"port": INSIDE[1]},
    ],
)
async def test_wrong_settings(here: Place, settings: dict[str, object]) -> None:
    with pytest.raises(InputError) as raised:
        here.router(**settings)
    assert raised.value.remedy
