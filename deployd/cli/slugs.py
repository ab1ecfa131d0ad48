"""slugs: what services can ask for as resources in a world."""

from __future__ import annotations

import argparse

from deployd.cli import documents
from deployd.cli.client import Json
from deployd.cli.exits import ExitCode
from deployd.cli.options import Options
from deployd.cli.render import table
from deployd.cli.session import client_of, console_of
from deployd.cli.terminal import Console, clean
from deployd.errors import NotFound

__all__ = ["slugs"]


async def slugs(options: Options, arguments: argparse.Namespace) -> int:
    """All of them in a table, or one with its parameters and an example."""
    console, name = console_of(options), arguments.slug
    async with client_of(options) as client:
        world = (await client.query(documents.SLUGS, {"world": options.world}))["world"]
    if world is None:
        raise NotFound(f"there is no world {options.world!r}", remedy="Name another by --world.")
    found: list[Json] = sorted(world["slugs"], key=lambda one: str(one["slug"]))
    if name is not None:
        one = next((one for one in found if one["slug"] == name), None)
        if one is None:
            there = ", ".join(str(one["slug"]) for one in found)
            raise NotFound(
                f"world {options.world!r} has no slug {name!r}",
                evidence=f"there are: {there}" if there else "there are none",
                remedy="See what each is: deployd slugs",
            )
        console.document(one) if console.json else _detail(console, one)
    elif console.json:
        console.document(found)
    elif not found:
        console.say(f"world {options.world} can make no resources")
    else:
        rows = [
            [one["slug"], one["type"], one["driver"], one["capability"], clean(one["description"])]
            for one in found
        ]
        width = console.size()[0] if console.live else None
        titles = ["SLUG", "TYPE", "DRIVER", "CAPABILITY", "DESCRIPTION"]
        header, *lines = table(titles, rows, width, (4, 2, 0))
        console.say("\n".join([console.paint(header, "dim"), *lines]))
    return ExitCode.DONE


def _detail(console: Console, one: Json) -> None:
    fields = [
        ("slug", one["slug"]),
        ("type", one["type"]),
        ("driver", f"{one['driver']} (capability {one['capability']})"),
        ("outputs", ", ".join(_output(each) for each in one["outputs"])),
    ]
    console.say(clean(one["description"]))
    for name, value in fields:
        console.say(f"{console.paint(f'{name:<10}', 'dim')}{value}")
    if one["parameters"]:
        rows = [
            [each["name"], each["type"], _shown(each["default"]), _bounds(each), clean(each["description"])]
            for each in one["parameters"]
        ]
        width = console.size()[0] if console.live else None
        header, *lines = table(["PARAMETER", "TYPE", "DEFAULT", "MAY BE", "DESCRIPTION"], rows, width, (4, 3))
        console.say("\n".join(["", console.paint(header, "dim"), *lines]))
    if one["example"]:
        console.say(f"\n{clean(one['example'])}")


def _output(one: Json) -> str:
    return f"{one['name']} (secret)" if one["secret"] else str(one["name"])


def _shown(value: object) -> str:
    return "-" if value is None else str(value)


def _bounds(param: Json) -> str:
    if param["choices"]:
        return ", ".join(map(str, param["choices"]))
    least, most = param["minimum"], param["maximum"]
    if least is None and most is None:
        return "-"
    return f"{_number(least)}…{_number(most)}"


def _number(bound: float | None) -> str:
    return "" if bound is None else f"{bound:g}"
