"""Hosts, paths, gates, and several targets with their shares."""

from __future__ import annotations

import json
import socket
from collections import Counter
from contextlib import AsyncExitStack
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web

from deployd.drivers.api import ServiceRef, Target
from deployd.errors import InputError
from deployd.model.spec import RouteSpec
from deployd.model.world import Gate
from tests.integration.drivers.entrypoint.place import Place, saying, serving, until
from tests.ports import free_port

SHOP = "shop.example.com"
OFFICE = {"office": Gate(("127.0.0.1/32",)), "far": Gate(("203.0.113.0/24", "2001:db8::/32"))}


def service(name: str) -> ServiceRef:
    return ServiceRef(1, "local", uuid4(), name)


# -- hosts and paths


async def test_the_longest_path_of_whole_segments_wins(here: Place) -> None:
    async with AsyncExitStack() as stack:
        for name, path in (("shop", "/"), ("cart", "/cart/"), ("old", "/cart/old")):
            one = await stack.enter_async_context(serving(saying(name)))
            routes = [RouteSpec(SHOP, path)]
            routed = await here.router().route(service(name), [Target(one.address)], routes=routes)
            assert routed.note == ""
            ways = f"http://{SHOP}:{here.port}{path.rstrip('/')}"
            assert routed.urls == (f"http://{name}.localhost:{here.port}", ways)
            assert routed.url == routed.urls[0]
        for path, name in {
            "/": "shop",
            "/cart": "cart",
            "/cart?a=/old": "cart",
            "/cart/x": "cart",
            "/cartoon": "shop",
            "/cart/old/1": "old",
            "/cart/older": "cart",
            "/cart/../x": "shop",
            "/%63art": "cart",
            "//cart": "cart",
        }.items():
            assert (await here.get(path, SHOP)).body.decode() == name, path
        assert (await here.get("/", "SHOP.example.com.")).body == b"shop"


async def test_a_path_that_nobody_has_is_told_the_known_ones(here: Place) -> None:
    async with serving(saying("cart")) as one:
        routes = [RouteSpec(SHOP, "/cart")]
        await here.router().route(here.service, [Target(one.address)], routes=routes)
        answer = await here.get("/other", SHOP)
        assert answer.status == 404
        assert answer.body.decode().splitlines()[1:] == ["  hello.localhost", f"  {SHOP}/cart"]


async def test_the_first_keeps_a_way_and_the_second_gets_it_afterwards(here: Place) -> None:
    first, second = service("first"), service("second")
    routes = [RouteSpec(SHOP, "/a"), RouteSpec(SHOP, "/b")]
    async with serving(saying("first")) as one, serving(saying("second")) as two:
        await here.router().route(first, [Target(one.address)], routes=routes[:1])
        routed = await here.router().route(second, [Target(two.address)], routes=routes)
        assert routed.note == f"{SHOP}/a leads to service first already, and so not to this one"
        assert routed.urls[1:] == (f"http://{SHOP}:{here.port}/b",)
        assert (await here.get("/a", SHOP)).body == b"first"
        [reason] = await here.router().plan(second, routes, {})
        assert (reason.code, reason.summary) == ("ROUTE_TAKEN", f"{SHOP}/a leads to service first already")
        assert await here.router().plan(first, routes[:1], {}) == ()
        await here.router().unroute(first, "is suspended")  # it keeps what it has
        assert (await here.router().route(second, [Target(two.address)], routes=routes)).note
        await here.router().unroute(first)
        assert (await here.router().route(second, [Target(two.address)], routes=routes)).note == ""
        assert (await here.get("/a", SHOP)).body == b"second"


async def test_a_local_name_is_nobody_elses(here: Place) -> None:
    other = service("other")
    async with serving(saying("hello")) as one:
        await here.route(one)
        routes = [RouteSpec("hello.localhost", "/")]
        [reason] = await here.router().plan(other, routes, {})
        assert reason.code == "ROUTE_TAKEN"
        assert (
            "hello.localhost" in (await here.router().route(other, [Target(one.address)], routes=routes)).note
        )


async def test_routes_without_a_port_are_refused(here: Place) -> None:
    [reason] = await here.router(port=0).plan(here.service, [RouteSpec(SHOP)], {})
    assert reason.code == "NO_ENTRYPOINT"


# -- gates


async def test_a_routes_gate_holds_for_that_route_alone(here: Place) -> None:
    routes = [RouteSpec(SHOP), RouteSpec(SHOP, "/admin", gate="far"), RouteSpec(SHOP, "/in", gate="office")]
    async with serving(saying("hello")) as one:
        await here.router().route(here.service, [Target(one.address)], routes=routes, gates=OFFICE)
        assert (await here.get("/", SHOP)).status == 200
        assert (await here.get("/in", SHOP)).status == 200
        for path in ("/admin", "/admin/x", "/x/../admin", "/%61dmin", "/./admin", "/admin/..", "//admin"):
            answer = await here.get(path, SHOP)
            assert answer.status == 403, path
            assert answer.body == b"127.0.0.1 may not come in here: far does not allow it\n"
            assert answer.values("content-type") == ["text/plain; charset=utf-8"]
        assert one.connections == 2


async def test_the_entrypoints_gates_hold_for_everything_and_one_is_enough(here: Place) -> None:
    async with serving(saying("hello")) as one:
        targets, routes = [Target(one.address)], [RouteSpec(SHOP, gate="office")]
        closed = here.router(gates=["far"])
        routed = await closed.route(here.service, targets, routes=routes, gates=OFFICE)
        assert (await here.get("/", SHOP)).status == 403
        assert (await here.get()).status == 403
        assert routed.endpoint is not None  # which is not the entrypoint
        async with aiohttp.ClientSession() as session, session.get(routed.endpoint.url) as answer:
            assert await answer.text() == "hello"
        opened = here.router(gates=["far", "office"])
        await opened.route(here.service, targets, routes=routes, gates=OFFICE)
        assert (await here.get("/", SHOP)).status == 200


async def test_a_gate_names_the_ports_of_the_entrypoint(here: Place) -> None:
    anybody = ("0.0.0.0/0", "::/0")
    async with serving(saying("hello")) as one:
        for ports, status in (((443,), 403), ((443, here.port), 200), ((), 200)):
            gates = {"public": Gate(anybody, ports)}
            await here.router(gates=["public"]).route(here.service, [Target(one.address)], gates=gates)
            assert (await here.get()).status == status
        await here.router(gates=["nobody"]).route(
            here.service, [Target(one.address)], gates={"nobody": Gate()}
        )
        assert (await here.get()).status == 403


async def test_a_gate_that_is_not_declared_is_refused_and_changes_nothing(here: Place) -> None:
    async with serving(saying("hello")) as one:
        targets, routes = [Target(one.address)], [RouteSpec(SHOP, gate="ofice")]
        await here.route(one)
        for router, asked in ((here.router(), routes), (here.router(gates=["ofice"]), [])):
            [reason] = await router.plan(here.service, asked, OFFICE)
            assert (reason.code, reason.summary) == ("UNKNOWN_GATE", "the world has no gate 'ofice'")
            assert "far, office" in reason.remedy
            with pytest.raises(InputError):
                await router.route(here.service, targets, routes=asked, gates=OFFICE)
        assert (await here.get()).status == 200
        assert (await here.get("/", SHOP)).status == 404


def own_address() -> str | None:
    """One of this host that is not loopback, where it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("192.0.2.1", 9))  # sends nothing
            address = str(one.getsockname()[0])
        except OSError:
            return None
    return None if address.startswith("127.") else address


async def test_callers_from_elsewhere_reach_routes_but_no_local_names(here: Place) -> None:
    address = own_address()
    if address is None:
        pytest.skip("this host has no address but loopback")
    gates = {"near": Gate((f"{address}/32",)), **OFFICE}
    routes = [RouteSpec(SHOP), RouteSpec(SHOP, "/near", gate="near"), RouteSpec(SHOP, "/here", gate="office")]
    connector = aiohttp.TCPConnector(force_close=True)
    async with serving(saying("hello")) as one, aiohttp.ClientSession(connector=connector) as session:
        for listen in ("0.0.0.0", "::"):
            router = here.router(listen=listen)
            routed = await router.route(here.service, [Target(one.address)], routes=routes, gates=gates)
            assert routed.note == ""
            for path, host, status in (
                ("/", SHOP, 200),
                ("/near", SHOP, 200),
                ("/here", SHOP, 403),
                ("/", "hello.localhost", 404),
            ):
                url = f"http://{address}:{here.port}{path}"
                async with session.get(url, headers={"Host": host}) as answer:
                    assert answer.status == status, (listen, path, host)
                    assert "localhost\n" not in await answer.text()  # nor is it told their names
            assert (await here.get("/here", SHOP)).status == 200
            assert (await here.get("/near", SHOP)).status == 403
            assert (await here.get()).status == 200


# -- shares


@pytest.mark.parametrize("weights", [(90, 10), (50, 50), (1, 2), (100, 0)])
async def test_weights_decide_request_by_request(here: Place, weights: tuple[int, int]) -> None:
    count = 60
    async with serving(saying("old")) as old, serving(saying("new")) as new:
        targets = [Target(one.address, weight) for one, weight in zip((old, new), weights, strict=True)]
        await here.router().route(here.service, targets)
        async with here.client() as client:  # on one connection
            seen = [(await client.get()).body.decode() for _ in range(count)]
        share = weights[1] / sum(weights)
        for end in range(1, count + 1):
            assert abs(Counter(seen[:end])["new"] - end * share) <= 1


async def test_websockets_are_shared_too(here: Place) -> None:
    async def chat(request: web.Request) -> web.WebSocketResponse:
        talk = web.WebSocketResponse()
        await talk.prepare(request)
        await talk.send_str(request.app[NAME])
        await talk.close()
        return talk

    async with AsyncExitStack() as stack:
        targets = []
        for name in ("old", "new"):
            app = web.Application()
            app[NAME] = name
            app.router.add_get("/", chat)
            runner = web.AppRunner(app)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            targets.append(Target(f"http://127.0.0.1:{runner.addresses[0][1]}", 50))
        routed = await here.router().route(here.service, targets)
        assert routed.endpoint is not None
        session = await stack.enter_async_context(aiohttp.ClientSession())
        seen = []
        for _ in range(3):
            for url in (routed.endpoint.url, f"http://127.0.0.1:{here.port}/"):
                async with session.ws_connect(url, headers={"Host": "hello.localhost"}) as talk:
                    seen.append(await talk.receive_str())
        assert Counter(seen) == {"old": 3, "new": 3}


NAME = web.AppKey("name", str)


async def test_a_target_that_refuses_is_stood_in_for(here: Place) -> None:
    async with serving(saying("hello")) as one:
        dead = Target(f"http://127.0.0.1:{free_port()}", 50)
        await here.router().route(here.service, [dead, Target(one.address, 50)])
        async with here.client() as client:
            for _ in range(6):
                await client.send("POST / HTTP/1.1\r\nHost: hello.localhost\r\nContent-Length: 4\r\n\r\nbody")
                assert (await client.answer()).body == b"hello"
        await here.router().route(here.service, [dead])
        assert (await here.get()).status == 502


async def test_a_request_that_was_sent_is_not_sent_elsewhere_unless_it_is_harmless(here: Place) -> None:
    async def hang_up(head: bytes, *_: object) -> None:
        """Takes the request and says nothing."""

    async with serving(hang_up) as bad, serving(saying("hello")) as good:
        await here.router().route(here.service, [Target(bad.address, 50), Target(good.address, 50)])
        async with here.client() as client:
            for _ in range(4):
                assert (await client.get()).body == b"hello"
            statuses = []
            for _ in range(4):
                await client.send("POST / HTTP/1.1\r\nHost: hello.localhost\r\nContent-Length: 0\r\n\r\n")
                statuses.append((await client.answer()).status)
        assert sorted(statuses) == [200, 200, 502, 502]


async def test_only_targets_that_are_gone_are_drained(here: Place) -> None:
    async def hang(head: bytes, reader: object, writer: object) -> None:
        await until(lambda: done, "the test is over")

    done: list[bool] = []
    async with serving(hang) as old, serving(saying("new")) as new, here.client_after(old) as client:
        both = [Target(old.address, 100), Target(new.address, 1)]
        await here.router().route(here.service, both)
        await client.send("GET / HTTP/1.1\r\nHost: hello.localhost\r\n\r\n")
        await until(lambda: old.heads, "it arrives")
        assert (await here.router().route(here.service, both)).draining == 0
        assert (await here.route(new)).draining == 1
        assert (await here.router().unroute(here.service, "is being replaced", soon=True)).draining == 1
        answer = await here.get()
        assert (answer.status, answer.values("retry-after")) == (503, ["1"])
        assert answer.body == b"service hello is being replaced\n"
        done.append(True)


async def test_a_table_of_an_older_version_is_understood(here: Place) -> None:
    other = service("other")
    async with serving(saying("hello")) as one, serving(saying("other")) as two:
        routes = here.home / "drivers" / "route-local" / "routes"
        routes.mkdir(parents=True)
        target = one.address.removeprefix("http://")
        old = {"service": "hello", "host": "hello.localhost", "target": target, "why": "", "since": 1.0}
        (routes / f"{here.service.service_id}.json").write_text(json.dumps(old))
        gone = {**old, "service": "gone", "host": "gone.localhost", "target": None, "why": "is suspended"}
        (routes / f"{uuid4()}.json").write_text(json.dumps(gone))
        (routes / f"{uuid4()}.json").write_text("{}")
        await here.router().route(other, [Target(two.address)])
        assert (await here.get()).body == b"hello"
        assert (await here.get(host="gone.localhost")).body == b"service gone is suspended\n"
        assert (await here.get(host="other.localhost")).body == b"other"
        assert (await here.route(one)).endpoint is not None
        assert (await here.get()).body == b"hello"
