"""The words, names and amounts that values of the file are made of."""

from __future__ import annotations

from deployd.manifest import quantity
from deployd.manifest.shape import Choice, Either, Number, Plain, Text, Whole
from deployd.model.reference import PATTERN, parts

__all__ = [
    "ARGUMENT",
    "ARGUMENT_NAME",
    "COMMAND",
    "ENVIRONMENT_NAME",
    "GATE",
    "HOST",
    "HTTP_PATH",
    "IMAGE",
    "INSTANCE",
    "MEMORY",
    "PARAMETER",
    "PARAMETER_NAME",
    "PATH",
    "PERCENTAGE",
    "PORT",
    "PORT_NAME",
    "RESOURCE_NAME",
    "ROUTE_PATH",
    "SCHEDULE",
    "SERVICE_NAME",
    "SHARED_NAME",
    "SLUG",
    "STAGE",
    "STRATEGY",
    "TEMPLATE",
    "WATCHED",
    "WORLD_NAME",
    "time",
]


def name(what: str, longest: int) -> Text:
    """A name that may become part of a host's name."""
    return Text(
        f"{what} of at most {longest} lower-case letters, digits and inner hyphens that begins with a letter",
        rf"[a-z]([a-z0-9-]{{0,{longest - 2}}}[a-z0-9])?",
    )


def time(minimum: float, maximum: float) -> Either:
    """A time; a number is one of seconds."""
    low, high = quantity.shown_seconds(minimum), quantity.shown_seconds(maximum)
    what = f"a time from {low} to {high} such as 30s or 2m, or a number of seconds"
    return Either(
        what,
        (
            Number(
                f"a number of seconds from {minimum:g} to {maximum:g}, or a time such as 30s or 2m",
                minimum,
                maximum,
            ),
            Text(what, quantity.DURATION, value=quantity.duration(minimum, maximum)),
        ),
    )


def template(text: str) -> str:
    """Text whose references are well formed. Raises BadReference."""
    for _ in parts(text):
        pass
    return text


def schedule(text: str) -> str:
    """Five fields, one space between each."""
    from datetime import UTC, datetime

    from cronsim import CronSim, CronSimError

    fields = text.split()
    if len(fields) != 5:
        raise ValueError(
            f'has {len(fields)} fields, would be five (minute hour day month weekday), such as "0 3 * * *"'
        )
    try:
        CronSim(" ".join(fields), datetime.now(UTC))
    except CronSimError as error:
        part = str(error).removeprefix("Bad ").replace("-", " ")
        raise ValueError(
            f'has a {part} that cannot be, would be five fields of cron, such as "0 3 * * *"'
        ) from error
    return " ".join(fields)


def watched(text: str) -> str:
    """A pattern of .gitignore's kind that names something."""
    from pathspec import GitIgnoreSpec

    try:
        means_something = GitIgnoreSpec.from_lines([text]).patterns[0].include is not None
    except (ValueError, IndexError):
        means_something = False
    if not means_something:
        raise ValueError(
            "is no pattern that could match a file, would be as in .gitignore, such as libraries/prices/**"
        )
    return text


def route_path(text: str) -> str:
    """Without the slash at the end, which changes nothing."""
    return text.rstrip("/") or "/"


PATH = Text(
    "a path within the source tree, relative to this file, such as services/cart",
    r"(?!/)[^\\\x00-\x1f]+",
)
COMMAND = Text("a command line such as python3 server.py", r"[\s\S]*\S[\s\S]*")
SERVICE_NAME = name("a name", 40)
RESOURCE_NAME = name("a name", 40)
SHARED_NAME = name("a name", 40)
SLUG = name("a slug, the name of what is asked for such as postgres,", 63)
GATE = name("the name of a gate of the world,", 63)
INSTANCE = name("the name of an entrypoint of the world,", 63)
PORT_NAME = name("a name", 15)
WORLD_NAME = Text(
    "the name of a world: letters, digits, hyphens, dots and underscores", r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
)
ENVIRONMENT_NAME = Text(
    "a name of letters, digits and underscores that does not begin with a digit, "
    "other than PORT and DEPLOYD_…, which deployd sets",
    r"(?!PORT$|DEPLOYD_)[A-Za-z_][A-Za-z0-9_]*",
)
ARGUMENT_NAME = Text(
    "a name of letters, digits and underscores that does not begin with a digit", r"[A-Za-z_][A-Za-z0-9_]*"
)
PARAMETER_NAME = Text(
    "a name of letters, digits, underscores and hyphens that begins with a letter",
    r"[A-Za-z][A-Za-z0-9_-]*",
)
PORT = Whole("a port number from 1 to 65535", 1, 65535)
HTTP_PATH = Text("an HTTP path that begins with a slash, such as /healthz", r"/[!-~]*")
STAGE = Text(
    "the name of a stage of the Dockerfile, such as production", r"[A-Za-z0-9][A-Za-z0-9_.-]*", scalar=True
)
ARGUMENT = Text(
    'text, a number or a truth value ("" where it is empty)',
    r"(?![\s\S]*\$\{(resources|services|secrets)\.)[\s\S]*",
    scalar=True,
    wrong="has a reference, would be a plain value: references are known once a release runs, so `env` alone "
    "may have them",
)
IMAGE = Text(
    "an image such as registry.example.com/shop/cart:1.4",
    r"(?=.{1,400}$)([A-Za-z0-9.-]+(:[0-9]{1,5})?/)?"
    r"[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?",
)
MEMORY = Text("an amount with its unit, such as 256Mi, 1Gi or 512M", quantity.MEMORY, value=quantity.memory)
TEMPLATE = Text(
    'text, a number or a truth value ("" where it is empty)',
    r"[\s\S]*",
    value=template,
    scalar=True,
    published=PATTERN,
)
PARAMETER = Plain("text, a number, true or false")
STRATEGY = Choice("how a release is rolled out", ("rolling", "blue-green", "canary", "recreate"))
PERCENTAGE = Whole("a percentage from 1 to 99", 1, 99)
HOST = Text(
    "a host's name such as shop.example.com",
    r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*",
    value=str.lower,
)
ROUTE_PATH = Text(
    "a path such as /cart, without . and .. segments, query and fragment",
    r"(?!.*/\.{1,2}(/|$))(/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*/?",
    value=route_path,
)
SCHEDULE = Text(
    'five fields of cron, such as "0 3 * * *"',
    r"[^\r\n]{1,200}",
    value=schedule,
    published=r"\s*\S+(\s+\S+){4}\s*",
)
WATCHED = Text(
    "a pattern as in .gitignore, such as libraries/prices/**", r"[^\\\x00-\x1f]{1,500}", value=watched
)
