"""Which Dockerfiles are faithful as processes, and what is said of the others."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from deployd.drivers.process.dockerfile import read_dockerfile
from deployd.drivers.process.recipe import Recipe
from deployd.errors import Terminal
from deployd.model.reason import Reason

APP = "FROM x\nWORKDIR /app\nCOPY . .\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (
        "server.py",
        "src/app.py",
        "src/data/x.txt",
        "package.json",
        "package-lock.json",
        "bin/start.sh",
    ):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    return tmp_path


def read(tree: Path, text: str) -> Recipe | tuple[Reason, ...]:
    (tree / "Dockerfile").write_text(text)
    return read_dockerfile(tree, ".", "Dockerfile", "/usr/bin:/bin")


def good(tree: Path, text: str) -> Recipe:
    recipe = read(tree, text)
    assert isinstance(recipe, Recipe), recipe
    return recipe


def refusal(tree: Path, text: str) -> Reason:
    refusals = read(tree, text)
    assert not isinstance(refusals, Recipe)
    assert len(refusals) == 1, refusals
    return refusals[0]


def test_the_usual(tree: Path) -> None:
    recipe = good(
        tree,
        """# a comment
ARG VERSION=3.11
FROM python:${VERSION} AS build
RUN pip install everything
FROM python:${VERSION}-slim AS final
ARG MODE=fast
ARG VERSION
ENV MODE=$MODE LEVEL="very ${MODE:-slow}" OLD=${VERSION}
ENV SPACED one two
WORKDIR /srv
WORKDIR app
COPY --chown=app:app . .
RUN useradd -m app && \\
    mkdir -p /srv/app && chown -R app /srv/app
EXPOSE 8080/tcp 9090
USER app
HEALTHCHECK CMD curl localhost
STOPSIGNAL SIGINT
ENTRYPOINT ["python3", "-m"]
CMD ["server", "$MODE"]
""",
    )
    assert recipe.command.argv == ("python3", "-m", "server", "$MODE")
    assert recipe.cwd == tree
    assert recipe.env == {"MODE": "fast", "LEVEL": "very fast", "OLD": "3.11", "SPACED": "one two"}
    assert recipe.ports == {"http": 8080, "tcp9090": 9090}
    assert recipe.stop_signal == "SIGINT"
    assert recipe.notes


@pytest.mark.parametrize(
    ("lines", "cwd"),
    [
        ("WORKDIR /app\nCOPY . /app", "."),
        ("WORKDIR /app\nCOPY . /app/", "."),
        ("WORKDIR /app\nCOPY src/ ./", "src"),
        ("WORKDIR /app\nCOPY src .", "src"),
        ("WORKDIR /app\nCOPY src src\nCOPY server.py ./", "."),
        ("WORKDIR /app/src\nCOPY src /app/src", "src"),
        ("WORKDIR /app\nCOPY package*.json ./\nCOPY . .", "."),
        ("WORKDIR /app\nCOPY server.py package.json ./", "."),
        ('WORKDIR /app\nCOPY ["server.py", "./"]', "."),
        ("WORKDIR /app\nADD . .", "."),
        ("ENV WHERE=/app\nWORKDIR $WHERE\nCOPY ../../src ${WHERE}/src", "."),
        ("COPY . /app\nWORKDIR /app/src", "src"),
        ("WORKDIR /app\nCOPY server.py server.py", "."),
        ("WORKDIR /src\nCOPY src .", "src"),
    ],
)
def test_where_it_runs(tree: Path, lines: str, cwd: str) -> None:
    assert good(tree, f"FROM x\n{lines}\nCMD server\n").cwd == tree / cwd


@pytest.mark.parametrize(
    ("lines", "argv"),
    [
        ("CMD serve $PORT", ("/bin/sh", "-c", "exec serve $PORT")),
        ("CMD serve now", ("serve", "now")),
        ('CMD ["ignored"]\nENTRYPOINT serve now', ("serve", "now")),
        ('ENTRYPOINT ["serve"]\nCMD now', ("serve", "/bin/sh", "-c", "now")),
        ('CMD ["first"]\nCMD ["second"]', ("second",)),
        ('ENTRYPOINT ["first"]\nENTRYPOINT []\nCMD ["second"]', ("second",)),
        ('SHELL ["/bin/sh", "-c"]\nCMD serve', ("serve",)),
    ],
)
def test_commands(tree: Path, lines: str, argv: tuple[str, ...]) -> None:
    assert good(tree, f"FROM x\nWORKDIR /app\nCOPY . .\n{lines}\n").command.argv == argv


def test_paths_of_the_image_become_those_of_the_tree(tree: Path) -> None:
    text = (
        APP
        + 'ENV PYTHONPATH=/app/src:/usr/lib PATH=/app/bin:$PATH\nCMD ["/app/bin/start.sh", "/app", "/appl"]\n'
    )
    recipe = good(tree, text)
    assert recipe.command.argv == (str(tree / "bin/start.sh"), str(tree), "/appl")
    assert recipe.env == {"PYTHONPATH": f"{tree}/src:/usr/lib", "PATH": f"{tree}/bin:/usr/bin:/bin"}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (APP + "RUN pip install -r requirements.txt\nCMD server", 4, "RUN pip install"),
        (APP + "RUN mkdir x && make\nCMD server", 4, "make"),
        (APP + "RUN chmod +x $(find .)\nCMD server", 4, "RUN chmod"),
        (APP + "RUN echo hello > index.html\nCMD server", 4, "RUN echo"),
        (APP + 'RUN ["make"]\nCMD server', 4, "make"),
        (APP + "RUN <<EOF\nmake\nEOF\nCMD server", 4, "heredoc"),
        (APP + "COPY <<EOF /app/x\nmake\nEOF\nCMD server", 4, "heredoc"),
        (APP + "COPY --from=build /out /app\nCMD server", 4, "`build`"),
        (APP + "COPY --parents src /app\nCMD server", 4, "--parents"),
        (APP + "ADD https://example.com/x /app/x\nCMD server", 4, "https://example.com/x"),
        (APP + "ADD files.tar.gz /app\nCMD server", 4, "files.tar.gz"),
        (APP + "COPY nowhere .\nCMD server", 4, "nowhere"),
        (APP + "COPY *.rs .\nCMD server", 4, "*.rs"),
        (APP + "COPY src lib\nCMD server", 4, "elsewhere"),
        (APP + "COPY src /src\nCMD server", 4, "elsewhere"),
        (APP + "VOLUME /data\nCMD server", 4, "VOLUME"),
        (APP + "EXPOSE 53/udp\nCMD server", 4, "EXPOSE"),
        (APP + "ENV A=${B/x/y}\nCMD server", 4, "ENV"),
        (APP + "STOPSIGNAL SIGKILL\nCMD server", 4, "STOPSIGNAL"),
        (APP + "WORKDIR /elsewhere\nCMD server", 5, "/elsewhere"),
        (APP + "WORKDIR dist\nCMD server", 5, "/app/dist"),
        (APP + 'CMD ["server", "--config=/app/x.toml"]', 4, "--config=/app/x.toml"),
        (APP + "CMD server --chdir /app", 4, "--chdir /app"),
        (APP + 'SHELL ["/bin/bash", "-c"]\nCMD server', 5, "SHELL"),
        (APP, 3, "no CMD"),
        ("FROM x\nCMD server", 2, "nothing of the source tree"),
        ("FROM x AS base\nRUN make\nFROM base\nWORKDIR /app\nCOPY . .\nCMD server", 3, "`base`"),
    ],
)
def test_what_is_not_faithful(tree: Path, text: str, line: int, words: str) -> None:
    reason = refusal(tree, text + "\n")
    assert reason.code == "DOCKERFILE_NOT_FAITHFUL"
    assert reason.summary.startswith(f"Dockerfile:{line}: ")
    assert words in reason.summary
    assert "`run: " in reason.remedy
    assert ("`run: server" in reason.remedy) == ("server" in text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (APP + "FOO bar\nCMD server", 4),
        (APP + "CMD ['server']", 4),
        (APP + "ENV\nCMD server", 4),
        (APP + "COPY x\nCMD server", 4),
        ("RUN x\nFROM x\nWORKDIR /app\nCOPY . .\nCMD server", 1),
        ("FROM\nCMD server", 1),
        ("FROM x\nRUN <<EOF\nnever closed", 1),
        ("", 1),
        ("# nothing\n", 1),
    ],
)
def test_what_is_broken(tree: Path, text: str, line: int) -> None:
    refusals = read(tree, text + "\n")
    assert not isinstance(refusals, Recipe)
    assert refusals[0].code == "DOCKERFILE_BROKEN"
    assert refusals[0].summary.startswith(f"Dockerfile:{line}: ")


def test_all_refusals_are_told_at_once(tree: Path) -> None:
    refusals = read(tree, APP + "RUN make\nCOPY --from=x a b\nVOLUME /x\nCMD server\n")
    assert not isinstance(refusals, Recipe)
    assert [reason.summary.split(":")[1] for reason in refusals] == ["4", "5", "6"]


def test_a_missing_one(tree: Path) -> None:
    reasons = read_dockerfile(tree, "src", "Dockerfile", "")
    assert not isinstance(reasons, Recipe)
    assert reasons[0].code == "DOCKERFILE_MISSING"
    assert reasons[0].summary.startswith("src/Dockerfile:1: ")


@pytest.mark.parametrize("context", ["..", "nowhere", "server.py"])
def test_a_context_that_is_none(tree: Path, context: str) -> None:
    reasons = read_dockerfile(tree, context, "Dockerfile", "")
    assert not isinstance(reasons, Recipe)
    assert reasons[0].code == "CONTEXT_MISSING"


def test_nothing_outside_of_the_tree_is_read(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "Dockerfile").write_text(APP + "CMD secret\n")
    (tree / "src" / "Dockerfile").symlink_to(outside / "Dockerfile")
    reasons = read_dockerfile(tree, "src", "Dockerfile", "")
    assert not isinstance(reasons, Recipe)
    assert reasons[0].code == "DOCKERFILE_MISSING"
    (tree / "link").symlink_to(outside)
    assert (
        "leads out" in refusal(tree, "FROM x\nWORKDIR /app\nCOPY . .\nCOPY link link\nCMD server\n").summary
    )


def test_without_the_parser(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dockerfile", None)
    with pytest.raises(Terminal) as raised:
        read(tree, APP + "CMD server\n")
    assert "pip install 'deployd[local]'" in raised.value.remedy


STAGES = """\
ARG NAME=web
FROM python:3.12 AS base
WORKDIR /app
COPY . .
ARG NAME
CMD ["python3", "-m", "${NAME}"]
FROM python:3.12 AS tests
WORKDIR /app
COPY . .
ARG MODE=quick
ENV MODE=$MODE
CMD ["python3", "-m", "tests"]
"""


def test_the_stage_that_is_meant_and_what_its_args_are_given(tree: Path) -> None:
    (tree / "Dockerfile").write_text(STAGES)

    def read(target: str | None, **args: str) -> Recipe | tuple[Reason, ...]:
        return read_dockerfile(tree, ".", "Dockerfile", "/usr/bin", target=target, args=args)

    last, base, numbered = read(None, MODE="long"), read("BASE"), read("0")
    assert isinstance(last, Recipe)
    assert (last.command.argv[-1], last.env) == ("tests", {"MODE": "long"})
    assert isinstance(base, Recipe)
    assert base == numbered
    assert base.env == {}
    (missing,) = read_dockerfile(tree, ".", "Dockerfile", "/usr/bin", target="tset")
    assert isinstance(missing, Reason)
    assert "there is no stage `tset`" in missing.summary
    assert "`base`, `tests`" in missing.summary
    refused = read("tests", NAMES="x")
    assert not isinstance(refused, Recipe)
    told = "`build.args.NAMES` is given, and no ARG of this stage takes it"
    assert any(told in one.summary for one in refused)
