"""The playground's parts come whole and as pinned, or not at all; and they are in what is shipped."""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from tests.unit.tools.loading import tool

ROOT = Path(__file__).parents[3]


def package(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


@pytest.fixture
def playground(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The tool, with one package in a registry of its own."""
    module = tool("playground")
    content = package({"x.min.js": b"1", "LICENSE": b"MIT", "x.map": b"2"})
    sha512 = base64.b64encode(hashlib.sha512(content).digest()).decode()
    one = module.Package("x", "1.0.0", sha512, {"x.min.js": "x.js", "LICENSE": "x.LICENSE"})
    monkeypatch.setattr(module, "PACKAGES", (one,))

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/x/-/x-1.0.0.tgz"
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(content if found else b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"http://127.0.0.1:{server.server_port}")
        yield module
        server.shutdown()
        thread.join()


def test_what_is_pinned_is_fetched_once(playground: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "fetched"
    playground.fetch(folder)
    assert {one.name for one in folder.iterdir()} == {"x.js", "x.LICENSE", playground.STAMP}
    assert (folder / "x.js").read_bytes() == b"1"
    before = folder.stat().st_ino
    playground.fetch(folder)
    assert folder.stat().st_ino == before
    (folder / "x.js").unlink()
    playground.fetch(folder)
    assert (folder / "x.js").is_file()


def test_what_is_not_as_pinned_is_not_taken(
    playground: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = playground.PACKAGES[0]._replace(sha512="A" * 86 + "==")
    monkeypatch.setattr(playground, "PACKAGES", (other,))
    with pytest.raises(playground.CannotFetch, match="is pinned"):
        playground.fetch(tmp_path / "fetched")
    assert list(tmp_path.iterdir()) == []


def test_without_a_registry_it_is_said_and_setting_up_goes_on(
    playground: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(playground, "FOLDER", tmp_path / "fetched")
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:1")
    assert playground.main(["--try"]) == 0
    assert "make playground" in capsys.readouterr().err
    assert playground.main([]) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    not (ROOT / "deployd/web/assets/fetched/versions.txt").is_file(),
    reason="the playground is not there: make playground",
)
def test_wheels_and_sdists_have_the_playground(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "hatchling", "build", "-d", tmp_path]
    subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    (sdist,) = tmp_path.glob("*.tar.gz")
    wanted = {
        f"deployd/web/assets/fetched/{name}" for name in ("graphiql.js", "graphiql.LICENSE", "react.js")
    }
    wanted |= {"deployd/web/assets/playground.html", "deployd/web/assets/playground.js"}
    with zipfile.ZipFile(wheel) as archive:
        assert wanted <= set(archive.namelist())
    with tarfile.open(sdist) as tape:
        names = {name.partition("/")[2] for name in tape.getnames()}
    assert wanted | {"tools/playground.py", "tools/build_hook.py"} <= names
    assert not any("node_modules" in name for name in names)
