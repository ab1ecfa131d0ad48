"""What must hold: of every commit, of every other statement, and of every state.

`Violation` says which rule does not. The rules are those of docs/engine.md, in its words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from deployd.store.commit import Step
from tests.model.acting import Wants
from tests.model.jobs import FINAL
from tests.model.statements import News, Ran, Violation
from tests.model.tables import TICK, actor_of, ticks
from tests.model.values import Gate, Held, Node, Row, Tables, Task, name_of


def check_commit(before: Tables, committed: Sequence[tuple[Task, Step]], ran: Ran) -> None:
    """What counted was its holder's to commit; what hangs on it happened, and nothing else."""
    gone: list[int] = []
    came: list[tuple[str, str]] = []
    news: list[News] = []
    born: set[str] = set()
    for (task, step), answer in zip(committed, ran.answer, strict=True):
        if answer is None:
            continue
        held = task.held
        row = before.row(held.name)
        assert row is not None
        if task.stale:
            raise Violation(f"an outcome of {held.name} counted, though it was claimed anew meanwhile")
        if row.owner != held.owner:
            raise Violation(f"an outcome of {held.owner} counted on {held.name}, which {row.owner} holds")
        if (held.version, held.fence) != (0, 0):
            raise Violation(f"an outcome of {held.name} counted, though it had moved on")
        there = {one.id: one.trigger for one in before.mail if one.machine == held.name}
        for mail in step.consumed:
            if mail not in there:
                raise Violation(f"mail {mail} of {held.name} was consumed a second time")
        if any(there[mail] != "wake" for mail in step.consumed) and (
            len(step.consumed) > 1 or step.actor != actor_of(there[step.consumed[0]])
        ):
            raise Violation(f"a request to {held.name} was consumed by an outcome that does not answer it")
        gone += step.consumed
        came += [(name_of(post.machine_id), post.trigger) for post in step.posts]
        if step.settled:
            came += [(waiter, "wake") for waiter in row.waiters]
        if step.trigger is not None:
            after = ran.after.row(held.name)
            if after is None or after.deadline != (step.deadline and ticks(step.deadline / TICK)):
                raise Violation(f"{held.name} became {step.to_state} with more or less time than that has")
            news.append(News(held.name, step.trigger, row.state, step.to_state, step.actor))
        for birth in step.births:
            if before.row(name_of(birth.id)) is None:
                born.add(name_of(birth.id))
                news.append(News(name_of(birth.id), "create", None, birth.state, birth.actor))
    _check_mail(before, gone, came, ran)
    _check_places(before, ran)
    if Counter(news) != Counter(ran.news):
        raise Violation(f"transitions {ran.news} were written, not {news}")
    if {one.name for one in ran.after.machines} != {one.name for one in before.machines} | born:
        raise Violation("machines were born without the step that bears them, or not with it")
    for name, version, fence in ran.risen:
        if fence or version > sum(1 for (task, _), answer in zip(committed, ran.answer, strict=True)
                                  if answer is not None and task.held.name == name):  # fmt: skip
            raise Violation(f"a commit raised the fence of {name}, or its version without an outcome")


def check_other(before: Tables, came: Sequence[tuple[str, str]], ran: Ran) -> None:
    """Whatever is no outcome moves no machine, and leaves its mail alone; only a claim raises a fence."""
    _check_mail(before, (), came, ran)
    if ran.news:
        raise Violation(f"{ran.news} without an outcome")
    for row in before.machines:
        after = ran.after.row(row.name)
        if after is None or (after.state, after.deadline) != (row.state, row.deadline):
            raise Violation(f"{row.name} moved without an outcome")
    if any(version for _, version, _ in ran.risen):
        raise Violation("a version rose without an outcome")


def check_claim(before: Tables, ran: Ran) -> None:
    """Mail of who waits for a turn is answered without one."""
    mailed = {one.machine for one in before.mail}
    there = {one.name for one in before.machines if one.turn and one.owner is None and one.name in mailed}
    if not there <= {held.name for held in ran.answer}:
        raise Violation(f"a claim left the mail of {there}, which wait for a turn")
    _check_places(before, ran)


def check_turns(before: Tables, limit: int, ran: Ran) -> None:
    """Turns are given as long as there are any, to those who have waited longest."""
    waiting = sorted(one.turn for one in before.machines if one.turn and one.is_waiting and one.owner is None)
    free = max(0, limit - len(_with_turns(before)))
    if sorted(one.turn for one in before.machines if one.name in ran.answer and one.turn) != waiting[:free]:
        raise Violation(f"turns were given to {ran.answer}, though {free} were free")
    if {one.name for one in _with_turns(ran.after)} != {
        *(one.name for one in _with_turns(before)), *ran.answer
    }:  # fmt: skip
        raise Violation("turns were given to others than was said, or to nobody")
    _check_places(before, ran)


def _with_turns(tables: Tables) -> list[Row]:
    return [one for one in tables.machines if one.limited and one.turn is None and one.owner is not None]


def _check_places(before: Tables, ran: Ran) -> None:
    """Whoever waited before and still does keeps its place."""
    turns = [
        (row.turn, after.turn)
        for row in before.machines
        if row.is_waiting and (after := ran.after.row(row.name)) is not None and after.turn is not None
    ]
    if any(one[0] < other[0] and one[1] > other[1] for one in turns for other in turns):  # type: ignore[operator]
        raise Violation(f"one that waits for its turn lost its place: {before.machines}")


def _check_mail(before: Tables, gone: Sequence[int], came: Sequence[tuple[str, str]], ran: Ran) -> None:
    kept = [one for one in before.mail if one.id not in gone]
    known = {one.id for one in before.mail}
    if [one for one in ran.after.mail if one.id in known] != kept:
        raise Violation(
            f"of the mail {before.mail} there is {ran.after.mail}, though {list(gone)} was answered"
        )
    new = Counter((one.machine, one.trigger) for one in ran.after.mail if one.id not in known)
    if new != Counter(came):
        raise Violation(f"mail {dict(new)} came, not {list(came)}")


def check_node(node: Node, calling: Sequence[tuple[Held, str]], gate: Gate | None) -> None:
    """`calling`: holder and worker of each call under way whose worker's lease is good."""
    for name, count in Counter(held.name for held, _ in calling).items():
        if count > 1:
            raise Violation(f"two calls for {name} are under way, each under a good lease")
    if gate is not None:
        _check_gate(node, [held for held, _ in calling if held.state in gate.states], gate)
    known = {one.name for one in node.tables.workers}
    for row in node.tables.machines:
        _check_machine(node, row, known)


def _check_gate(node: Node, calling: Sequence[Held], gate: Gate) -> None:
    """Whoever works has a turn, and no more have one than may."""
    if len(calling) > gate.limit:
        raise Violation(f"{len(calling)} calls are under way, and {gate.limit} may be")
    for held in calling:
        row = node.tables.row(held.name)
        if row is None or row.owner != held.owner or not row.limited or row.turn is not None:
            raise Violation(f"{held.name} calls its driver, and has no turn: {row}")
    if len(have := _with_turns(node.tables)) > gate.limit:
        raise Violation(f"{len(have)} have a turn, and {gate.limit} may")
    for row in node.tables.machines:
        if row.limited != (row.state in gate.states):
            raise Violation(f"{row.name} is {row.state}, which takes a turn, or takes one in vain")


def _check_machine(node: Node, row: Row, known: set[str]) -> None:
    if row.owner is not None and row.owner not in known:
        raise Violation(f"{row.name} is held by {row.owner}, which was never registered")
    if row.owner is not None and row.due is not None:
        raise Violation(f"{row.name} is held and due")
    if row.owner is None and row.due is None and row.turn is None and row.state not in FINAL:
        raise Violation(f"{row.name} is held by nobody and never due")
    if row.turn is not None and (row.due is not None or not row.limited or row.state in FINAL):
        raise Violation(f"{row.name} waits for a turn, and needs none or is due without")
    there = row.name in node.made
    if there and row.state == "queued":
        raise Violation(f"the object of {row.name} exists before its intent")
    if row.state == "succeeded" and not there and row.name != "C":
        raise Violation(f"{row.name} succeeded without its object")
    if row.state == "cancelled" and there:
        raise Violation(f"{row.name} was cancelled and its object is still there")
    if row.name == "P" and row.state == "applying" and row.owner is None and row.due != 0:
        child = node.tables.row("C")
        if child is None or child.state in FINAL:
            if not any(one.machine == "P" for one in node.tables.mail):
                raise Violation("the child has settled, and the parent that waits for it was not told")
        elif "P" not in child.waiters:
            raise Violation("the parent waits for a child that does not know it")


def is_good(node: Node) -> bool:
    """How it shall end: every machine has, nobody holds one, no mail is left."""
    return not node.tables.mail and all(
        row.state in FINAL and row.owner is None for row in node.tables.machines
    )


def is_calling(wants: Wants) -> bool:
    """Whether a driver's call is under way."""
    return wants.kind in ("effect", "answer")
