"""What deployd.yaml may say in this version: the one place where its keys are listed."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping

from deployd.manifest import quantity
from deployd.manifest.shape import Either, Later, Number, Record, Shape, Table, Text, Whole

__all__ = ["DOCUMENT", "EXTENSION", "VERSION"]

VERSION = 1
EXTENSION = "x-"
"""Keys that begin with it are other programs' and ignored, at every level."""


def health_needs_port(service: Mapping[str, object], folder: str) -> Iterable[tuple[str, str]]:
    """An HTTP path can be asked for only at a port."""
    health = service.get("health")
    asks = isinstance(health, str) or (isinstance(health, dict) and "path" in health)
    if asks and not (service.get("port") or service.get("ports")):
        yield "health", "is an HTTP path, but the service has no port; add `port:`"


def ports_differ(service: Mapping[str, object], folder: str) -> Iterable[tuple[str, str]]:
    """Two names for one number would hide that one of them is a mistake."""
    ports = service.get("ports")
    if isinstance(ports, dict) and len(set(ports.values())) < len(ports):
        yield "ports", "gives one number two names, would be a number of its own for each"


def build_stays_inside(service: Mapping[str, object], folder: str) -> Iterable[tuple[str, str]]:
    """What is outside of the tree is not in its snapshot."""
    build = service.get("build")
    said: Mapping[str, str] = build if isinstance(build, dict) else {"context": str(build or ".")}
    context = posixpath.join(folder, said.get("context", "."))
    for path in (context, posixpath.join(context, said.get("dockerfile", "Dockerfile"))):
        if posixpath.normpath(path).split("/")[0] == "..":
            yield "build", "leads out of the source tree, would be a path within it"
            return


PATH = Text(
    "a path within the source tree, relative to this file, such as services/cart",
    r"(?!/)[^\\\x00-\x1f]+",
)
SERVICE_NAME = Text(
    "a name of at most 40 lower-case letters, digits and inner hyphens that begins with a letter",
    r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?",
)
PORT_NAME = Text(
    "a name of at most 15 lower-case letters, digits and inner hyphens that begins with a letter",
    r"[a-z]([a-z0-9-]{0,13}[a-z0-9])?",
)
ENVIRONMENT_NAME = Text(
    "a name of letters, digits and underscores that does not begin with a digit, "
    "other than PORT and DEPLOYD_…, which deployd sets",
    r"(?!PORT$|DEPLOYD_)[A-Za-z_][A-Za-z0-9_]*",
)
PORT = Whole("a port number from 1 to 65535", 1, 65535)
HTTP_PATH = Text("an HTTP path that begins with a slash, such as /healthz", r"/[!-~]*")

TIMEOUT = Either(
    "a time such as 30s or 2m, or a number of seconds",
    (
        Number(
            "a number of seconds from 1 to 3600, or a time such as 30s or 2m",
            quantity.TIMEOUT_MINIMUM,
            quantity.TIMEOUT_MAXIMUM,
        ),
        Text(
            "a time such as 30s or 2m, or a number of seconds",
            quantity.SECONDS,
            value=quantity.seconds,
        ),
    ),
)

SERVICE_KEYS: dict[str, Shape] = {
    "build": Either(
        "the folder with the Dockerfile, or {context, dockerfile}",
        (
            PATH,
            Record(
                "a mapping with `context` and `dockerfile`",
                {"context": PATH, "dockerfile": PATH},
                later=("args", "target"),
            ),
        ),
    ),
    "run": Text("a command line such as python3 server.py", r"[\s\S]*\S[\s\S]*"),
    "port": PORT,
    "ports": Table("a mapping of names to port numbers, such as {http: 8080}", PORT_NAME, PORT, at_least=1),
    "health": Either(
        "an HTTP path such as /healthz, or {path, timeout}",
        (HTTP_PATH, Record("a mapping with `path` and `timeout`", {"path": HTTP_PATH, "timeout": TIMEOUT})),
    ),
    "size": Record(
        "a mapping such as {cpu: 0.5, memory: 256Mi}",
        {
            "cpu": Number("a number of cores from 0.001 to 1024, such as 0.5", 0.001, 1024),
            "memory": Text(
                "an amount with its unit, such as 256Mi, 1Gi or 512M",
                quantity.MEMORY,
                value=quantity.memory,
            ),
        },
    ),
    "env": Table(
        "a mapping of names to values",
        ENVIRONMENT_NAME,
        Text(
            'text, a number or a truth value ("" where it is empty)',
            r"([^$]|\$(?!\{)|\$\$\{|\$\{secrets\.[A-Za-z_][A-Za-z0-9_-]*\})*",
            scalar=True,
            wrong="has a reference ${…}; references to resources, services and secrets are not available in "
            "this version, would be a plain value, with $${ for a literal ${",
        ),
    ),
    "scale": Either(
        "a whole number of at least 1",
        (Whole("a whole number of at least 1", 1), Later("a range {min, max}")),
    ),
}
SERVICE_LATER = ("before", "image", "requires", "resources", "rollout", "routes", "schedule", "watch")
SERVICE_RULES = (build_stays_inside, health_needs_port, ports_differ)

ONE_SERVICE = Record(
    "a mapping that describes the service",
    {"name": SERVICE_NAME, **SERVICE_KEYS},
    required={"name": "a name, such as `name: hello`"},
    later=SERVICE_LATER,
    exclusive=(("port", "ports"),),
    rules=SERVICE_RULES,
)
NAMED_SERVICE = Record(
    "a mapping that describes the service",
    SERVICE_KEYS,
    later=SERVICE_LATER,
    exclusive=(("port", "ports"),),
    rules=SERVICE_RULES,
)
DOCUMENT = Record(
    "a mapping with `deployd: 1` and `service:` or `services:`",
    {
        "deployd": Whole("1, the version of this file's format", VERSION, VERSION),
        "service": ONE_SERVICE,
        "services": Table(
            "a mapping of names to services", names=SERVICE_NAME, values=NAMED_SERVICE, at_least=1
        ),
    },
    required={"deployd": "the version of this file's format, `deployd: 1`"},
    later=("worlds",),
    one_of=(("service", "services"),),
)
