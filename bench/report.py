"""What a bench found, as a table for people or as one JSON object a line, and what may be asked of it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

__all__ = [
    "Options",
    "Result",
    "compare",
    "print_results",
    "print_table",
    "read_options",
    "say",
    "spread",
]


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for on the command line."""

    json: bool
    quick: bool
    rounds: int
    own: argparse.Namespace
    """What the bench itself has added."""


@dataclass(frozen=True, slots=True)
class Result:
    """One figure of deployd's, and the same of its peers."""

    bench: str
    work: str
    """What was done, in words."""
    value: float
    unit: str
    peers: Mapping[str, float]
    rounds: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """What each round found, by name, where that is kept."""

    @property
    def ratios(self) -> dict[str, float]:
        """Ours divided by theirs; a peer whose figure is zero is left out."""
        return {name: round(self.value / peer, 3) for name, peer in self.peers.items() if peer}


def read_options(
    description: str | None,
    argv: Sequence[str] | None,
    *,
    rounds: int,
    add: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
) -> Options:
    """From the command line; `description` is the bench's docstring, `rounds` how many it should have.

    `add` declares what only this bench understands.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one object a line, for programs")
    parser.add_argument("--quick", action="store_true", help="a smaller size: shows that it works")
    parser.add_argument(
        "--rounds", type=int, metavar="N", help=f"of which medians are taken ({rounds}; quick: 1)"
    )
    add(parser)
    found = parser.parse_args(argv)
    if found.rounds is not None:
        rounds = found.rounds
    elif found.quick:
        rounds = 1
    if rounds < 1:
        parser.error("--rounds: at least one")
    return Options(found.json, found.quick, rounds, found)


def compare(bench: str, work: str, unit: str, ours: str, rounds: Mapping[str, Sequence[float]]) -> Result:
    """The medians of all rounds; `ours` is whose name in `rounds` is deployd's."""
    found = {name: round(median(seen), 6) for name, seen in rounds.items()}
    return Result(bench, work, found.pop(ours), unit, found, rounds)


def spread(seen: Sequence[float], places: int = 2) -> tuple[str, str, str]:
    """Minimum, median and maximum as a table has them."""
    least, middle, most = (f"{one:,.{places}f}" for one in (min(seen), median(seen), max(seen)))
    return least, middle, most


def say(text: str) -> None:
    """Progress, for whoever waits; never part of the result."""
    print(text, file=sys.stderr, flush=True)


def print_results(results: Sequence[Result]) -> None:
    """One object a line."""
    for one in results:
        print(
            json.dumps(
                {
                    "bench": one.bench,
                    "work": one.work,
                    "value": one.value,
                    "unit": one.unit,
                    "peers": dict(one.peers),
                    "ratios": one.ratios,
                    "rounds": {name: list(seen) for name, seen in one.rounds.items()},
                }
            ),
            flush=True,
        )


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], notes: str = "") -> None:
    """Columns as wide as they must be; those whose cells are figures are aligned to the right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    figures = [all(_is_figure(row[i]) for row in rows) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if figure else cell.ljust(width)
            for cell, width, figure in zip(cells, widths, figures, strict=True)
        )
        return "  ".join(padded).rstrip()

    lines = [title, "", line(header), line(["-" * width for width in widths]), *map(line, rows)]
    print("\n".join(lines) + "\n" + (f"\n{notes}\n" if notes else ""), flush=True)


def _is_figure(cell: str) -> bool:
    return cell == "" or cell.removesuffix(" times").replace(",", "").replace(".", "", 1).isdecimal()
