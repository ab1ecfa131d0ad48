from __future__ import annotations

import subprocess

import pytest

from deployd.drivers.process.command import from_argv, from_line, port_variables, service_environment


@pytest.mark.parametrize(
    ("line", "argv", "program"),
    [
        ("python -m cart", ("python", "-m", "cart"), "python"),
        ("  node 'my server.js' \"x y\"", ("node", "my server.js", "x y"), "node"),
        ("./serve --port=1", ("./serve", "--port=1"), "./serve"),
        ("serve --port $PORT", ("/bin/sh", "-c", "exec serve --port $PORT"), "serve"),
        ("A=1 B=2 serve -x", ("/bin/sh", "-c", "A=1 B=2 exec serve -x"), "serve"),
        ("A=1 serve | tee log", ("/bin/sh", "-c", "A=1 serve | tee log"), None),
        ("A='1 2' serve", ("/bin/sh", "-c", "A='1 2' serve"), None),
        ("cd web && npm start", ("/bin/sh", "-c", "cd web && npm start"), None),
        ("exec serve", ("/bin/sh", "-c", "exec serve"), None),
        ("while true; do serve; done", ("/bin/sh", "-c", "while true; do serve; done"), None),
        ("serve > log 2>&1", ("/bin/sh", "-c", "exec serve > log 2>&1"), "serve"),
        ("serve 'a && b' $X", ("/bin/sh", "-c", "exec serve 'a && b' $X"), "serve"),
        ("serve & wait", ("/bin/sh", "-c", "serve & wait"), None),
        ("$PROGRAM x", ("/bin/sh", "-c", "exec $PROGRAM x"), None),
        ("serve *.conf", ("/bin/sh", "-c", "exec serve *.conf"), "serve"),
    ],
)
def test_lines(line: str, argv: tuple[str, ...], program: str | None) -> None:
    command = from_line(line)
    assert command.argv == argv
    assert command.program == program
    assert command.text == line.strip()


@pytest.mark.parametrize(
    "line",
    [
        "printf %s 'a b' c",
        "printf %s $W",
        "W=2 printf %s x",
        "printf a; printf b",
        "printf '$W' \"$W\"",
        "printf a\\ b",
        "false || printf c",
    ],
)
def test_they_do_what_a_shell_does(line: str) -> None:
    expected = subprocess.run(
        ["/bin/sh", "-c", line], capture_output=True, env={"PATH": "/usr/bin:/bin", "W": "1"}, check=True
    )
    seen = subprocess.run(
        from_line(line).argv, capture_output=True, env={"PATH": "/usr/bin:/bin", "W": "1"}, check=True
    )
    assert seen.stdout == expected.stdout


@pytest.mark.parametrize("line", ["", "  ", "A=1", "serve 'x", 'serve "x'])
def test_no_command(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - shlex's own words differ
        from_line(line)


def test_words_that_are_given() -> None:
    assert from_argv(["serve", "a b"]).text == "serve 'a b'"


def test_ports() -> None:
    assert port_variables({}) == {}
    assert port_variables({"http": 1}) == {"PORT": "1"}
    assert port_variables({"http": 1, "g-rpc": 2}) == {"PORT": "1", "PORT_HTTP": "1", "PORT_G_RPC": "2"}


def test_the_later_wins() -> None:
    host = {"PATH": "/deployd", "LANG": "C", "DEPLOYD_X": "1", "TZ": "UTC", "TMPDIR": ""}
    made = service_environment(host, ["/bin"], "/home", {"A": "image", "B": "image"}, {"B": "manifest"})
    assert made == {"PATH": "/bin", "HOME": "/home", "LANG": "C", "TZ": "UTC", "A": "image", "B": "manifest"}
