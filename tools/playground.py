"""Fetch the parts of the playground from npm's registry: `python tools/playground.py [--try]`.

Standard library only. Each package is pinned by version and sha512, as npm's own lock files do it. With
`--try` it takes little time and fails nobody: what is missing is said in one line, and by the page itself.

GraphiQL 4 is the last that can be served as it is; GraphiQL 5 has to be bundled, which takes node and 220 MB
of packages.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import os
import shutil
import ssl
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parent.parent / "deployd" / "web" / "assets" / "fetched"
REGISTRY = "https://registry.npmjs.org"
PATIENCE = 600.0
"""Seconds for all of it."""
LITTLE = 20.0
"""The same with `--try`."""
SILENCE = 10.0
"""Seconds in which the registry has to say something."""
STAMP = "versions.txt"
"""What the folder holds; written last."""


class Package(NamedTuple):
    """One of npm's."""

    name: str
    version: str
    sha512: str
    files: dict[str, str]
    """Names within the package, without `package/`, and what they are called here."""


PACKAGES = (
    Package(
        "graphiql",
        "4.1.2",
        "rNlzQIAzm6i2KBXmVQWBgLvt0TloxFVB2d18bukvdsvjEuFDHsKx5IVOomL1W1o5WW+tE54+ioHb2AEKzO2cUg==",
        {"graphiql.min.js": "graphiql.js", "graphiql.min.css": "graphiql.css", "LICENSE": "graphiql.LICENSE"},
    ),
    Package(
        "graphql-ws",
        "6.4.2",
        "wxhPhhOGJo8PbGDkBYVE76sZLDrS+GkyrR4bZECSLVbo0pZZNKs0HtBh2Ip/uaUuiVUxwO9ssI9R92buQfNSqQ==",
        {"umd/graphql-ws.min.js": "graphql-ws.js", "LICENSE.md": "graphql-ws.LICENSE"},
    ),
    Package(
        "react",
        "18.3.1",
        "wS+hAgJShR0KhEvPJArfuPVN1+Hz1t0Y6n5jLrGQbkb4urgPE/0Rve+1kMB1v/oWgHgm4WIcV+i7F2pTVj+2iQ==",
        {"umd/react.production.min.js": "react.js", "LICENSE": "react.LICENSE"},
    ),
    Package(
        "react-dom",
        "18.3.1",
        "5m4nQKp+rZRb09LNH59GM4BxTh9251/ylbKIbpe7TpGxfJ+9kv6BLkLBXIjjspbgbnIBNqlI23tRnTWT0snUIw==",
        {"umd/react-dom.production.min.js": "react-dom.js", "LICENSE": "react-dom.LICENSE"},
    ),
)


class CannotFetch(Exception):
    """Which package, and why."""


def main(arguments: list[str]) -> int:
    """Fetch what is not there yet."""
    if arguments not in ([], ["--try"]):
        print("usage: playground.py [--try]", file=sys.stderr)
        return 2
    try:
        fetch(FOLDER, LITTLE if arguments else PATIENCE)
    except CannotFetch as error:
        print(f"the playground at /graphql is not installed: {error}", file=sys.stderr)
        print("what to do: `make playground`; nothing else needs it", file=sys.stderr)
        return 0 if arguments else 1
    return 0


def fetch(folder: Path, patience: float = PATIENCE) -> None:
    """Make the folder hold exactly these packages' files, whole or not at all. Raises CannotFetch."""
    if is_complete(folder):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + patience
    made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        made.chmod(0o755)
        for one in PACKAGES:
            _unpack(one, _get(one, until), made)
        (made / STAMP).write_text(_versions(), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def is_complete(folder: Path) -> bool:
    """Whether it holds what is pinned here; by its stamp, which an interrupted fetch does not write."""
    stamp = folder / STAMP
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != _versions():
        return False
    return all((folder / here).is_file() for one in PACKAGES for here in one.files.values())


def _versions() -> str:
    return "".join(
        f"{one.name}@{one.version} sha512-{one.sha512} {' '.join(one.files.values())}\n" for one in PACKAGES
    )


def _get(one: Package, until: float) -> bytes:
    """The package as it is kept in the registry; `until` on the monotonic clock."""
    registry = os.environ.get("NPM_CONFIG_REGISTRY") or REGISTRY
    address = f"{registry.rstrip('/')}/{one.name}/-/{one.name}-{one.version}.tgz"
    if not address.startswith(("https://", "http://")):
        raise CannotFetch(f"{address} is no address that can be fetched")
    request = urllib.request.Request(address, headers={"User-Agent": "deployd"})  # noqa: S310 - looked at
    context = ssl.create_default_context(cafile=os.environ.get("PIP_CERT") or None)
    try:
        with urllib.request.urlopen(request, timeout=SILENCE, context=context) as answer:  # noqa: S310
            content = b"".join(_pieces(answer, until))
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise CannotFetch(f"{address} cannot be fetched: {error}") from error
    seen = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if seen != one.sha512:
        raise CannotFetch(f"{address} has sha512 {seen}, but {one.sha512} is pinned")
    return content


def _pieces(answer: http.client.HTTPResponse, until: float) -> Iterator[bytes]:
    """The content. Raises TimeoutError."""
    while piece := answer.read(256 * 1024):
        if time.monotonic() > until:
            raise TimeoutError("it takes too long")
        yield piece


def _unpack(one: Package, content: bytes, folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        for name, here in one.files.items():
            found = archive.extractfile(f"package/{name}")
            assert found is not None, f"{name} is a file of the pinned package"
            (folder / here).write_bytes(found.read())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
