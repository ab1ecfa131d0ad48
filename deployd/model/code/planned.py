"""What planning refuses: it is known to be wrong before anything is made."""

from __future__ import annotations

from deployd.model.code.table import SERVICE, WORLD, Code

__all__ = ["PLANNED"]

_OF = (SERVICE,)

PLANNED: tuple[Code, ...] = (
    Code(
        "BAD_COMMAND", "A command line is none: a quote is missing, say.", "Correct it in deployd.yaml.", _OF
    ),
    Code("BAD_SCHEDULE", "The five fields of `schedule:` say no time.", "Give a time that comes.", _OF),
    Code("CONTEXT_MISSING", "The source tree has no folder that `build:` names.", "Correct `build:`.", _OF),
    Code("DOCKERFILE_BROKEN", "The Dockerfile is none.", "Mend it at the line that is named.", _OF),
    Code(
        "DOCKERFILE_MISSING",
        "The Dockerfile is not there or cannot be read.",
        "Add it, correct `build:`, or write `run:`.",
        _OF,
    ),
    Code(
        "DOCKERFILE_NOT_FAITHFUL",
        "A world of processes cannot do what the Dockerfile says at this line.",
        "Write `run:`, which such worlds use in its place, or deploy to a world that runs images.",
        _OF,
    ),
    Code(
        "HOME_UNREACHABLE",
        "The service's user cannot enter the way to its own folder.",
        "Open the folder that is named, or keep DEPLOYD_HOME elsewhere.",
        _OF,
    ),
    Code("NOTHING_TO_RUN", "There is neither `run:` nor `build:`.", "Add one of them.", _OF),
    Code("NOT_ROUTABLE", "Routes lead to a port that does not speak HTTP.", "Name an HTTP port first.", _OF),
    Code(
        "NO_ENTRYPOINT",
        "The world has no entrypoint of this name, or that has no port.",
        "Leave `entrypoint:` or the routes out, or deploy to a world that has it.",
        _OF,
    ),
    Code("NO_PORT", "The service has no port, and is asked for over one.", "Add `port:` to it.", _OF),
    Code(
        "NO_TREE",
        "A world of processes needs source files, and the release has none.",
        "Deploy from source, or to a world that runs images.",
        _OF,
    ),
    Code(
        "PROGRAM_MISSING",
        "The program is not on the machine that would run it.",
        "Install it there, or name another by `run:`.",
        _OF,
    ),
    Code(
        "PROGRAM_NOT_EXECUTABLE",
        "The program is there, and the service's user may not execute it.",
        "Make it executable.",
        _OF,
    ),
    Code(
        "RESOURCE_DIFFERS",
        "The resource is there under another slug.",
        "Give the new one another name; the data stays in the old one.",
        _OF,
    ),
    Code("ROLLOUT_NOT_HERE", "The world cannot roll out like this.", "Choose one that is named.", _OF),
    Code("ROLLOUT_TOO_LONG", "A canary would last longer than 20 hours.", "Shorten its steps.", _OF),
    Code(
        "ROUTE_TAKEN", "Another service has this host and path.", "Choose another, or retire that one.", _OF
    ),
    Code("SCALE_UNSUPPORTED", "The world runs one copy of a service.", "Set `scale: 1` for it.", _OF),
    Code(
        "TREE_UNREACHABLE",
        "The service's user cannot enter the way to its source tree.",
        "Open the folder that is named, or keep DEPLOYD_HOME elsewhere.",
        _OF,
    ),
    Code("UNKNOWN_GATE", "The world has no gate of this name.", "Name one that it has, or declare it.", _OF),
    Code(
        "WORLD_HAS_DATA",
        "A world that is not ephemeral is to end, and has resources.",
        "Delete each of them by its name first.",
        (WORLD,),
    ),
)
