"""The form of the log's lines: text for people, or one JSON object a line for programs.

Where a line was written while a machine's act was under way it carries that machine. A line's own fields
come by `extra=about(…)` and win.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TextIO
from uuid import UUID

from deployd.telemetry.subject import ACTING, ASKING, WORLDS, change_of, name_of, trace_of

__all__ = ["about", "configure", "formatter"]

_ATTRIBUTE = "deployd_about"
_TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def about(**fields: object) -> dict[str, object]:
    """For `extra=`: what a line is about. Never a secret."""
    return {_ATTRIBUTE: fields}


class _Json(logging.Formatter):
    """One object a line, whatever the message holds."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_subject(),
            **getattr(record, _ATTRIBUTE, {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps({key: one for key, one in line.items() if one is not None}, default=str)


def _subject() -> dict[str, object]:
    acting = ACTING.get()
    if acting is None:
        asking = ASKING.get()
        return {} if asking is None else {"trace": asking.trace_id}
    machine = acting()
    trace: UUID | None = trace_of(machine)
    return {
        "world": WORLDS.get(machine.world_id),
        "machine": machine.id,
        "kind": machine.kind,
        "state": machine.state,
        "name": name_of(machine),
        "change": change_of(machine),
        "trace": None if trace is None else trace.hex,
    }


def formatter(form: str) -> logging.Formatter:
    """`text` or `json`."""
    return _Json() if form == "json" else logging.Formatter(_TEXT)


def configure(stream: TextIO, level: str, form: str) -> None:
    """The process's log goes to this stream; `form`: `text` or `json`."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(form))
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.getLogger("transitions").setLevel(logging.WARNING)
