import io
import json

import pytest

from deployd.cli.terminal import Console, Region, error_block


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "options", "environ", "live", "color"),
    [
        (Terminal, {}, {}, True, True),
        (io.StringIO, {}, {}, False, False),
        (Terminal, {"color": False}, {}, True, False),
        (Terminal, {}, {"NO_COLOR": "1"}, True, False),
        (Terminal, {}, {"TERM": "dumb"}, False, False),
        (Terminal, {"json": True}, {}, False, False),
    ],
)
def test_colours_and_redrawing_are_for_terminals(
    stream: type[io.StringIO], options: dict[str, bool], environ: dict[str, str], live: bool, color: bool
):
    console = Console(out=stream(), err=io.StringIO(), environ=environ, **options)
    assert (console.live, console.color) == (live, color)
    assert console.paint("x", "red") == ("\x1b[31mx\x1b[0m" if color else "x")


def test_a_region_is_redrawn_in_place_and_gives_the_cursor_back():
    out = Terminal()
    region = Region(Console(out=out, err=io.StringIO(), environ={}))
    region.draw(["one", "two"])
    assert out.getvalue() == "\x1b[?25l\rone\x1b[K\ntwo\x1b[K\n\x1b[J"
    out.truncate(0)
    out.seek(0)
    region.draw(["three"])
    assert out.getvalue() == "\r\x1b[2Athree\x1b[K\n\x1b[J"
    out.truncate(0)
    out.seek(0)
    region.close(["done"])
    assert out.getvalue() == "\r\x1b[1Adone\x1b[K\n\x1b[J\x1b[?25h"
    region.close()
    assert out.getvalue().count("\x1b[?25h") == 1


def test_lines_that_a_narrower_window_wrapped_are_all_replaced():
    out = Terminal()
    region = Region(Console(out=out, err=io.StringIO(), environ={}))  # 80 columns: it has no descriptor
    region.draw(["x" * 170])
    out.truncate(0)
    out.seek(0)
    region.draw(["y"])
    assert out.getvalue().startswith("\r\x1b[3A")


def test_complaints_go_to_stderr():
    out, err = io.StringIO(), Terminal()
    console = Console(out=out, err=err, environ={})
    console.complain(error_block("it failed", "seen", "Mend it."))
    assert err.getvalue() == "\x1b[31;1m✘ it failed\x1b[0m\n    seen\nwhat to do: Mend it.\n"
    assert out.getvalue() == ""


def test_events_are_one_object_a_line():
    out = io.StringIO()
    Console(json=True, out=out, err=io.StringIO(), environ={}).tell("line", text="a\nb")
    assert json.loads(out.getvalue()) == {"event": "line", "text": "a\nb"}
    assert out.getvalue().count("\n") == 1
