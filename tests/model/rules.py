"""What must hold: of every commit, of every other statement, and of every state.

`Violation` says which rule does not. The rules are those of docs/engine.md, in its words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from deployd.store.commit import Step
from tests.model.acting import Wants
from tests.model.jobs import FINAL
from tests.model.statements import News, Ran, Violation, actor_of
from tests.model.values import Node, Row, Tables, Task, name_of


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
            news.append(News(held.name, step.trigger, row.state, step.to_state, step.actor))
        for birth in step.births:
            if before.row(name_of(birth.id)) is None:
                born.add(name_of(birth.id))
                news.append(News(name_of(birth.id), "create", None, birth.state, birth.actor))
    _check_mail(before, gone, came, ran)
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


def check_node(node: Node, calling: Sequence[tuple[str, str]]) -> None:
    """`calling`: machine and worker of each call under way whose worker's lease is good."""
    for name, count in Counter(name for name, _ in calling).items():
        if count > 1:
            raise Violation(f"two calls for {name} are under way, each under a good lease: {calling}")
    known = {one.name for one in node.tables.workers}
    for row in node.tables.machines:
        _check_machine(node, row, known)


def _check_machine(node: Node, row: Row, known: set[str]) -> None:
    if row.owner is not None and row.owner not in known:
        raise Violation(f"{row.name} is held by {row.owner}, which was never registered")
    if row.owner is not None and row.due is not None:
        raise Violation(f"{row.name} is held and due")
    if row.owner is None and row.due is None and row.state not in FINAL:
        raise Violation(f"{row.name} is held by nobody and never due")
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
