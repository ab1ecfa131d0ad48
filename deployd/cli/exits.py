"""Exit codes, and which error ends with which."""

from __future__ import annotations

from enum import IntEnum

from deployd.errors import DeploydError, Forbidden, InputError, SettingsError, Unauthenticated

__all__ = ["EPILOG", "ExitCode", "ServerUnreachable", "TimeIsUp", "exit_code_of"]


class ExitCode(IntEnum):
    """What a script can tell from `$?`; the same for every verb."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    CANCELLED = 5
    DIFFERS = 6
    TIME_IS_UP = 124
    INTERRUPTED = 130


EPILOG = """\
exit codes:
  0    done
  1    the work failed: a deployment failed or was rolled back
  2    the request is wrong: arguments, settings, no such service
  3    the server cannot be reached, or does not start
  4    refused: no valid token, or not permitted
  5    cancelled, or superseded by a newer deployment
  6    plan --exit-code: a deployment would change something
  124  what was waited for did not come in time
  130  interrupted

environment:
  DEPLOYD_CONTEXT the context, where --context is not given (else the one in use)
  DEPLOYD_WORLD   the world, where --world is not given (else the context's, else local)
  DEPLOYD_SERVER  the server's URL, where --server is not given (else the context's, else this host's)
  DEPLOYD_TOKEN   the token (else the context's; for the server of this host, the file token in its home)
  DEPLOYD_HOME    where the server of this host keeps what is its own
  DEPLOYD_PORT    the port of the server of this host (else 7070)
  NO_COLOR        no colours
"""


class ServerUnreachable(DeploydError):
    """The server does not answer."""

    code = "SERVER_UNREACHABLE"


class TimeIsUp(DeploydError):
    """What was waited for did not come in time."""

    code = "TIME_IS_UP"


def exit_code_of(error: DeploydError) -> ExitCode:
    """With which code a verb ends that raised this."""
    if isinstance(error, ServerUnreachable):
        return ExitCode.UNREACHABLE
    if isinstance(error, TimeIsUp):
        return ExitCode.TIME_IS_UP
    if isinstance(error, Unauthenticated | Forbidden):
        return ExitCode.REFUSED
    if isinstance(error, InputError | SettingsError):
        return ExitCode.USAGE
    return ExitCode.FAILED
