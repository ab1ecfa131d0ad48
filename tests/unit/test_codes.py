"""The table of codes holds what the sources make, and nothing else; each code has its test and its line."""

from __future__ import annotations

from deployd.model.code import CODES, SECTIONS
from tools import reasons


def test_each_reason_is_made_with_a_code_of_the_table_and_each_code_is_made() -> None:
    assert reasons.unknown() == []


def test_each_code_has_a_test() -> None:
    assert sorted(CODES.keys() - reasons.tests_of().keys()) == []


def test_each_code_is_there_once_and_says_something() -> None:
    codes = [code for section in SECTIONS.values() for code in section]
    assert len(codes) == len(CODES)
    assert [one.code for one in codes if not one.meaning.endswith(".")] == []


def test_a_reason_of_a_free_variable_is_seen() -> None:
    import ast

    tree = ast.parse(
        "def f(x):\n    code = g()\n    y = 'A' if x else 'B'\n    z = 'C'\n    return code, y, z"
    )
    (scope,) = tree.body
    assert isinstance(scope, ast.FunctionDef)
    assert reasons.declared("code", scope, tree) is None
    assert reasons.declared("z", scope, tree) == {"C"}
    assert reasons.declared("x", scope, tree) is None


def test_the_page_names_each_with_its_test() -> None:
    page = reasons.page()
    assert all(f"| `{code}` |" in page for code in CODES)
