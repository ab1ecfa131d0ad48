"""How things look, as text: the lines of the live view, transitions, tables. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from deployd.cli.client import Json
from deployd.cli.planned import plan_lines, summary
from deployd.cli.progress import BAD, GIVEN_UP, GOOD, TURNING, Attempt, Progress, Step, word
from deployd.cli.terminal import Paint, cells, clean, cut

__all__ = [
    "Paint",
    "age",
    "board",
    "clock",
    "duration",
    "health_style",
    "moment",
    "plain_line",
    "table",
]

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
FRAMES = 10.0
"""Of the spinner, each second."""
WORTH_A_STEP = 0.5
"""Seconds that waiting for its turn has to take before it is shown as a step."""
WORTH_A_TIME = 0.05
"""Seconds that a step has to take before its time is shown."""
WORTH_EXPECTING = 0.5
"""Seconds that a step has to be likely to take before that is shown."""


def clock(at: str) -> str:
    """A time of the server's, as this host's clock shows it."""
    return datetime.fromisoformat(at).astimezone().strftime("%H:%M:%S")


def duration(seconds: float) -> str:
    """`0.4s`, `12s`, `3m05s`, `2h10m`."""
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    if seconds < 59.5:
        return f"{seconds:.0f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"


def age(at: str, now: datetime) -> str:
    """How long ago, in one unit: `12s`, `5m`, `3h`, `9d`."""
    seconds = max(0.0, (now - datetime.fromisoformat(at)).total_seconds())
    for unit, size, limit in (("s", 1, 120), ("m", 60, 7200), ("h", 3600, 172_800)):
        if seconds < limit:
            return f"{seconds // size:.0f}{unit}"
    return f"{seconds // 86_400:.0f}d"


def health_style(health: str) -> tuple[str, ...]:
    """The colour of a health."""
    styles = {"healthy": "green", "progressing": "cyan", "degraded": "red", "missing": "red"}
    return (styles[word(health)],) if word(health) in styles else ("dim",)


def plain_line(transition: Json, name: str) -> str:
    """`12:03:04 hello deployment fetching → planning`, with the reason if there is one."""
    who = f"{name} {word(transition['kind'])}".strip()
    source, target = transition["fromState"], word(transition["toState"])
    step = f"{word(source)} → {target}" if source and word(source) != target else target
    line = f"{clock(transition['at'])} {who} {step.replace('_', ' ')}"
    summary = (transition["reason"] or {}).get("summary")
    return f"{line}: {clean(summary)}" if summary else line


def board(progress: Progress, width: int, height: int, now: float, paint: Paint, title: str) -> list[str]:
    """The live view: one line for each service (or for the change, while it has none), never wider."""
    attempts = list(progress.attempts.values())
    if not attempts:
        return _alone(progress.change, width, height, now, paint, title) if progress.change else []
    room = max(1, height - 2)
    hidden = max(0, len(attempts) - room)
    if hidden:  # those that still work are worth their line first
        attempts = sorted(attempts, key=lambda one: one.finished)[:room]
    column = min(max(cells(one.name) for one in attempts), max(8, width // 4))
    notes = {one.id: note for one in attempts if (note := _note(one))}
    lines: list[str] = []
    for one in attempts:
        lines.append(_line(one, _pad(one.name, column), width, now, paint))
        if one.id in notes and len(attempts) + len(notes) <= room:
            lines.append(paint(cut(f"{' ' * (column + 4)}{notes[one.id]}", width), "dim"))
    if hidden:
        lines.append(paint(cut(f"  … and {hidden} more", width), "dim"))
    return lines


def _alone(change: Attempt, width: int, height: int, now: float, paint: Paint, title: str) -> list[str]:
    """The change, while it has no deployments; what it waits for, where somebody has to approve."""
    line = _line(change, title, width, now, paint)
    if change.state != "awaiting_approval":
        return [line]
    plan = [*plan_lines(change.items, width, paint), paint(cut(summary(change.items), width), "bold")]
    room = max(1, height - 4)
    if len(plan) > room:
        plan = [*plan[: room - 1], paint(f"… and {len(plan) - room + 1} lines more", "dim")]
    return [line, *plan, paint(cut(_note(change), width), "yellow")]


def _note(attempt: Attempt) -> str:
    """What one should know while it works: why it waits, or that somebody has to approve."""
    if attempt.state == "awaiting_approval":
        return f"approve it: deployd approve {attempt.id}"
    if attempt.finished or attempt.reason is None:
        return ""
    return clean(attempt.reason["summary"]).removeprefix(f"{attempt.name}: ")  # it stands right above


def _pad(text: str, width: int) -> str:
    short = cut(text, width)
    return short + " " * (width - cells(short))


def _line(attempt: Attempt, title: str, width: int, now: float, paint: Paint) -> str:
    """The fullest form that fits; the plainest is cut."""
    mark, style = _mark(attempt, now)
    ending = _ending(attempt)
    head = f"{mark} {title}"
    for form in _forms(attempt, now):
        tail = [*form, *ending]
        if cells(head) + sum(2 + cells(text) for text, _ in tail) <= width:
            painted = [paint(text, *styles) for text, styles in tail]
            return "  ".join([f"{paint(mark, style)} {paint(title, 'bold')}", *painted])
    last = "  ".join([head, *(text for text, _ in ending or [(_now(attempt), ())])])
    return paint(cut(last, width), style)


def _mark(attempt: Attempt, now: float) -> tuple[str, str]:
    if attempt.state in GOOD:
        return "✔", "green"
    if attempt.state in BAD:
        return "✘", "red"
    if attempt.state in GIVEN_UP:
        return "■", "yellow"
    style = "yellow" if attempt.state in TURNING or attempt.state == "awaiting_approval" else "cyan"
    return SPINNER[int(now * FRAMES) % len(SPINNER)], style


Piece = tuple[str, tuple[str, ...]]


def _ending(attempt: Attempt) -> list[Piece]:
    """What it came to."""
    if attempt.state in GOOD:
        pieces: list[Piece] = [("healthy", ("green",))]
        return [*pieces, (attempt.reached, ("bold",))] if attempt.reached else pieces
    if attempt.state in BAD | GIVEN_UP:
        return [(attempt.state.replace("_", " "), ("red" if attempt.state in BAD else "yellow",))]
    return []


def _forms(attempt: Attempt, now: float) -> list[list[Piece]]:
    """The timeline, each form shorter than the one before."""
    steps = [step for step in attempt.steps if _worth(step, now) and step.state not in GOOD | BAD | GIVEN_UP]
    whole: Piece = (duration(attempt.seconds(now)), ("dim",))
    total = [whole] if attempt.finished else []
    telling = [step for step in steps if step.seconds is None or step.state == attempt.failed_in]
    ticks = "✓" * len([step for step in steps if step not in telling])
    short = [_piece(attempt, step, now, times=True) for step in telling]
    return [
        [*(_piece(attempt, step, now, times=True) for step in steps), *total],
        [*(_piece(attempt, step, now, times=step in telling) for step in steps), *total],
        [*([(ticks, ("dim",))] if ticks else []), *short, *total],
        [*short, *total],
        [*(_piece(attempt, step, now, times=True, far=False) for step in telling), *total],
        [],
    ]


def _worth(step: Step, now: float) -> bool:
    return step.state != "queued" or step.seconds is None or step.lasted(now) >= WORTH_A_STEP


def _piece(attempt: Attempt, step: Step, now: float, *, times: bool, far: bool = True) -> Piece:
    name = step.state.replace("_", " ")
    lasted = step.lasted(now)
    time = f" {duration(lasted)}" if times and lasted >= WORTH_A_TIME else ""
    if step.state == attempt.failed_in and attempt.state != "cancelling":
        return f"{name} ✘{time}", ("red",)
    if step.seconds is None:
        how = f" ({attempt.rollout})" if far and attempt.rollout else ""
        likely = (attempt.expected or {}).get(step.state, 0.0)
        of = f" {duration(lasted)} of ~{duration(likely)}" if likely >= WORTH_EXPECTING else time
        return f"{name} …{of}{how}", ("yellow",) if step.state in TURNING else ("cyan",)
    return f"{name} ✓{time}", ("dim",)


def _now(attempt: Attempt) -> str:
    return attempt.state.replace("_", " ")


def moment(at: str) -> str:
    """Today's time, or the day and the time, as this host's clock shows it."""
    local = datetime.fromisoformat(at).astimezone()
    today = datetime.now(UTC).astimezone().date()
    return local.strftime("%H:%M:%S" if local.date() == today else "%Y-%m-%d %H:%M")


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], width: int | None, yielding: Sequence[int]
) -> list[str]:
    """Columns of uncoloured text, two spaces apart.

    Where they are wider than `width`, those at the indices `yielding` are cut, in this order, each down
    to its header or six cells.
    """
    columns = [max(cells(row[index]) for row in [header, *rows]) for index in range(len(header))]
    excess = 0 if width is None else sum(columns) + 2 * (len(columns) - 1) - width
    for index in yielding:
        given = max(0, min(excess, columns[index] - max(6, cells(header[index]))))
        columns[index] -= given
        excess -= given
    lines = (
        "  ".join(_pad(text, columns[index]) for index, text in enumerate(row)).rstrip()
        for row in [header, *rows]
    )
    return [line if width is None else cut(line, width) for line in lines]
