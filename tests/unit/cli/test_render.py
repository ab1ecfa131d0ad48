from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployd.cli.progress import Attempt, Progress
from deployd.cli.render import age, board, duration, plain_line, table
from deployd.cli.terminal import cells, clean, cut, error_block
from tests.unit.cli.told import BEGAN, CHANGE, WAY, change, deployment, reason, transition, way

ENDS = {
    "verifying": WAY[:-1],
    "succeeded": WAY,
    "failed": [*WAY[:-1], "rolling_back", "failed"],
    "rolled_back": [*WAY[:-1], "rolling_back", "rolled_back"],
    "cancelled": [*WAY[:3], "cancelling", "cancelled"],
    "awaiting_approval": [*WAY[:3], "awaiting_approval"],
}


def plain(text: str, *styles: str) -> str:
    return text


def colored(text: str, *styles: str) -> str:
    return f"\x1b[31m{text}\x1b[0m" if text else text


def made(**services: str) -> Progress:
    progress = Progress(Attempt(CHANGE))
    address = "http://127.0.0.1:24017"
    told = [
        deployment(state.upper(), name, f"d-{name}", f"s-{name}", address=address)
        for name, state in services.items()
    ]
    progress.absorb(change("APPLYING", *told))
    for name, state in services.items():
        for one in way(*ENDS[state], machine=f"d-{name}", service=f"s-{name}"):
            progress.take(one, 0.0)
    return progress


def test_a_wide_terminal_shows_the_whole_timeline():
    [line] = board(made(hello="verifying"), 160, 24, 1.25, plain, "")
    assert line == (
        "⠹ hello  queued ✓ 1.0s  fetching ✓ 1.0s  planning ✓ 1.0s  building ✓ 1.0s  provisioning ✓ 1.0s"
        "  releasing ✓ 1.0s  verifying … 1.2s"
    )


def test_a_narrow_one_counts_what_is_done():
    [line] = board(made(hello="verifying"), 80, 24, 1.25, plain, "")
    assert line == "⠹ hello  ✓✓✓✓✓✓  verifying … 1.2s"


def test_how_far_a_rollout_is_stands_behind_its_state_and_goes_with_it():
    progress = made(hello="verifying")
    far = deployment("VERIFYING", machine="d-hello", progress="canary: 10 % for 12 s more")
    progress.absorb(change("APPLYING", far))
    [line] = board(progress, 80, 24, 1.25, plain, "")
    assert line == "⠹ hello  ✓✓✓✓✓✓  verifying … 1.2s (canary: 10 % for 12 s more)"
    [line] = board(progress, 40, 24, 1.25, plain, "")
    assert line == "⠹ hello  verifying … 1.2s"
    progress.take(transition("d-hello", "verifying", "rolling_back", seconds=9), 2.0)
    progress.absorb(change("APPLYING", far))  # from before that
    assert "canary" not in board(progress, 80, 24, 2.0, plain, "")[0]


def test_the_end_shows_health_and_address():
    [line] = board(made(hello="succeeded"), 80, 24, 0, plain, "")
    assert line == "✔ hello  ✓✓✓✓✓✓✓  7.0s  healthy  http://127.0.0.1:24017"
    [line] = board(made(hello="succeeded"), 50, 24, 0, plain, "")
    assert line == "✔ hello  7.0s  healthy  http://127.0.0.1:24017"
    [line] = board(made(hello="succeeded"), 20, 24, 0, plain, "")
    assert line == "✔ hello  healthy  h…"


def test_a_failure_shows_where():
    [line] = board(made(hello="failed"), 80, 24, 0, plain, "")
    assert line == "✘ hello  ✓✓✓✓✓✓✓  verifying ✘ 1.0s  8.0s  failed"


@settings(deadline=None)
@given(
    services=st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9-]{0,40}", fullmatch=True), st.sampled_from(sorted(ENDS)), max_size=12
    ),
    width=st.integers(1, 200),
    height=st.integers(1, 60),
    now=st.floats(0, 1e6),
)
def test_no_line_is_wider_than_the_terminal(services: dict[str, str], width: int, height: int, now: float):
    progress = made(**services)
    for paint in (plain, colored):
        lines = board(progress, width, height, now, paint, "reading /a/long/path/to/some/project/of/mine")
        assert len(lines) <= max(height, 3)
        assert [line for line in lines if cells(line) > width] == []


def test_without_services_the_change_itself_is_shown():
    progress = Progress(Attempt(CHANGE))
    progress.take(transition(CHANGE, None, "received", kind="CHANGE", service=None), 0.0)
    progress.take(transition(CHANGE, "received", "planning", kind="CHANGE", service=None, seconds=1), 0.0)
    assert board(progress, 80, 24, 0.5, plain, "reading /src") == [
        "⠴ reading /src  received ✓ 1.0s  planning … 0.5s"
    ]


def test_more_services_than_lines_are_counted():
    services = {f"s{number}": "succeeded" for number in range(20)} | {"late": "verifying"}
    lines = board(made(**services), 80, 10, 0, plain, "")
    assert len(lines) == 9
    assert lines[0].startswith("⠋ late")
    assert lines[-1] == "  … and 13 more"


def test_what_it_waits_for_stands_below_it():
    progress = made(hello="verifying")
    progress.attempts["d-hello"].reason = reason("nothing listens on port 8080 yet")
    assert board(progress, 40, 24, 0, plain, "")[1] == "         nothing listens on port 8080 y…"
    progress = made(hello="awaiting_approval")
    assert board(progress, 80, 24, 0, plain, "")[1] == "         approve it: deployd approve d-hello"


def test_a_transition_is_one_plain_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TZ", "UTC")
    at = BEGAN.astimezone().strftime("%H:%M:%S")
    step = transition("d", "fetching", "planning")
    assert plain_line(step, "hello") == f"{at} hello deployment fetching → planning"
    born = transition("d", None, "queued")
    assert plain_line(born, "hello") == f"{at} hello deployment queued"
    report = transition("s", "serving", "serving", kind="SERVICE", because=reason("exited\x1b[2J with 1"))
    assert plain_line(report, "hello") == f"{at} hello service serving: exited with 1"
    back = transition("d", "verifying", "rolling_back", kind="DEPLOYMENT")
    assert plain_line(back, "hello") == f"{at} hello deployment verifying → rolling back"
    own = transition(CHANGE, "received", "planning", kind="CHANGE", service=None)
    assert plain_line(own, "") == f"{at} change received → planning"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (185, "3m05s"),
        (7800, "2h10m"),
    ],
)
def test_durations(seconds: float, text: str):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=-3), "0s"),
        (timedelta(seconds=119), "119s"),
        (timedelta(minutes=2), "2m"),
        (timedelta(hours=30), "30h"),
        (timedelta(days=9), "9d"),
    ],
)
def test_ages(ago: timedelta, text: str):
    now = datetime(2026, 3, 4, tzinfo=UTC)
    assert age((now - ago).isoformat(), now) == text


def test_a_table_gives_way_in_order():
    header = ["NAME", "STATE", "ADDRESS"]
    rows = [["a-rather-long-name", "serving", "http://127.0.0.1:24017"]]
    assert table(header, rows, None, (0,)) == [
        "NAME                STATE    ADDRESS",
        "a-rather-long-name  serving  http://127.0.0.1:24017",
    ]
    assert table(header, rows, 43, (0, 1))[1] == "a-rather-…  serving  http://127.0.0.1:24017"
    assert table(header, rows, 38, (0, 1))[1] == "a-rat…  servi…  http://127.0.0.1:24017"
    assert table(header, rows, 20, (0, 1))[1] == "a-rat…  servi…  htt…"


def test_an_error_is_one_plain_block():
    block = error_block("it failed", "line 1\n\x1b[31mline 2\x1b[0m\r\n", "Mend it.\nThen deploy.")
    assert block == "it failed\n    line 1\n    line 2\nwhat to do: Mend it.\n    Then deploy."
    assert error_block("it failed") == "it failed"


def test_text_is_cut_by_cells():
    assert cut("日本語のログ", 7) == "日本語…"
    assert cut("日本語のログ", 6) == "日本…"
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "ab…"
    assert cells("\x1b[31mé日\x1b[0m") == 3


def test_what_would_move_the_cursor_is_taken_out():
    assert clean("a\x1b[2Jb\x1b]0;title\x07c\x07\rd\x9b") == "abcd"
