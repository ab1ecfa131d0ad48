"""Which files a service depends on, seen from trees that are only names and contents."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import pytest

from deployd.errors import InputError
from deployd.manifest.ignoring import Ignoring
from deployd.manifest.inputs import fingerprint, inputs
from deployd.model.entry import LINK, Entry
from deployd.model.spec import BuildSpec, ServiceSpec

CONTEXT = ("a/one.py", "a/two.py", "b/deep/three.py", "b/x.md", "main.go", "go.mod", "secret/key")


def entries(files: Mapping[str, str], links: Mapping[str, str]) -> list[Entry]:
    def oid(content: str) -> str:
        return hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()

    return [
        *(Entry(path, "100644", oid(content)) for path, content in files.items()),
        *(Entry(path, LINK, oid(content)) for path, content in links.items()),
    ]


def seen(spec: ServiceSpec, files: Mapping[str, str], links: Mapping[str, str] | None = None) -> list[str]:
    """The paths that it depends on."""
    every = {**files, **(links or {})}
    found = inputs(spec, entries(files, links or {}), lambda path: every[path].encode())
    return [one.path for one in found]


def taken(dockerfile: str, *more: str, target: str | None = None, **args: str) -> list[str]:
    """What a service in the folder `s` depends on, besides its Dockerfile."""
    files = {f"s/{path}": path for path in (*CONTEXT, *more)} | {
        "other/file": "x",
        "s/Dockerfile": dockerfile,
    }
    spec = ServiceSpec("s", build=BuildSpec("s", target=target, args=args))
    return [path.removeprefix("s/") for path in seen(spec, files) if path != "s/Dockerfile"]


WHOLE = sorted(CONTEXT)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("FROM x\nCMD a", []),
        ("FROM x\nCOPY . /app", WHOLE),
        ("FROM x\nCOPY main.go go.* /app/", ["go.mod", "main.go"]),
        ("FROM x\nCOPY a /app", ["a/one.py", "a/two.py"]),
        ("FROM x\nCOPY /a/ /app", ["a/one.py", "a/two.py"]),
        ("FROM x\nCOPY ../../a/o?e.py /app", ["a/one.py"]),
        ("FROM x\nCOPY */*.py /app", ["a/one.py", "a/two.py"]),
        ("FROM x\nCOPY --parents ./**/*.py /app", ["a/one.py", "a/two.py", "b/deep/three.py"]),
        ("FROM x\nCOPY [^ab]/* m[a-z]in.go /app", ["main.go"]),
        ('FROM x\nCOPY --chown=1:1 ["b/x.md", "/app"]', ["b/x.md"]),
        ('FROM x\nCOPY "b/x.md" /app', ["b/x.md"]),
        ("FROM x\nADD https://example.com/y.tar a /app/", ["a/one.py", "a/two.py"]),
        ("FROM x\nCOPY <<one b/x.md /app/\nmain.go\none\n", ["b/x.md"]),
        ("FROM x\nCOPY missing /app", []),
        # Stages: only those that the target needs.
        ("FROM x AS one\nCOPY go.mod /\nFROM x AS two\nCOPY b /\nFROM y\nCOPY --from=one /a /", ["go.mod"]),
        ("FROM x AS one\nCOPY go.mod /\nFROM One AS two\nCOPY main.go /\nFROM two", ["go.mod", "main.go"]),
        ("FROM x\nCOPY go.mod /\nFROM y\nCOPY main.go /\nFROM z\nCOPY --from=0 /go.mod /", ["go.mod"]),
        ("FROM x AS one\nCOPY go.mod /\nFROM y\nCOPY --from=nginx /a /", []),
        ("FROM x AS one\nCOPY go.mod /\nFROM y\nRUN --mount=from=one,target=/x cat /x", ["go.mod"]),
        ("FROM x\nRUN --mount=type=bind,source=a,target=/x cat /x", ["a/one.py", "a/two.py"]),
        ("FROM x\nRUN --mount=target=. make", WHOLE),
        ("FROM x\nRUN --mount=type=cache,target=/x --mount=type=secret,id=s make", []),
        ("FROM x AS one\nONBUILD COPY go.mod /\nONBUILD RUN x\nFROM one", ["go.mod"]),
        ("FROM x\nONBUILD COPY go.mod /", []),
        # Variables: known ones are replaced, with others it may be anything.
        ("FROM x\nARG D=a\nCOPY ${D}/one.py /", ["a/one.py"]),
        ("ARG D=b\nFROM x\nARG D\nCOPY $D/x.md /", ["b/x.md"]),
        ("FROM x\nENV D=a\nARG D=b\nCOPY $D/one.py /", ["a/one.py"]),
        ("FROM x AS one\nENV D=a\nFROM one\nCOPY $D/one.py /", ["a/one.py"]),
        ("FROM x\nARG E=\nCOPY ${E:-a}/one.py /", ["a/one.py"]),
        ("FROM x\nARG E=y\nCOPY ${E:+b}/x.md /", ["b/x.md"]),
        ("FROM x\nCOPY $UNKNOWN/one.py /", WHOLE),
        ("FROM x\nARG UNKNOWN\nCOPY $UNKNOWN/one.py /", WHOLE),
        ("FROM x\nENV D=$UNKNOWN/a\nCOPY $D /", WHOLE),
        ("FROM x AS one\nCOPY go.mod /\nFROM $UNKNOWN\nCOPY main.go /", ["go.mod", "main.go"]),
        ("# escape=`\nFROM x\nCOPY a/one.py `\n  b/x.md /", ["a/one.py", "b/x.md"]),
        ("no Dockerfile at all <<", WHOLE),
        ("", WHOLE),
    ],
)  # fmt: skip
def test_what_a_dockerfile_takes(lines: str, expected: list[str]):
    assert taken(lines) == expected


def test_the_target_stage_and_its_arguments():
    two = "FROM x AS one\nARG D=a\nCOPY $D/one.py /\nFROM y AS two\nCOPY b/x.md /"
    assert taken(two) == ["b/x.md"]
    assert taken(two, target="ONE") == ["a/one.py"]
    assert taken(two, target="one", D="b/deep") == []
    assert taken(two, target="none") == WHOLE


def test_names_with_characters_of_globs_and_newlines():
    odd = ("a/[x].py", "a/x.py", "new\nline", "dot.d", "dotxd")
    assert taken(r"FROM x" + "\n" + r"COPY a/\[x].py dot.d /", *odd) == ["a/[x].py", "dot.d"]
    assert taken("FROM x\nCOPY new* /", *odd) == ["new\nline"]


@pytest.mark.parametrize(
    ("patterns", "excluded"),
    [
        ("", []),
        ("# a\n\n.\n", []),
        ("a", ["a/one.py", "a/two.py"]),
        ("/a/\n!a/two.py", ["a/one.py"]),
        ("!a/two.py\na", ["a/one.py", "a/two.py"]),
        ("*.py", []),
        ("*/*.py", ["a/one.py", "a/two.py"]),
        ("**/*.py", ["a/one.py", "a/two.py", "b/deep/three.py"]),
        ("**", WHOLE),
        ("*\n!b/x.md\n!main.go", ["a/one.py", "a/two.py", "b/deep/three.py", "go.mod", "secret/key"]),
        ("**\n!**/*.py\nb/**", ["b/deep/three.py", "b/x.md", "go.mod", "main.go", "secret/key"]),
        ("  secret/  \n", ["secret/key"]),
        ("b/../secret", ["secret/key"]),
        ("[gm]*.[gm]o*", ["go.mod", "main.go"]),
        ("[", []),
        ("\ufeffb/x.?d", ["b/x.md"]),
    ],
)
def test_dockerignore(patterns: str, excluded: list[str]):
    ignoring = Ignoring(patterns)
    assert [path for path in WHOLE if ignoring.excludes(path)] == excluded


def test_the_ignore_file_beside_the_dockerfile_comes_first():
    files = {
        "s/a": "a", "s/b": "b", "s/Dockerfile": "FROM x\nCOPY . /",
        "s/.dockerignore": "a", "s/Dockerfile.dockerignore": "b\nDockerfile",
    }  # fmt: skip
    spec = ServiceSpec("s", build=BuildSpec("s"))
    assert seen(spec, files) == ["s/.dockerignore", "s/Dockerfile", "s/Dockerfile.dockerignore", "s/a"]
    del files["s/Dockerfile.dockerignore"]
    assert seen(spec, files) == ["s/.dockerignore", "s/Dockerfile", "s/b"]


def test_a_dockerfile_outside_of_the_context():
    files = {"docker/s": "FROM x\nCOPY a /", "docker/s.dockerignore": "a/y", "s/a/x": "", "s/a/y": ""}
    spec = ServiceSpec("s", build=BuildSpec("s", "../docker/s"))
    assert seen(spec, files) == ["docker/s", "docker/s.dockerignore", "s/a/x"]


def test_processes_may_look_at_all_of_their_folder():
    files = {"s/Dockerfile": "FROM x\nCOPY a /", "s/a": "", "s/b": "", "s/.dockerignore": "b", "lib/c": ""}
    assert seen(ServiceSpec("s", build=BuildSpec("s"), run="x"), files) == [
        "s/.dockerignore",
        "s/Dockerfile",
        "s/a",
    ]
    assert seen(ServiceSpec("s", run="x"), files) == sorted(files)
    assert seen(ServiceSpec("s", image="nginx"), files) == []


def test_manifests_are_not_part_of_what_only_contains_them():
    files = {"deployd.yaml": "", "s/deployd.yml": "", "s/Dockerfile": "FROM x\nCOPY . /", "s/a": ""}
    assert seen(ServiceSpec("s", run="x"), files) == ["s/Dockerfile", "s/a"]
    assert seen(ServiceSpec("s", build=BuildSpec("s")), files) == ["s/Dockerfile", "s/a"]
    files["s/Dockerfile"] = "FROM x\nCOPY deployd.yml /"
    assert seen(ServiceSpec("s", build=BuildSpec("s")), files) == ["s/Dockerfile", "s/deployd.yml"]


def test_watched_patterns():
    files = {"proto/a.proto": "", "proto/b.txt": "", "deep/c.proto": "", "deployd.yaml": "", "s/x": ""}
    spec = ServiceSpec("s", image="x", watch=("/proto/*", "!*.txt", "deployd.yaml"))
    assert seen(spec, files) == ["deployd.yaml", "proto/a.proto"]
    assert seen(replace(spec, watch=("*.proto",)), files) == ["deep/c.proto", "proto/a.proto"]
    with pytest.raises(InputError, match="no list of patterns"):
        seen(replace(spec, watch=("a", "!")), files)


def test_links_are_followed():
    files = {"lib/one": "", "lib/two": "", "real/x": "", "s/Dockerfile": "FROM x\nCOPY link/one /"}
    spec = ServiceSpec("s", build=BuildSpec("s"))
    assert seen(spec, files, {"s/link": "../lib"}) == ["lib/one", "lib/two", "s/Dockerfile", "s/link"]
    loop = {"t": "s", "s/link": "loop", "s/loop": "link"}
    assert seen(replace(spec, build=BuildSpec("t")), files, loop) == ["s/Dockerfile", "s/link", "s/loop", "t"]
    run = ServiceSpec("s", build=BuildSpec("real"), run="x")
    assert seen(run, files, {"real/y": "z", "real/z": "../s"}) == [
        "real/x",
        "real/y",
        "real/z",
        "s/Dockerfile",
    ]


def test_a_fingerprint_is_of_spec_files_and_extra():
    files = {"s/Dockerfile": "FROM x\nCOPY a /", "s/a": "1", "s/b": "1"}
    spec = ServiceSpec("s", build=BuildSpec("s"), env={"A": "1", "B": "2"})

    def of(spec: ServiceSpec = spec, *extra: str, **changed: str) -> str:
        now = files | {f"s/{name}": content for name, content in changed.items()}
        return fingerprint(spec, entries(now, {}), lambda path: now[path].encode(), extra)

    assert of() == of(b="2") == of(replace(spec, env={"B": "2", "A": "1"})) == of(new="x")
    assert len(of()) == 64
    different = {
        of(),
        of(a="2"),
        of(replace(spec, env={"A": "1"})),
        of(spec, "r1"),
        of(spec, "r2"),
        of(spec, "r1", "r2"),
    }
    assert len(different) == 6
    executable = [replace(one, mode="100755") if one.path == "s/a" else one for one in entries(files, {})]
    assert fingerprint(spec, executable, lambda path: files[path].encode()) != of()
