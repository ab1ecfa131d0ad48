"""docs/reasons.md: the table of codes, each with its test; and what of that the sources do not hold to.

The codes that the sources make are found in their syntax trees: the code of each `Reason(…)`, a constant or
one of a declared set (a Literal, constants given to a variable), and of each error class. A test of a code
is one whose text has the code as a whole string.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from deployd.model.code import CODES, SECTIONS, Code
from deployd.model.state import (
    ChangeState,
    DeploymentState,
    Health,
    Ownership,
    ResourceState,
    ServiceState,
)

__all__ = ["made", "page", "tests_of", "unknown"]

HOME = Path(__file__).resolve().parent.parent
PASSED_ON = ("code",)
"""Attributes whose value is the code of another reason or error, which is in the table already."""

STATES = frozenset(
    str(one).upper()
    for kind in (ChangeState, DeploymentState, ResourceState, ServiceState, Health, Ownership)
    for one in kind
)
"""Words of GraphQL that codes are as well."""

PREFACE = """\
# Reasons

Whatever fails says why, on itself: a code, one sentence, the evidence, what to do, the object that it is
about, and the place in `deployd.yaml` or the Dockerfile that asks for it. Programs compare the code.
`deployd why SERVICE` shows the chain from what was asked for to the root cause, `deployd explain CODE` a line
of this page. *failed*: the work said no; *errored*: the machinery could not do it; neither: it is news.

This page is generated from `deployd/model/code/` by `make docs`.
"""


def trees(folder: str) -> Iterator[tuple[str, ast.Module]]:
    """The modules below a folder, by their paths."""
    for file in sorted((HOME / folder).rglob("*.py")):
        yield file.relative_to(HOME).as_posix(), ast.parse(file.read_text(encoding="utf-8"))


def made() -> tuple[dict[str, list[str]], list[str]]:
    """By code, where reasons are made with it; and the places where the code cannot be told."""
    found: dict[str, list[str]] = {}
    unclear: list[str] = []
    for name, tree in trees("deployd"):
        if name.startswith("deployd/graphql/"):
            continue  # the type of the same name, a projection
        for scope in ast.walk(tree):
            if not isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(scope):
                if not isinstance(node, ast.Call):
                    continue
                called = node.func.id if isinstance(node.func, ast.Name) else ""
                given = {one.arg: one.value for one in node.keywords}
                if called == "Reason":
                    code = node.args[0] if node.args else given.get("code")
                elif called == "replace" and "code" in given:
                    code = given["code"]
                else:
                    continue
                codes = None if code is None else resolved(code, scope, tree)
                if codes is None:
                    unclear.append(f"{name}:{node.lineno}")
                for one in codes or ():
                    found.setdefault(one, []).append(f"{name}:{node.lineno}")
        if name != "deployd/errors.py" and not name.startswith("deployd/cli/"):
            continue
        for klass in (one for one in ast.walk(tree) if isinstance(one, ast.ClassDef)):
            for statement in klass.body:
                target = statement.targets[0] if isinstance(statement, ast.Assign) else None
                if isinstance(statement, ast.AnnAssign):
                    target = statement.target
                value = getattr(statement, "value", None)
                if isinstance(target, ast.Name) and target.id == "code" and isinstance(value, ast.Constant):
                    found.setdefault(str(value.value), []).append(f"{name}:{statement.lineno}")
    return found, unclear


def resolved(
    code: ast.expr, scope: ast.FunctionDef | ast.AsyncFunctionDef, tree: ast.Module
) -> set[str] | None:
    """The constants that an expression can be; None where that cannot be told."""
    match code:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.IfExp(body=first, orelse=second):
            one, other = resolved(first, scope, tree), resolved(second, scope, tree)
            return None if one is None or other is None else one | other
        case ast.Attribute(attr=attribute) if attribute in PASSED_ON:
            return set()
        case ast.Name(id=name):
            return declared(name, scope, tree)
        case _:
            return None


def declared(name: str, scope: ast.FunctionDef | ast.AsyncFunctionDef, tree: ast.Module) -> set[str] | None:
    """What a variable is given: constants in its function, or those of the Literal that it is one of."""
    for argument in [*scope.args.args, *scope.args.kwonlyargs]:
        if argument.arg == name and isinstance(argument.annotation, ast.Name):
            for statement in tree.body:
                match statement:
                    case ast.Assign(
                        targets=[ast.Name(id=alias)],
                        value=ast.Subscript(value=ast.Name(id="Literal"), slice=ast.Tuple(elts=elements)),
                    ) if alias == argument.annotation.id:
                        return {str(one.value) for one in elements if isinstance(one, ast.Constant)}
    codes: set[str] = set()
    for node in ast.walk(scope):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=False))
            for left, right in pairs:
                if isinstance(left, ast.Name) and left.id == name:
                    if not (isinstance(right, ast.Constant) and isinstance(right.value, str)):
                        return None
                    codes.add(right.value)
    return codes or None


def unknown() -> list[str]:
    """What the sources and the table do not agree on, one line each."""
    found, unclear = made()
    raised = {code.code for section in ("Errors", "Answers of the server and the command line")
              for code in SECTIONS[section]}  # fmt: skip
    lines = [f"{place}: a Reason whose code is of no declared set" for place in unclear]
    lines += [f"{found[one][0]}: {one} is not in the table" for one in sorted(found.keys() - CODES.keys())]
    lines += [f"{one}: nobody makes it" for one in sorted(CODES.keys() - found.keys() - raised)]
    words = {node.value for _, tree in trees("deployd") if _ not in _TABLES for node in ast.walk(tree)
             if isinstance(node, ast.Constant) and isinstance(node.value, str)}  # fmt: skip
    return lines + [f"{one}: nobody answers it" for one in sorted(raised - words)]


_TABLES = frozenset(
    f"deployd/model/code/{one}.py"
    for one in ("__init__", "observed", "planned", "progress", "raised", "table")
)


def tests_of() -> dict[str, str]:
    """By code, the first test that has it, as pytest names it; what its module declares for it counts.

    A word that is also a state (CANCELLED) counts only where a code is compared with it.
    """
    found: dict[str, str] = {}
    for name, tree in trees("tests"):
        shared = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not node.name.startswith(
                "test_"
            ):
                continue
            inner = list(ast.walk(node))
            for one in [shared[n.id] for n in inner if isinstance(n, ast.Name) and n.id in shared]:
                inner += ast.walk(one)
            compared = {
                id(part)
                for one in inner
                if isinstance(one, ast.Compare) and re.search(r"code|said|reason", ast.unparse(one))
                for part in ast.walk(one)
            }
            for part in inner:
                if not isinstance(part, ast.Constant) or part.value not in CODES:
                    continue
                if part.value not in STATES or id(part) in compared:
                    found.setdefault(str(part.value), f"{name}::{node.name}")
    return found


def page() -> str:
    """The whole page."""
    tests = tests_of()
    parts = [PREFACE]
    for title, codes in SECTIONS.items():
        parts.append(f"## {title}\n")
        parts.append("| code | what it means | what to do | said of | fault | test |")
        parts.append("| --- | --- | --- | --- | --- | --- |")
        parts += [line(code, tests.get(code.code, "")) for code in codes]
        parts.append("")
    return "\n".join(parts)


def line(code: Code, test: str) -> str:
    """One row."""
    about = ", ".join(code.about) or "any"
    shown = f"`{test.rpartition('::')[2]}`" if test else ""
    link = f"[{shown}](../{test.partition('::')[0]})" if test else ""
    cells = (f"`{code.code}`", code.meaning, code.remedy, about, code.fault or "", link)
    return f"| {' | '.join(one.replace('|', chr(92) + '|') for one in cells)} |"


def main(arguments: list[str]) -> int:
    """Print the page; with `--check FILE` say whether FILE is current (exit status 1: it is not)."""
    text = page()
    if arguments[:1] == ["--check"]:
        if Path(arguments[1]).read_text(encoding="utf-8") == text:
            return 0
        sys.stderr.write(f"{arguments[1]} is not what deployd.model.code and tests say: run `make docs`\n")
        return 1
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
