"""What becomes of routes."""

from __future__ import annotations

from deployd.engine.route_items import route_items
from deployd.engine.service_items import Looked
from deployd.model.plan import PlanField
from deployd.model.spec import RouteSpec, ServiceSpec

HOST = "shop.test"


def service(name: str, *routes: RouteSpec) -> ServiceSpec:
    return ServiceSpec(name, ports={"http": 80}, routes=routes)


def test_a_route_that_goes_to_another_service_is_changed_and_not_deleted() -> None:
    present = {"old": service("old", RouteSpec(HOST, "/a"), RouteSpec(HOST, "/b"))}
    wanted = [Looked(service("old", RouteSpec(HOST, "/b"))), Looked(service("new", RouteSpec(HOST, "/a/")))]
    told = {one.name: (str(one.action), one.fields) for one in route_items(wanted, present)}
    assert told == {
        f"{HOST}/b": ("nothing", ()),
        f"{HOST}/a/": ("change", (PlanField("service", "old", "new"),)),
    }


def test_what_a_service_that_is_left_alone_has_stays() -> None:
    before = service("web", RouteSpec(HOST, "/a"))
    after = service("web", RouteSpec(HOST, "/b"))
    told = list(route_items([Looked(after, left="it was not asked for")], {"web": before}))
    assert [(one.name, str(one.action), one.why) for one in told] == [
        (f"{HOST}/b", "nothing", "web is left as it is")
    ]


def test_create_and_delete_say_what_was_and_what_will_be() -> None:
    before = service("web", RouteSpec(HOST, "/a", gate="office"))
    after = service("web", RouteSpec(HOST, "/b"))
    told = {one.name: (str(one.action), one.fields) for one in route_items([Looked(after)], {"web": before})}
    assert told == {
        f"{HOST}/b": ("create", (PlanField("service", None, "web"),)),
        f"{HOST}/a": ("delete", (PlanField("service", "web", None), PlanField("gate", "office", None))),
    }
