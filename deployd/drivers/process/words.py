"""Variables and quotes in a Dockerfile's words, as the official builder replaces them.

`$NAME`, `${NAME}`, `${NAME:-word}`, `${NAME-word}`, `${NAME:+word}`, `${NAME+word}`, `${NAME:?word}` and
`${NAME?word}`; single quotes keep everything, double quotes replace variables, the escape character
keeps what follows it. What is not set is empty.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["BadWord", "expand"]

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class BadWord(ValueError):
    """This word cannot be replaced; its message says why."""


def expand(word: str, values: Mapping[str, str], escape: str = "\\") -> str:
    """The word with its variables replaced and its quotes removed. Raises BadWord."""
    text, rest = _until(word, 0, "", values, escape)
    if rest != len(word):  # pragma: no cover - _until only stops early at an asked-for character
        raise BadWord(f"unexpected {word[rest:]!r}")
    return text


def _until(word: str, at: int, stop: str, values: Mapping[str, str], escape: str) -> tuple[str, int]:
    """Replace from `at` to the character `stop` (or the end, when empty); answers where it ended."""
    out: list[str] = []
    quoted = False
    while at < len(word):
        char = word[at]
        if char == stop and not quoted:
            return "".join(out), at
        if char == "'" and not quoted:
            end = word.find("'", at + 1)
            if end < 0:
                raise BadWord("a single quote is not closed")
            out.append(word[at + 1 : end])
            at = end + 1
        elif char == '"':
            quoted = not quoted
            at += 1
        elif char == escape:
            following = word[at + 1 : at + 2]
            if quoted and following not in {'"', "$", escape}:
                out.append(char)  # inside double quotes only these three are escaped
            out.append(following)
            at += 2
        elif char == "$":
            text, at = _variable(word, at, values, escape)
            out.append(text)
        else:
            out.append(char)
            at += 1
    if quoted:
        raise BadWord("a double quote is not closed")
    if stop:
        raise BadWord(f"`{stop}` is missing")
    return "".join(out), at


def _variable(word: str, at: int, values: Mapping[str, str], escape: str) -> tuple[str, int]:
    if plain := NAME.match(word, at + 1):
        return values.get(plain[0], ""), plain.end()
    if word[at + 1 : at + 2] != "{":
        return "$", at + 1
    named = NAME.match(word, at + 2)
    if named is None:
        raise BadWord(f"{word[at:]!r} names no variable")
    name, end = named[0], named.end()
    if word[end : end + 1] == "}":
        return values.get(name, ""), end + 1
    operator = re.compile(r":?[-+?]").match(word, end)
    if operator is None:
        raise BadWord(f"{word[at:]!r} uses a form of replacement that is not known here")
    other, end = _until(word, operator.end(), "}", values, escape)
    value = values.get(name)
    there = bool(value) if operator[0].startswith(":") else value is not None
    match operator[0][-1]:
        case "-":
            text = (value or "") if there else other
        case "+":
            text = other if there else ""
        case _:
            if not there:
                raise BadWord(f"{name}: {other or 'is not set'}")
            text = value or ""
    return text, end + 1
