"""Reads the `pip install` lines of a Dockerfile: what they install, and what that depends on.

Only what can be had outside of the image is understood: requirements by name or URL, files of
requirements and folders of wheels in the source tree. Paths to install from are refused.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from deployd.drivers.process.placement import Misplaced

__all__ = ["Install", "commands", "describe", "is_install", "read_install"]

PIP = re.compile(r"(.*/)?pip3?(\.\d+)?")
PYTHON = re.compile(r"(.*/)?python(3(\.\d+)?)?")
NEEDLESS = re.compile(
    r"--no-cache-dir|-q+|--quiet|--disable-pip-version-check|--no-input|--break-system-packages"
    r"|--root-user-action=ignore|--no-warn-script-location|--progress-bar=off"
)
"""Flags of pip that change nothing of what comes of it here."""
SWITCHES = frozenset({"-U", "--upgrade", "--no-index", "--no-deps", "--pre", "--prefer-binary"})
FILES = {"-r": "-r", "--requirement": "-r", "-c": "-c", "--constraint": "-c"}
FOLDERS = {"-f": "-f", "--find-links": "-f"}
TEXTS = {"-i": "-i", "--index-url": "-i", "--extra-index-url": "--extra-index-url"}
NAMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[^\]]*\])?\s*([<>=!~;@].*)?", re.DOTALL)
ARCHIVE = re.compile(r"\.(whl|zip|tar\.\w+|tgz)$")


@dataclass(frozen=True, slots=True)
class Install:
    """One `pip install`, its words in order; those that name something of the tree are paths."""

    words: tuple[str | Path, ...]
    root: Path
    """The build context, which nothing may lead out of."""

    def digest(self) -> bytes:
        """Of its words, and of the contents of what these name. Raises Misplaced."""
        hashed = hashlib.sha256()
        for word in self.words:
            content = word.encode() if isinstance(word, str) else self._content(word, frozenset())
            hashed.update(len(content).to_bytes(8, "big") + content)
        return hashed.digest()

    def _content(self, path: Path, above: frozenset[Path]) -> bytes:
        if path in above:
            raise Misplaced(f"{path.name} requires itself")
        if not path.resolve().is_relative_to(self.root.resolve()) or not path.exists():
            raise Misplaced(f"{path.name} is not in the source tree")
        if path.is_dir():
            named = ((one.name, one.read_bytes()) for one in sorted(path.iterdir()) if one.is_file())
            pieces = (name.encode() + hashlib.sha256(content).digest() for name, content in named)
            return hashlib.sha256(b"\0".join(pieces)).digest()
        text = path.read_text(encoding="utf-8", errors="replace")
        nested = [self._content(one, above | {path}) for one in _named_files(path, text)]
        return hashlib.sha256(b"".join([hashlib.sha256(text.encode()).digest(), *nested])).digest()


def commands(line: str) -> list[list[str]] | None:
    """The commands of a shell line that follow one another; None where a shell does more than that."""
    if re.search(r"[$`]", line):
        return None
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    found: list[list[str]] = [[]]
    try:
        for word in lexer:
            if word and set(word) <= set("();<>|&\n"):
                if not re.fullmatch(r"\n*(&&|;)?\n*", word):
                    return None
                found.append([])
            else:
                found[-1].append(word)
    except ValueError:
        return None
    return [words for words in found if words]


def is_install(words: list[str]) -> bool:
    """Whether this command is `pip install` in one of its spellings."""
    return _arguments(words) is not None


def _arguments(words: list[str]) -> list[str] | None:
    if PIP.fullmatch(words[0]) and words[1:2] == ["install"]:
        return words[2:]
    if PYTHON.fullmatch(words[0]) and words[1:4] == ["-m", "pip", "install"]:
        return words[4:]
    return None


def read_install(words: list[str], locate: Callable[[str], Path], root: Path) -> Install:
    """What this command installs; `locate` finds a path of the image in the tree. Raises Misplaced."""
    out: list[str | Path] = []
    rest = list(_arguments(words) or ())
    while rest:
        word = rest.pop(0)
        flag, equals, value = word.partition("=")
        if word[:2] in {"-r", "-c", "-f", "-i"} and len(word) > 2:
            flag, equals, value = word[:2], "=", word[2:]
        if NEEDLESS.fullmatch(word):
            continue
        if word in SWITCHES:
            out.append(word)
        elif flag in FILES or flag in FOLDERS or flag in TEXTS:
            if not equals and not rest:
                raise Misplaced(f"{flag} says nothing")
            value = value if equals else rest.pop(0)
            if flag in TEXTS or (flag in FOLDERS and "://" in value):
                out += [{**TEXTS, **FOLDERS}[flag], value]
            else:
                out += [{**FILES, **FOLDERS}[flag], locate(value)]
        elif word.startswith("-"):
            raise Misplaced(f"pip's {flag} cannot be followed here")
        else:
            _check(word)
            out.append(word)
    made = Install(tuple(out), root)
    made.digest()  # whatever it names is there
    return made


def _check(requirement: str) -> None:
    """Raise Misplaced for what is installed from a path."""
    local = "://" not in requirement and (ARCHIVE.search(requirement) or not NAMED.fullmatch(requirement))
    if local or "file:" in requirement:
        raise Misplaced(f"`{requirement}` is installed from a path, not by its name")


def _named_files(file: Path, text: str) -> Iterator[Path]:
    """What a file of requirements refers to in the tree. Raises Misplaced."""
    for raw in re.sub(r"\\\r?\n", " ", text).splitlines():
        line = re.sub(r"(^|\s)#.*", "", raw).strip()
        option = re.match(r"(--?[a-z-]+)[\s=]*(.*)", line)
        if not line:
            continue
        if option is None:
            _check(re.split(r"\s--hash", line)[0].strip())
        elif option[1] in {"-e", "--editable"}:
            raise Misplaced(f"{file.name} installs `{line}` from a path, not by its name")
        elif (option[1] in FILES or option[1] in FOLDERS) and "://" not in option[2]:
            yield file.parent / option[2]


def describe(installs: Iterable[Install]) -> str:
    """For people: `requirements.txt, gunicorn`."""
    shown: list[str] = []
    for install in installs:
        words = iter(install.words)
        for word in words:
            if word in {"-f", "-i", "-c", "--extra-index-url"}:
                next(words)
            elif isinstance(word, Path):
                shown.append(word.name)
            elif not word.startswith("-"):
                shown.append(word)
    return ", ".join(dict.fromkeys(shown))
