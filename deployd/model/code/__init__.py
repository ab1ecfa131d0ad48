"""Every code by which a reason or an error says what is wrong: what it means, what to do, who says it.

A Reason is made with a code of this table, and of no other; docs/reasons.md is generated from it.
"""

from __future__ import annotations

from deployd.model.code.observed import OBSERVED
from deployd.model.code.planned import PLANNED
from deployd.model.code.progress import PROGRESS
from deployd.model.code.raised import ANSWERED, RAISED
from deployd.model.code.table import Code

__all__ = ["CODES", "SECTIONS", "Code"]

SECTIONS: dict[str, tuple[Code, ...]] = {
    "Refused in planning, before anything is made": PLANNED,
    "Seen of what runs": OBSERVED,
    "How requests went": PROGRESS,
    "Errors": RAISED,
    "Answers of the server and the command line": ANSWERED,
}
"""In the order of the page."""

CODES: dict[str, Code] = {code.code: code for section in SECTIONS.values() for code in section}
