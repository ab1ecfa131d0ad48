"""What drivers and the service's watch see of what runs, or of what ran once."""

from __future__ import annotations

from deployd.model.code.table import DEPLOYMENT, ERRORED, RESOURCE, RUN, SERVICE, Code

__all__ = ["OBSERVED"]

_OF = (SERVICE,)
_ONCE = (DEPLOYMENT, RUN)

OBSERVED: tuple[Code, ...] = (
    Code("ADDRESS_CHANGED", "The service is reached at another address.", "Nothing.", _OF, None),
    Code("ADOPTED", "An orphan is looked after again.", "Nothing.", (RESOURCE,), None),
    Code("CRASH_LOOP", "The program ends again and again.", "Read its last lines, and mend it.", _OF),
    Code("DEGRADED", "The driver says that it is not well, and no more.", "See what it logs.", _OF),
    Code("EXITED", "The program ended; it is started again.", "Read its last lines, and mend it.", _OF),
    Code("HEALTH_CHANGED", "Its health is another one.", "Nothing.", (SERVICE, RESOURCE), None),
    Code("INVALID_SETTINGS", "A definition's settings are wrong.", "Correct the parameters.", (RESOURCE,)),
    Code("MISSING", "The release is gone while it was tried out.", "See what it logged.", _OF),
    Code("NAME_TAKEN", "Somebody else's object has the name.", "Rename or drop that one.", (RESOURCE,)),
    Code(
        "NOT_LISTENING",
        "The program runs and nothing listens on its port.",
        "Make it listen on the port that the environment variable PORT names.",
        _OF,
    ),
    Code("ORPHANED", "No service has the resource any more; its data is kept.", "", (RESOURCE,), None),
    Code(
        "PACKAGES_NOT_INSTALLED",
        "`pip install` of the Dockerfile failed.",
        "Read pip's last lines; correct what is asked for, or the way to it.",
        _OF,
    ),
    Code("PORT_TAKEN", "Another program has the server's port.", "End that program.", (RESOURCE,)),
    Code(
        "REFERENCE_MISSING",
        "A secret, resource or service that `env:` refers to is not there.",
        "Set the secret, or deploy again so that it is provided.",
        _OF,
    ),
    Code("RESOURCE_UNWELL", "A resource is not well, and says no more.", "See its driver.", (RESOURCE,)),
    Code(
        "RESTARTED",
        "A canary's release ended, and was started again.",
        "Read its last lines, and mend it.",
        _OF,
    ),
    Code("RESTORED", "What served was gone; it was started again.", "See who ended it.", _OF, ERRORED),
    Code("SCALED", "Another number of copies runs.", "Nothing.", _OF, None),
    Code("STOPPING", "It is being stopped.", "Nothing.", _OF, None),
    Code(
        "SUPERVISOR_GONE",
        "The program that looks after the service's process is gone.",
        "Nothing after a restart of the machine; else see who killed it.",
        _OF,
        ERRORED,
    ),
    Code("SUSPENDED", "The resource rests, since nobody uses it.", "Nothing.", (RESOURCE,), None),
    Code("TASK_ENDED", "A command was ended before it was done.", "Let it run again.", _ONCE),
    Code("TASK_FAILED", "A command (`before:`, `schedule:`) failed.", "Read its last lines.", _ONCE),
    Code("TASK_TIMEOUT", "A command took longer than it may.", "See what it waited for.", _ONCE),
    Code("UNHEALTHY", "The program runs and its health answers otherwise.", "See what it logs.", _OF),
    Code("WAITING", "It waits, as the summary says for what.", "Nothing.", (), None),
    Code("WAITING_FOR_RESOURCES", "It waits for resources.", "Nothing.", (SERVICE, DEPLOYMENT), None),
)
