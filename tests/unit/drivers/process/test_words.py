from __future__ import annotations

import pytest

from deployd.drivers.process.words import BadWord, expand

VALUES = {"A": "one", "EMPTY": "", "B": "two words"}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("plain", "plain"),
        ("$A", "one"),
        ("${A}", "one"),
        ("$A-x", "one-x"),
        ("x${A}y$B", "xoneytwo words"),
        ("$NONE", ""),
        ("${NONE:-x}", "x"),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY-x}", ""),
        ("${NONE-x}", "x"),
        ("${A:-x}", "one"),
        ("${A:+x}", "x"),
        ("${EMPTY:+x}", ""),
        ("${EMPTY+x}", "x"),
        ("${NONE:-${A:-y}}", "one"),
        ("${NONE:-$A/${B}}", "one/two words"),
        ("${A:?gone}", "one"),
        ('"$A b"', "one b"),
        ("'$A b'", "$A b"),
        (r"\$A", "$A"),
        (r'"\$A \x"', r"$A \x"),
        ("a$", "a$"),
        ("$1", "$1"),
        ('"it\'s"', "it's"),
    ],
)
def test_expand(word: str, expected: str) -> None:
    assert expand(word, VALUES) == expected


def test_another_escape_character() -> None:
    assert expand(r"C:\x`$A", VALUES, escape="`") == r"C:\x$A"


@pytest.mark.parametrize("word", ["${A", "'a", '"a', "${}", "${A/x/y}", "${NONE:?is needed}", "${NONE:-x"])
def test_what_cannot_be_replaced(word: str) -> None:
    with pytest.raises(BadWord):
        expand(word, VALUES)


def test_a_needed_variable_says_its_message() -> None:
    with pytest.raises(BadWord, match="NONE: is needed"):
        expand("${NONE:?is needed}", VALUES)
