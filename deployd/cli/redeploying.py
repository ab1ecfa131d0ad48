"""What a foreground `up` does with edits: one change after the other, each told in a few lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from deployd.cli.client import Client, Json
from deployd.cli.follow import conclude, follow_change
from deployd.cli.progress import Progress
from deployd.cli.session import begin, cursor_of
from deployd.cli.stay import Stay
from deployd.cli.terminal import Console, error_block
from deployd.cli.watching import Edits, tell_edits
from deployd.errors import DeploydError

__all__ = ["Asked", "redeploy"]

Asked = Callable[[], tuple[Json, str, Progress]]
"""Called right before a change is asked for: its source, its idempotency key, and where its progress goes."""


@dataclass(frozen=True)
class _Quiet:
    """The view of a change whose steps `Stay` tells: new services join it."""

    stay: Stay
    note_: Callable[[str], None]
    expects: bool = False

    def moved(self, transition: Json, progress: Progress) -> None:
        self.stay.add(progress)

    def tick(self, progress: Progress) -> None:
        self.stay.add(progress)

    def note(self, text: str) -> None:
        self.note_(text)

    def close(self, progress: Progress) -> None:
        self.stay.add(progress)


async def redeploy(
    client: Client, world: str, console: Console, edits: Edits, stay: Stay, asked: Asked
) -> None:
    """Deploy what is edited, for as long as the folder can be watched; what fails is told, and it goes on."""
    while True:
        try:
            paths = await edits.next()
        except DeploydError as error:
            _complain(console, error)
            return
        tell_edits(console, paths, datetime.now(UTC).isoformat())
        try:
            after = await cursor_of(client, world)
            source, key, progress = asked()
            change_id = await begin(client, world, source, [], key)
            await follow_change(client, world, after, change_id, _Quiet(stay, lambda _: None), progress)
            conclude(console, progress, again=True)
            if not progress.attempts and not progress.failures() and not console.json:
                console.say(console.paint("nothing to do", "dim"))
        except DeploydError as error:
            _complain(console, error)


def _complain(console: Console, error: DeploydError) -> None:
    if console.json:
        console.complain_json(error.code, error.message, error.evidence, error.remedy)
    else:
        console.complain(error_block(error.message, error.evidence, error.remedy))
