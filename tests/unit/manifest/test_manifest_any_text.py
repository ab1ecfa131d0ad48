"""No text does anything but parse or be refused with places."""

from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deployd.errors import ManifestError
from deployd.manifest import parse
from deployd.manifest.schema import ONE_SERVICE
from deployd.model.reference import PATTERN, BadReference, located, parts

LINE = re.compile(r"deployd\.yaml:\d+:\d+: .+: .+")
WORDS = sorted(
    {
        *ONE_SERVICE.keys,
        "worlds",
        "min",
        "max",
        "slug",
        "strategy",
        "host",
        "deployd",
        "service",
        "services",
        "x-a",
        "<<",
        "cpu",
    }
)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["/healthz", ".", "30s", "1Gi", "${a}", "$${a}", "web", "\ud800", "\x00", "a\nb: c"]),
)
keys = st.one_of(st.sampled_from(WORDS), st.text(max_size=8))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=6)),
    max_leaves=20,
)
services = st.dictionaries(st.sampled_from(WORDS), values, max_size=6)
documents = st.one_of(
    values,
    st.fixed_dictionaries({"deployd": st.just(1), "service": services}),
    st.fixed_dictionaries(
        {"deployd": st.just(1), "services": st.dictionaries(st.just("web"), services, max_size=2)}
    ),
    st.fixed_dictionaries(
        {
            "deployd": st.just(1),
            "service": services.map(lambda one: {**one, "name": "web"}),
            "worlds": st.fixed_dictionaries({"p": st.fixed_dictionaries({"service": services})}),
        }
    ),
)
MARKS = [
    ": ",
    "\n",
    "\n  ",
    "\t",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ", ",
    "&a ",
    "*a",
    "!!int ",
    "!t ",
    "? ",
    '"',
    "'",
]
OTHERS = ["|", ">", "#", "---", "...", "%YAML 1.1", "1", "8080", "~", "\x85", "\u2028", "\ufeff", "é"]
tokens = st.lists(st.sampled_from([*WORDS, *MARKS, *OTHERS]), max_size=40).map("".join)


def check(text: str) -> None:
    problems: tuple[str, ...] = ()
    try:
        services = parse(text).services
    except ManifestError as error:
        services, problems = {}, error.problems
    assert bool(services) != bool(problems)
    assert [problem for problem in problems if not LINE.fullmatch(problem)] == []


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(), tokens))
@example("a: &x {<<: *x}")
@example("!!int {}")
@example('deployd: !!int "1\\n2"')
@example("deployd: 1\nservice: {name: a, port: " + "9" * 5000 + "}")
def test_any_text(text: str) -> None:
    check(text)


@settings(max_examples=400, deadline=None)
@given(documents)
def test_any_document(document: object) -> None:
    check(json.dumps(document))


pieces = st.lists(
    st.sampled_from(
        [
            "$",
            "{",
            "}",
            "a",
            ".",
            "\n",
            "${",
            "$${",
            "${secrets.a}",
            "${secrets.a-b",
            "${resources.a.b}",
            "${resources.a}",
            "${services.a.url}",
            "${services.a.b}",
        ]
    ),
    max_size=8,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(pieces)
@example("$$${secrets.a}")
@example("$$$${secrets.a}")
def test_the_published_pattern_accepts_what_can_be_resolved(value: str) -> None:
    try:
        right = bool(list(parts(value)) or not value)
    except BadReference as error:
        right = not value.startswith("${", error.start)
    assert (re.fullmatch(PATTERN, value) is not None) == right


@settings(max_examples=400, deadline=None)
@given(pieces)
def test_the_parts_of_a_value_are_where_they_are_said_to_be(value: str) -> None:
    try:
        found = list(located(value))
    except BadReference:
        return
    for start, part in found:
        assert value.startswith(
            "$${" if part == "${" and value[start : start + 2] == "$$" else str(part), start
        )


@pytest.mark.parametrize("value", ["$${secrets.a}" * 2000 + "${", "$" * 5000 + " ${", "a-" * 5000 + "${x}"])
def test_the_published_pattern_takes_no_time(value: str) -> None:
    started = time.process_time()
    assert re.fullmatch(PATTERN, value) is None
    assert time.process_time() - started < 1
