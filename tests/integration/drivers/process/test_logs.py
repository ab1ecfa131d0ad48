"""Output that is kept: exact cursors, rotation, full disks."""

from __future__ import annotations

import base64

import pytest

from deployd.drivers.api import LogLine
from deployd.drivers.process.instance import read_status
from deployd.errors import InputError
from tests.integration.drivers.process.place import Place


async def test_pages_have_every_line_once_in_order(place: Place) -> None:
    start = await place.driver().read_logs(place.service, None, 10)
    assert start.lines == ()
    program = "for n in range(200): print('{}', n)\nimport sys, time; sys.stdout.flush(); time.sleep(60)"
    for word in ("one", "two"):
        await place.apply(place.python(program.format(word)), alone=False)
        await place.logged(f"{word} 199")
    await place.destroy()
    texts = []
    cursor = start.cursor
    while (page := await place.driver().read_logs(place.service, cursor, 7)).lines:
        assert len(page.lines) <= 7
        assert [line.at for line in page.lines] == sorted(line.at for line in page.lines)
        texts += [(line.instance, line.text) for line in page.lines if line.stream == "stdout"]
        cursor = page.cursor
    for instance, word in (("cart-1", "one"), ("cart-2", "two")):
        assert [text for name, text in texts if name == instance] == [f"{word} {n}" for n in range(200)]
    last = await place.driver().read_logs(place.service, None, 3)
    assert [line.text for line in last.lines][-1] == "stopped"
    assert (await place.driver().read_logs(place.service, last.cursor, 3)).lines == ()


async def test_a_reader_misses_nothing_across_restarts_and_releases(place: Place) -> None:
    program = "import sys, time\nfor n in range(40): print('{}', n, flush=True)\nsys.exit(1)"
    cursor = (await place.driver().read_logs(place.service, None, 1)).cursor
    texts: list[tuple[str, str]] = []

    def exits(instance: str) -> int:
        return sum(name == instance and text.startswith("exited with code 1") for name, text in texts)

    async def read(instance: str, until: int) -> None:
        nonlocal cursor
        while exits(instance) < until:
            page = await place.driver().read_logs(place.service, cursor, 9)
            cursor = page.cursor
            texts.extend((line.instance, line.text) for line in page.lines)

    await place.apply(place.python(program.format("a")))
    await read("cart-1", 2)
    await place.apply(place.python(program.format("b")))
    await read("cart-2", 1)
    for instance, word, runs in (("cart-1", "a", 2), ("cart-2", "b", 1)):
        numbers = [
            int(text.split()[1]) for name, text in texts if name == instance and text.startswith(f"{word} ")
        ]
        assert numbers[: 40 * runs] == list(range(40)) * runs
        whole = len(numbers) // 40
        assert numbers[: 40 * whole] == list(range(40)) * whole


async def test_streams_long_lines_and_strange_bytes(place: Place) -> None:
    program = """
import os, time
os.write(2, b"to stderr\\n")
os.write(1, b"x" * 40000 + b"\\n" + b"\\xff\\xfe \\x00 end\\n\\nno newline")
time.sleep(60)
"""
    await place.apply(place.python(program))
    await place.logged("to stderr", "stderr")
    await place.logged(" end")
    await place.destroy()
    page = await place.driver().read_logs(place.service, None, 100)
    out = [line.text for line in page.lines if line.stream == "stdout"]
    assert [len(text) for text in out[:3]] == [16384, 16384, 40000 - 2 * 16384]
    assert out[3] == "\ufffd\ufffd \x00 end"
    assert out[4:] == ["", "no newline"]


async def test_rotated_output_is_told_once(place: Place) -> None:
    program = """
import sys, time
sys.stdin.read()
for n in range(13 * 1024):
    print(n, "x" * 1000)
print("done", flush=True)
time.sleep(60)
"""
    release = place.python(program)
    before = (await place.driver().read_logs(place.service, None, 1)).cursor
    await place.apply(release)
    await place.logged("done")
    segments = sorted(place.folder(release).glob("logs/*.log"))
    assert len(segments) == 10
    assert sum(file.stat().st_size for file in segments) < 11 * 2**20
    lines: list[LogLine] = []
    cursor = before
    while page := await place.driver().read_logs(place.service, cursor, 2000):
        if not page.lines:
            break
        cursor = page.cursor
        lines += page.lines
    assert [line.stream for line in lines].count("deployd") == 1
    assert "rotated away" in lines[0].text
    numbers = [int(line.text.split()[0]) for line in lines[1:-1]]
    assert numbers == list(range(numbers[0], 13 * 1024))
    assert lines[-1].text == "done"


async def test_a_full_disk_costs_lines_not_the_service(place: Place) -> None:
    program = """
import os, time
for n in range(100000):
    print("x" * 100)
print(flush=True)
open(os.environ["HOME"] + "/through", "w").close()
time.sleep(60)
"""
    release = place.python(program)
    logs = place.folder(release) / "logs"
    logs.mkdir(parents=True)
    for folder in (logs.parent.parent, logs.parent.parent.parent, place.home):
        folder.chmod(0o711)
    (logs / "0000000001.log").symlink_to("/dev/full")
    await place.apply(release)
    through = logs.parent.parent / "home" / "through"
    seen = await place.until(release, lambda _: through.exists())
    assert seen.pid
    assert seen.restarts == 0
    await place.until(release, lambda _: read_status(logs.parent).dropped > 100_000)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "garbage",
        "ZZZZ",
        "💥",
        *(
            base64.b64encode(text).decode()
            for text in (b"[]", b"1", b'{"a": 1}', b'{"a": [1]}', b'{"a": [-1, 0]}', b'{"a": ["x", 0]}')
        ),
    ],
)
async def test_a_cursor_that_is_none(place: Place, cursor: str) -> None:
    with pytest.raises(InputError):
        await place.driver().read_logs(place.service, cursor, 10)


async def test_a_cursor_within_a_line(place: Place) -> None:
    release = place.release("echo hello")
    await place.apply(release)
    await place.logged("hello")
    forged = base64.b64encode(f'{{"{release.release_id}": [1, 3]}}'.encode()).decode()
    with pytest.raises(InputError):
        await place.driver().read_logs(place.service, forged, 10)
