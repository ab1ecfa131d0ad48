"""What a bench found, as a table for people or as one JSON object a line, and what may be asked of it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Options", "Result", "print_results", "print_table", "read_options", "say"]


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for on the command line."""

    json: bool
    quick: bool
    rounds: int


@dataclass(frozen=True, slots=True)
class Result:
    """One figure of deployd's, and the same of its peers."""

    bench: str
    work: str
    """What was done, in words."""
    value: float
    unit: str
    peers: Mapping[str, float]

    @property
    def ratios(self) -> dict[str, float]:
        """Ours divided by theirs; a peer whose figure is zero is left out."""
        return {name: round(self.value / peer, 3) for name, peer in self.peers.items() if peer}


def read_options(description: str | None, argv: Sequence[str] | None, *, rounds: int) -> Options:
    """From the command line; `description` is the bench's docstring, `rounds` how many it should have."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one object a line, for programs")
    parser.add_argument("--quick", action="store_true", help="a smaller size: shows that it works")
    parser.add_argument(
        "--rounds", type=int, metavar="N", help=f"of which medians are taken ({rounds}; quick: 1)"
    )
    found = parser.parse_args(argv)
    if found.rounds is not None:
        rounds = found.rounds
    elif found.quick:
        rounds = 1
    if rounds < 1:
        parser.error("--rounds: at least one")
    return Options(found.json, found.quick, rounds)


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
