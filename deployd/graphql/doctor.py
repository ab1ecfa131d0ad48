"""Looking at the installation."""

from __future__ import annotations

from typing import Self

import strawberry

from deployd.graphql.context import Info
from deployd.graphql.fields import resolved
from deployd.model import finding as words

__all__ = ["DoctorQuery", "Finding"]


@strawberry.type(description="One thing of the installation that is well, doubtful or wrong.")
class Finding:
    """The model's Finding."""

    check: str = strawberry.field(description="What was looked at, in one word.")
    level: words.Level = strawberry.field(description="How bad it is.")
    summary: str = strawberry.field(description="What was seen, in one sentence.")
    remedy: str = strawberry.field(description="What to do about it; empty where all is well.")
    evidence: str = strawberry.field(description="What was seen besides; may have several lines.")

    @classmethod
    def of(cls, one: words.Finding) -> Self:
        """As it was found."""
        return cls(
            check=one.check, level=one.level, summary=one.summary, remedy=one.remedy, evidence=one.evidence
        )


@strawberry.type
class DoctorQuery:
    """Asking once."""

    @resolved(description="What an installation needs, looked at now. For operators.")
    async def doctor(self, info: Info) -> list[Finding]:
        context = info.context
        return [Finding.of(one) for one in await context.api.diagnosis.findings(context.actor)]
