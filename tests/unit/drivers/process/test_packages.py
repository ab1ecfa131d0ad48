"""Which `pip install` lines can be followed, and what their digest depends on."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployd.drivers.process.dockerfile import read_dockerfile
from deployd.drivers.process.packages import Install, commands, describe
from deployd.drivers.process.recipe import Recipe

HEAD = "FROM x\nWORKDIR /app\nCOPY . .\n"


def read(tree: Path, line: str, head: str = HEAD) -> tuple[Install, ...] | str:
    """The installs of one line, or what is said against it."""
    (tree / "Dockerfile").write_text(f"{head}{line}\nCMD serve\n")
    for name in ("requirements.txt", "requirements/base.txt", "wheels/x.whl", "constraints.txt"):
        (tree / name).parent.mkdir(exist_ok=True)
        if not (tree / name).exists():
            (tree / name).write_text("flask\n")
    found = read_dockerfile(tree, ".", "Dockerfile", "/usr/bin")
    return found.installs if isinstance(found, Recipe) else found[0].summary


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("RUN pip install -r requirements.txt", "requirements.txt"),
        ("RUN pip3 install --no-cache-dir -q -rrequirements.txt", "requirements.txt"),
        ("RUN python -m pip install --requirement=./requirements/base.txt", "base.txt"),
        (
            "RUN python3 -m pip install -U 'gunicorn>=20,<23' uvicorn[standard]",
            "gunicorn>=20,<23, uvicorn[standard]",
        ),
        ("RUN pip install --upgrade pip && pip install -r requirements.txt", "pip, requirements.txt"),
        ("RUN useradd app && pip install flask \\\n  django==4 && mkdir /data", "flask, django==4"),
        ("RUN pip install --no-index --find-links wheels -c constraints.txt x", "x"),
        ("RUN pip install --find-links=https://example.org/wheels x", "x"),
        ("RUN pip install --index-url https://example.org/simple x", "x"),
        ("RUN pip install git+https://example.org/x.git@v1", "git+https://example.org/x.git@v1"),
        (
            "RUN --mount=type=cache,target=/root/.cache pip install -r /app/requirements.txt",
            "requirements.txt",
        ),
    ],
)
def test_followed(tmp_path: Path, line: str, shown: str) -> None:
    found = read(tmp_path, line)
    assert not isinstance(found, str), found
    assert describe(found) == shown


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("RUN pip install .", "from a path"),
        ("RUN pip install ./wheels/x.whl", "from a path"),
        ("RUN pip install x.whl", "from a path"),
        ("RUN pip install -e .", "cannot be followed"),
        ("RUN pip install --target /opt x", "cannot be followed"),
        ("RUN pip install -r missing.txt", "not in the source tree"),
        ("RUN pip install -r /elsewhere/requirements.txt", "no COPY puts it there"),
        ("RUN pip install -r", "says nothing"),
        ("RUN pip install $PACKAGES", "makes something"),
        ("RUN pip install x || true", "makes something"),
        ("RUN pip install x > log", "makes something"),
        ("RUN pip install x && make", "makes something"),
        ("RUN pip download x", "makes something"),
        ("RUN --mount=type=secret,id=pip pip install x", "makes something"),
        ('RUN ["pip", "install", "x"]', "makes something"),
    ],
)
def test_refused(tmp_path: Path, line: str, said: str) -> None:
    found = read(tmp_path, line)
    assert isinstance(found, str)
    assert "Dockerfile:4" in found
    assert said in found


@pytest.mark.parametrize(
    "line", ["-e .", "./local", "wheels/x.whl", "-r ../../outside.txt", "-r requirements.txt"]
)
def test_a_file_that_installs_from_the_tree(tmp_path: Path, line: str) -> None:
    (tmp_path / "requirements.txt").write_text(f"flask\n{line}\n")
    assert isinstance(read(tmp_path, "RUN pip install -r requirements.txt"), str)


def test_a_copy_before_the_rest(tmp_path: Path) -> None:
    head = "FROM x\nWORKDIR /app\nCOPY requirements.txt .\n"
    found = read(tmp_path, "RUN pip install -r requirements.txt\nCOPY . .", head)
    assert not isinstance(found, str)
    assert found[0].words == ("-r", tmp_path / "requirements.txt")


def test_the_digest_is_of_all_that_is_read(tmp_path: Path) -> None:
    line = "RUN pip install -f wheels -r requirements.txt"
    (tmp_path / "requirements.txt").write_text("-r requirements/base.txt # more\nflask==2 --hash=sha256:aa\n")

    def digest() -> bytes:
        found = read(tmp_path, line)
        assert not isinstance(found, str), found
        return found[0].digest()

    seen = [digest()]
    for name in ("requirements/base.txt", "wheels/x.whl", "requirements.txt"):
        assert digest() == seen[-1]
        (tmp_path / name).write_text((tmp_path / name).read_text() + "# other\n")
        seen.append(digest())
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("a 'b && c'; d", [["a", "b && c"], ["d"]]),
        ("a\nb &&\n c", [["a"], ["b"], ["c"]]),
        ("a | b", None),
        ("a &", None),
        ("(a)", None),
        ("a 'b", None),
        ("a `b`", None),
    ],
)
def test_commands(line: str, found: list[list[str]] | None) -> None:
    assert commands(line) == found
