"""What is raised (deployd/errors.py), and what the server and the command line answer by themselves."""

from __future__ import annotations

from deployd.model.code.table import ERRORED, FAILED, Code
from deployd.model.reason import Fault

__all__ = ["ANSWERED", "RAISED"]


def _error(code: str, meaning: str, remedy: str, fault: Fault = FAILED) -> Code:
    return Code(code, meaning, remedy, (), fault, error=True)


RAISED: tuple[Code, ...] = (
    _error("BASE_UNKNOWN", "The tree that an upload changes is not here.", "Send all files."),
    _error("CONFLICT", "It contradicts what is there already.", "Look again, and ask anew."),
    _error("CURSOR_EXPIRED", "What came behind the cursor is not kept.", "Go on from the new cursor."),
    _error(
        "DENIED", "A driver's credentials do not permit the call.", "Give the capability others.", ERRORED
    ),
    _error("DRIVER", "A driver could not do it.", "See the evidence.", ERRORED),
    _error("ENGINE", "The engine could not do it.", "Look into the server's log.", ERRORED),
    _error("ERROR", "Something that has no code of its own.", "See the evidence.", ERRORED),
    _error("FORBIDDEN", "The policy does not permit this.", "Ask somebody who may: `deployd can-i`."),
    _error("ILLEGAL_TRANSITION", "A machine's table knows no such step.", "Report it.", ERRORED),
    _error("INVALID_INPUT", "The request is wrong.", "Correct what the message names."),
    _error(
        "INVALID_MANIFEST", "deployd.yaml is wrong; all problems are named.", "Mend them at these places."
    ),
    _error("LEASE_LOST", "Another worker has the machine by now.", "Nothing; that one goes on.", ERRORED),
    _error("MIGRATION", "The database's schema is of another version.", "Start the right version.", ERRORED),
    _error("NOT_FOUND", "There is no such thing.", "See which there are."),
    _error("POSTGRES_UNAVAILABLE", "Postgres does not answer.", "Start it, or correct its address.", ERRORED),
    _error("RETRYABLE", "It failed and may work later; it is tried again.", "Wait.", ERRORED),
    _error("SECRETS_UNREADABLE", "Secrets do not open with this key.", "Give the server its key.", ERRORED),
    _error("SETTINGS", "The server's settings are wrong.", "Correct the environment variable."),
    _error("STORE", "The database could not do it.", "Look into the server's log.", ERRORED),
    _error("TERMINAL", "A driver's call will not work like this.", "See the evidence.", ERRORED),
    _error("UNAUTHENTICATED", "There is no valid token.", "Set DEPLOYD_TOKEN to one."),
    _error("UNSUPPORTED", "The world cannot do this.", "Leave it out, or deploy to another world."),
)

ANSWERED: tuple[Code, ...] = (
    _error("BAD_REQUEST", "The GraphQL document or its variables are wrong.", "Correct them."),
    _error("CONTENT_TYPE", "The content is of another type than is taken.", "Send the one that is named."),
    _error("FORGEABLE", "Another page could have sent this.", "Send what the message names."),
    _error("FOREIGN_ORIGIN", "A page of another origin asked.", "Ask from the server's own pages."),
    _error("NOT_MIGRATED", "The database lacks deployd's schema.", "Start `deployd up`.", ERRORED),
    _error("SERVER_UNREACHABLE", "The server does not answer.", "Start it, or name another by --server."),
    _error("TIME_IS_UP", "What was waited for did not come in time.", "See `deployd why`."),
    _error("TOO_COSTLY", "The query may answer too many objects.", "Ask for smaller pages."),
    _error("TOO_LARGE", "The content is larger than the server takes.", "Send less."),
    _error("TOO_MANY", "More was refused than is put on record one by one.", "See what asks so often."),
    _error("UNKNOWN_HOST", "The server is asked under a name that is not its own.", "Use its address."),
)
