"""Make a virtual environment with pip in it: `python3 tools/bootstrap.py FOLDER`.

Standard library only. Debian ships Python without ensurepip (that is in python3-venv); there pip's wheel
comes from the package index that pip itself would use, checked against the index's sha256.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import ssl
import sys
import sysconfig
import urllib.error
import urllib.request
import venv
import zipfile
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn
from urllib.parse import urldefrag, urljoin

INDEX = "https://pypi.org/simple"
JSON_TYPE = "application/vnd.pypi.simple.v1+json"
WHEEL = re.compile(r"pip-(\d+(?:\.\d+)*)-py3-none-any\.whl")
PATIENCE = 60
"""Seconds for each answer of the index."""


def main(arguments: list[str]) -> int:
    """Make it, whole or not at all."""
    if len(arguments) != 1:
        print("usage: bootstrap.py FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    try:
        if find_spec("ensurepip") is not None and _bundled():
            venv.create(folder, with_pip=True, symlinks=True)
        else:
            venv.create(folder, with_pip=False, symlinks=True)
            _unpack(*_newest(os.environ.get("PIP_INDEX_URL") or INDEX), folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return 0


def _bundled() -> bool:
    """Whether ensurepip has its wheel: some distributions leave the module and take the wheel away."""
    import ensurepip

    try:
        return bool(ensurepip.version())
    except Exception:  # whatever is wrong with it: we do without
        return False


class _Links(HTMLParser):
    """The files of an index page (PEP 503)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str | None, bool]] = []
        """Address, required Python, whether it was withdrawn."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take each link."""
        named = dict(attrs)
        if tag == "a" and (href := named.get("href")):
            self.found.append((href, named.get("data-requires-python"), "data-yanked" in named))


def _newest(index: str) -> tuple[str, str]:
    """Address and sha256 of the newest pip that this Python can run."""
    page = f"{index.rstrip('/')}/pip/"
    content, kind, page = _get(page, accept=f"{JSON_TYPE}, text/html;q=0.5")
    files: list[tuple[str, str, str | None, bool]] = []
    if "json" in kind:
        for one in json.loads(content)["files"]:
            sha = one.get("hashes", {}).get("sha256", "")
            files.append((one["url"], sha, one.get("requires-python"), bool(one.get("yanked"))))
    else:
        links = _Links()
        links.feed(content.decode())
        for href, requires, yanked in links.found:
            address, fragment = urldefrag(href)
            files.append((address, fragment.removeprefix("sha256="), requires, yanked))
    versions = []
    for address, sha, requires, yanked in files:
        named = WHEEL.fullmatch(address.rpartition("/")[2])
        if named and len(sha) == 64 and not yanked and _runs_here(requires):
            version = tuple(int(part) for part in named[1].split("."))
            versions.append((version, urljoin(page, address), sha))
    if not versions:
        _fail(f"{page} offers no pip for Python {sys.version_info.major}.{sys.version_info.minor}")
    _, address, sha = max(versions)
    return address, sha


def _runs_here(requires: str | None) -> bool:
    """Whether `>=3.9` and its like hold; only lower bounds matter for pip."""
    bound = re.search(r">=\s*(\d+)\.(\d+)", requires or "")
    return bound is None or sys.version_info[:2] >= (int(bound[1]), int(bound[2]))


def _unpack(address: str, sha: str, folder: Path) -> None:
    """A wheel of pure Python is a zip of site-packages."""
    content, _, _ = _get(address, accept="*/*")
    seen = hashlib.sha256(content).hexdigest()
    if seen != sha:
        _fail(f"{address} has sha256 {seen}, but the index says {sha}")
    variables = {"base": str(folder.absolute()), "platbase": str(folder.absolute())}
    packages = sysconfig.get_path("purelib", scheme="venv", vars=variables)
    with zipfile.ZipFile(io.BytesIO(content)) as wheel:
        wheel.extractall(packages)


def _get(address: str, *, accept: str) -> tuple[bytes, str, str]:
    """Content, its type, and the address that it came from in the end."""
    if not address.startswith(("https://", "http://")):
        _fail(f"{address} is no address that can be fetched")
    headers = {"Accept": accept, "User-Agent": "deployd-bootstrap"}
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 - looked at just above
    bundle = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    try:
        context = ssl.create_default_context(cafile=bundle or None)
        with urllib.request.urlopen(request, timeout=PATIENCE, context=context) as answer:  # noqa: S310
            return answer.read(), answer.headers.get_content_type(), answer.geturl()
    except (urllib.error.URLError, OSError) as error:
        _fail(f"{address} cannot be fetched: {error}")


def _fail(what: str) -> NoReturn:
    print(f"pip cannot be set up: {what}", file=sys.stderr)
    print(
        "what to do: install your distribution's python3-venv, or set PIP_INDEX_URL to a package index "
        "that can be reached.",
        file=sys.stderr,
    )
    raise SystemExit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
