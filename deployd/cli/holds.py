"""hold: keep a service at what it serves, or a release from coming back; and lift that."""

from __future__ import annotations

import argparse
from datetime import datetime

from deployd.cli import documents
from deployd.cli.client import Json
from deployd.cli.exits import ExitCode
from deployd.cli.options import Options
from deployd.cli.releases import release_of
from deployd.cli.session import client_of, console_of, service_of, stuck, until
from deployd.errors import InputError

__all__ = ["held", "hold"]

WAITING = 15.0
"""Seconds within which the service has heard of it."""


async def hold(options: Options, arguments: argparse.Namespace) -> int:
    """Hold a service or one of its releases, or lift that."""
    console, name, note = console_of(options), arguments.service, arguments.note
    if arguments.lift and note is not None:
        raise InputError("--note is for a hold, not for lifting one", remedy="Leave it out.")
    async with client_of(options) as client:
        await service_of(client, options.world, name)
        release = None
        if arguments.release is not None:
            release = await release_of(client, options.world, name, arguments.release)
        asked = {"world": options.world, "service": name, "release": release}
        if arguments.lift:
            await client.mutate(documents.LIFT_HOLD, asked)
        else:
            await client.mutate(documents.HOLD, {**asked, "note": note or ""})

        def heard(service: Json | None) -> bool:
            holds = service["holds"] if service else []
            mine = [one for one in holds if (one["release"] or {}).get("id") == release]
            if arguments.lift:
                return not (holds if release is None else mine)
            return any(one["note"] == (note or "") for one in mine)

        if not arguments.no_wait:
            waiting = await until(client, options.world, [name], heard, seconds=WAITING)
            if waiting:
                raise stuck(waiting, "told", WAITING)
    what = name if arguments.release is None else f"release {arguments.release} of {name}"
    if console.json:
        asked_for = "lift" if arguments.lift else "hold"
        console.document({"service": name, "release": arguments.release, "asked": asked_for})
    elif arguments.lift:
        console.say(f"{what} is not held any more")
    else:
        back = f" --release {arguments.release}" if arguments.release is not None else ""
        console.say(f"{what} is held; to lift it: deployd hold {name}{back} --lift")
    return ExitCode.DONE


def held(service: Json) -> list[str]:
    """One line for each hold of a service."""
    return [_told(one) for one in service["holds"]]


def _told(one: Json) -> str:
    what = f"release {one['release']['number']}" if one["release"] else "the service, at what it serves"
    at = datetime.fromisoformat(one["at"]).astimezone().strftime("%Y-%m-%d %H:%M")
    return f"{what}, by {one['by']} since {at}" + (f" ({one['note']})" if one["note"] else "")
