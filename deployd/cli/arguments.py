"""The verbs and their arguments."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from deployd.cli.exits import EPILOG

__all__ = ["parser"]

_DESCRIPTION = "Deploys services into worlds, and manages the infrastructure they need."
Verb = Callable[..., argparse.ArgumentParser]


def parser() -> argparse.ArgumentParser:
    """Parsed arguments have `run`, the verb's `module:function`, and what the verb declares here."""
    top = argparse.ArgumentParser(
        prog="deployd",
        description=_DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    verbs = top.add_subparsers(title="verbs", metavar="VERB", dest="verb", required=True)
    common = _common()

    def verb(name: str, run: str, text: str, description: str = "") -> argparse.ArgumentParser:
        one = verbs.add_parser(
            name,
            help=text,
            description=description or f"{text[0].upper()}{text[1:]}.",
            parents=[common],
            allow_abbrev=False,
        )
        one.set_defaults(run=f"deployd.cli.{run}")
        return one

    _serving(verb)
    _deploying(verb)
    _looking(verb)
    _steering(verb)
    _worlds(verb)
    _services_by_noun(verb)
    _resources(verb)
    _secrets(verb)
    _access(verb)
    verb(
        "doctor",
        "doctor:doctor",
        "check the installation, and say what is wrong and what to do",
        "Checks this host's part of the installation and, where a server answers, the server's: exit code 0 "
        "where nothing is wrong, else 1.",
    )
    _contexts(verb)
    _shell(verb)
    verb("version", "looking:version", "say the version of this program and of the server")
    return top


def _common(default: str | None = None) -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False, argument_default=default)
    group = common.add_argument_group("common options")
    group.add_argument(
        "--world", metavar="NAME", help="the world (DEPLOYD_WORLD, else the context's, else local)"
    )
    group.add_argument(
        "--server", metavar="URL", help="the server (DEPLOYD_SERVER, else the context's, else this host's)"
    )
    group.add_argument("--context", metavar="NAME", help="the context that says which (else the one in use)")
    group.add_argument(
        "--json",
        action="store_true",
        help="for programs: one document, or one object a line for what is live",
    )
    group.add_argument("--no-color", action="store_true", help="no colours (also: NO_COLOR)")
    return common


def _serving(verb: Verb) -> None:
    up = verb(
        "up",
        "up:up",
        "deploy a folder here, starting the server when none runs",
        "Deploys a folder's services on this host, starting the server when none runs, and stays: shows "
        "health, restarts and logs, and deploys what is edited. Ctrl-C suspends these services and stops the "
        "server it started.",
    )
    up.add_argument("path", nargs="?", default=".", metavar="PATH", help="the folder (else the present one)")
    up.add_argument(
        "-d", "--detach", action="store_true", help="return once it serves, and leave all running"
    )
    up.add_argument("--no-watch", action="store_true", help="deploy once, whatever is edited afterwards")
    verb("down", "down:down", "suspend all services of the world and stop the server of this host")
    verb("serve", "serve:serve", "run the server in the foreground")


def _deploying(verb: Verb) -> None:
    deploy = verb("deploy", "deploying:deploy", "deploy the services of a folder or a git repository")
    _source(deploy)
    _services(deploy)
    _no_wait(deploy)
    plan = verb(
        "plan",
        "planning:plan",
        "show what deploying would do, and do nothing",
        "Shows what `deploy` would do with the services, resources and routes of a folder or a git "
        "repository at this moment, and what would wait for an approval. Nothing is changed. To a server "
        "elsewhere the folder's files are sent.",
    )
    _source(plan)
    _services(plan)
    plan.add_argument("--unchanged", action="store_true", help="show what stays as it is, too")
    plan.add_argument(
        "--exit-code", action="store_true", help="end with 6 where something would change: for scripts"
    )
    push = verb(
        "push",
        "pushing:push",
        "send a folder to the server, and deploy it",
        "Sends a folder's files, less those that .gitignore names, to a server here or elsewhere; "
        "deploys them there, and follows that.",
    )
    push.add_argument(
        "path", nargs="?", default=".", metavar="PATH", help="the folder (else the present one)"
    )
    push.add_argument(
        "-w", "--watch", action="store_true", help="stay, and push what is edited; only that is sent"
    )
    _services(push)
    _no_wait(push)
    rollback = verb("rollback", "deploying:rollback", "make a service serve an earlier release")
    rollback.add_argument("service", metavar="SERVICE")
    rollback.add_argument(
        "--to", type=int, metavar="RELEASE-NUMBER", help="which one (else the one it served before)"
    )
    _no_wait(rollback)
    retry = verb("retry", "deploying:retry", "try a deployment that failed once more")
    _machine(retry)
    _no_wait(retry)


def _looking(verb: Verb) -> None:
    status = verb("status", "looking:status", "show the world's services, or one in detail")
    status.add_argument("service", nargs="?", metavar="SERVICE")
    why = verb(
        "why",
        "why:why",
        "say why something is as it is: what failed, where, and what to do",
        "Says how a service, a resource or whatever has the id stands: the chain from what was asked for to"
        " the root cause, with its evidence; what to do, what serves meanwhile, and what comes next.",
    )
    why.add_argument("id", metavar="SERVICE|ID", help="a service, a resource, or an id")
    explain = verb("explain", "explain:explain", "say what a code or a key of deployd.yaml means")
    explain.add_argument(
        "what", metavar="CODE|KEY", help="such as CRASH_LOOP, NOT_FOUND, services.cart.rollout, rollout.steps"
    )
    history = verb("history", "looking:history", "show a service's deployments, newest first")
    history.add_argument("service", metavar="SERVICE")
    history.add_argument("-n", "--limit", type=_count, default=20, metavar="N", help="how many at most (20)")
    logs = verb("logs", "logs:logs", "show what a service wrote")
    logs.add_argument("service", metavar="SERVICE")
    logs.add_argument("-f", "--follow", action="store_true", help="go on with what it writes from now on")
    logs.add_argument("-n", "--tail", type=_count, metavar="N", help="only the last N lines")


def _steering(verb: Verb) -> None:
    cancel = verb("cancel", "steering:cancel", "cancel a change or a deployment")
    _machine(cancel)
    approve = verb("approve", "steering:approve", "approve the plan of a change or a deployment")
    _machine(approve)
    approve.add_argument("--plan", metavar="HASH", help="only if its plan still is the one with this hash")
    for name, text in (
        ("suspend", "stop a service until it is resumed or deployed"),
        ("resume", "let a suspended service serve again"),
        ("retire", "end a service for good; its history is kept"),
    ):
        one = verb(name, f"steering:{name}", text)
        one.add_argument("service", metavar="SERVICE")
        _no_wait(one)

    hold = verb(
        "hold",
        "holds:hold",
        "hold a service at what it serves, or keep one of its releases from coming back",
        "Nothing made of the same is deployed until the hold is lifted: what nobody names is left alone, "
        "what somebody names is refused. A rollback holds the release that it leaves.",
    )
    hold.add_argument("service", metavar="SERVICE")
    hold.add_argument(
        "--release", type=_count, metavar="N", help="only this release (else the service itself)"
    )
    hold.add_argument("--note", metavar="TEXT", help="why, for people")
    hold.add_argument("--lift", action="store_true", help="lift the hold of that release (else all of them)")
    _no_wait(hold)

    run = verb("run", "running:run", "run a service that has a schedule now, and follow that to its end")
    run.add_argument("service", metavar="SERVICE")
    _no_wait(run)


def _parts(one: argparse.ArgumentParser) -> Verb:
    """The verbs below a noun: `world create`."""
    parts = one.add_subparsers(title="verbs", metavar="VERB", required=True)
    # What is said before the second verb holds; these options have no defaults that would replace it.
    common = _common(argparse.SUPPRESS)

    def part(name: str, run: str, text: str, description: str = "") -> argparse.ArgumentParser:
        made = parts.add_parser(
            name,
            help=text,
            description=description or f"{text[0].upper()}{text[1:]}.",
            parents=[common],
            allow_abbrev=False,
        )
        made.set_defaults(run=f"deployd.cli.{run}")
        return made

    return part


def _worlds(verb: Verb) -> None:
    applying = verb(
        "apply",
        "applying:apply",
        "make worlds as files describe them",
        "Makes worlds as the operator's files describe them: reads all of them first, says what is"
        " otherwise with "
        "each world, and changes that. What a file does not say stays as it is; a capability or a"
        " gate that is not "
        "in a list that it says goes, unless somebody uses it.",
    )
    applying.add_argument(
        "-f",
        "--file",
        action="append",
        required=True,
        metavar="PATH",
        help="a file, a folder with files that end in .yaml, or - for what is piped in; may be repeated",
    )
    applying.add_argument("--dry-run", action="store_true", help="only say what would change")
    part = _parts(
        verb("world", "worlds:list_worlds", "list, show, create and retire worlds; set their gates")
    )
    part("list", "worlds:list_worlds", "list the worlds")
    show = part("show", "showing:show", "show what a world can do, and what can be asked for in it")
    show.add_argument("name", nargs="?", metavar="NAME", help="(else the one of --world)")
    show.add_argument(
        "-o",
        "--output",
        choices=("yaml",),
        metavar="FORMAT",
        help="yaml: the file that `deployd apply` takes",
    )
    create = part("create", "worlds:create", "make a world")
    create.add_argument("name", metavar="NAME")
    create.add_argument(
        "--like", default="local", metavar="WORLD", help="the world whose capabilities it gets (local)"
    )
    create.add_argument(
        "--ephemeral", action="store_true", help="its data goes with it when it is retired: a preview"
    )
    retire = part("retire", "worlds:retire", "end a world: its services, and its data if it is ephemeral")
    retire.add_argument("name", metavar="NAME")
    _no_wait(retire)
    gate = part("gate", "worlds:gate", "show the world's gates, or set or remove one")
    gate.add_argument("name", nargs="?", metavar="NAME")
    gate.add_argument(
        "--allow", action="append", default=[], metavar="NETWORK", help="who may come in; may be repeated"
    )
    gate.add_argument(
        "--port",
        action="append",
        type=_count,
        default=[],
        metavar="N",
        help="only by this port; may be repeated",
    )
    gate.add_argument("--remove", action="store_true", help="remove the gate")


def _services_by_noun(verb: Verb) -> None:
    part = _parts(verb("service", "looking:status", "list services, show one, run more copies of it"))
    part("list", "looking:status", "show the world's services").set_defaults(service=None)
    show = part("show", "looking:status", "show one in detail")
    show.add_argument("service", metavar="SERVICE")
    scale = part("scale", "scaling:scale", "run another number of copies, of those that its manifest allows")
    scale.add_argument("service", metavar="SERVICE")
    scale.add_argument("copies", type=_count, metavar="N")
    _no_wait(scale)


def _resources(verb: Verb) -> None:
    part = _parts(
        verb("resource", "resources:list_resources", "list, show, make, change, adopt and delete them")
    )
    part("list", "resources:list_resources", "list the world's resources")
    show = part("show", "standing:show_one", "show one in detail")
    show.add_argument("name", metavar="NAME")
    create = part(
        "create", "standing:create", "make one that stands by itself; manifests find it by `shared:`"
    )
    create.add_argument("name", metavar="NAME")
    create.add_argument("slug", metavar="SLUG", help="what it shall be, such as postgres")
    update = part("update", "standing:update", "change parameters of one that stands by itself, in place")
    update.add_argument("name", metavar="NAME")
    for one, needed in ((create, False), (update, True)):
        one.add_argument(
            "--param",
            action="append",
            default=None if needed else [],
            required=needed,
            metavar="NAME=VALUE",
            help="what its definition lets one set; may be repeated",
        )
        _no_wait(one)
    adopt = part("adopt", "standing:adopt", "look after one again that no service has any more")
    adopt.add_argument("name", metavar="NAME")
    _no_wait(adopt)
    delete = part(
        "delete", "resources:delete", "delete a resource with its data, which no service has any more"
    )
    delete.add_argument("name", metavar="NAME")
    _no_wait(delete)


def _secrets(verb: Verb) -> None:
    part = _parts(verb("secret", "secrets:list_", "set, list and unset values that only services see"))
    given = part(
        "set",
        "secrets:set_",
        "keep a value under a name",
        "Keeps a value under a name: what is piped in (without the newline at its end), what is "
        "in a file (as it is), or what is typed when asked. Never an argument: those can be seen by "
        "everybody on this host, and stay in the shell's history. Services get it at their next deployment.",
    )
    given.add_argument("name", metavar="NAME", help="as references have it: ${secrets.NAME}")
    given.add_argument("value", nargs="*", help=argparse.SUPPRESS)  # to explain that it is none
    given.add_argument("--file", metavar="PATH", help="read the value from this file")
    part("list", "secrets:list_", "show which there are, and which services refer to them")
    forgotten = part("unset", "secrets:unset", "forget one")
    forgotten.add_argument("name", metavar="NAME")


def _access(verb: Verb) -> None:
    part = _parts(verb("token", "tokens:list_", "make, list and revoke tokens"))
    create = part(
        "create",
        "tokens:create",
        "make a token",
        "Makes a token for a program or a person. Its value is shown once, alone on stdout.",
    )
    create.add_argument("name", metavar="NAME")
    create.add_argument(
        "--role",
        choices=("viewer", "developer", "operator", "admin"),
        default="developer",
        help="what it may do (developer)",
    )
    create.add_argument(
        "--only",
        action="append",
        metavar="WORLD",
        help="only this world exists for it, or those of a pattern such as 'preview-*'; may be repeated",
    )
    create.add_argument(
        "--expires", type=_duration, metavar="TIME", help="how long it counts: 12h, 30d (else until revoked)"
    )
    listed = part("list", "tokens:list_", "list them, and when each was last used")
    listed.add_argument("--all", action="store_true", help="those too that were revoked or have expired")
    part("revoke", "tokens:revoke", "it counts no more, from now on").add_argument("name", metavar="NAME")
    can_i = verb(
        "can-i",
        "permission:can_i",
        "say whether you may do something",
        "Says whether you may do something in the world; without an action, all that you may. "
        "Ends with 4 where you may not.",
    )
    can_i.add_argument("action", nargs="?", metavar="ACTION", help="such as deploy, approve, set-secret")
    audit = verb("audit", "permission:audit", "show who asked for what, newest first")
    audit.add_argument("--actor", metavar="NAME", help="only what this one asked, such as token:ci")
    audit.add_argument("--everywhere", action="store_true", help="of all worlds, and what belongs to none")
    audit.add_argument("-n", "--limit", type=_count, default=50, metavar="N", help="how many at most (50)")


def _contexts(verb: Verb) -> None:
    part = _parts(verb("context", "contexts:list_", "choose among servers: list, use, set, remove, show"))

    def context(name: str, run: str, text: str, description: str = "") -> argparse.ArgumentParser:
        one = part(name, f"contexts:{run}", text, description)
        one.set_defaults(lenient=True)
        return one

    context("list", "list_", "list the contexts")
    context("use", "use", "take this one from now on").add_argument("name", metavar="NAME")
    given = context(
        "set",
        "set_",
        "make one, or change it",
        "Makes a context, or changes what is given: --server, --world, and where its token is. The token "
        "goes to that server alone. It is never an argument: those can be seen by everybody on this host.",
    )
    given.add_argument("name", metavar="NAME")
    given.add_argument("--token-file", metavar="PATH", help="the token is in this file, and read when used")
    given.add_argument(
        "--token-command", metavar="COMMAND", help="this command prints it: 'pass show deployd'"
    )
    given.add_argument("--token-stdin", action="store_true", help="read it now, and keep it in the context")
    context("remove", "remove", "forget one, with its token").add_argument("name", metavar="NAME")
    context("show", "show", "say which server, world and token hold now, and who says so")


def _shell(verb: Verb) -> None:
    wait = verb(
        "wait",
        "waiting:wait",
        "wait until a service, a change or a deployment is so far",
        "Waits until a service, a change or a deployment is so far. A service is waited for until it is "
        "healthy, a change or a deployment until it is done, unless --for says otherwise. Ends with 124 when "
        "the time is up, and as deploy does when it has come to another end.",
    )
    wait.add_argument(
        "id", metavar="SERVICE|ID", help="a service's name, or the id of a change or deployment"
    )
    wait.add_argument(
        "--for",
        dest="until",
        choices=("healthy", "serving", "suspended", "retired", "done", "awaiting-approval"),
        help="how far (healthy for a service, else done); a service is done when no deployment works at it",
    )
    wait.add_argument(
        "--timeout", type=_duration, default=300, metavar="TIME", help="for how long: 90s, 15m (5m)"
    )
    slugs = verb("slugs", "slugs:slugs", "show what services can ask for as resources here")
    slugs.add_argument("slug", nargs="?", metavar="SLUG", help="this one alone, with its parameters")
    completion = verb(
        "completion",
        "completion:completion",
        "print what makes a shell complete deployd's verbs, options and names",
        "Prints a script for a shell, which then completes verbs, options, names of services, worlds, "
        'contexts, resources and slugs. bash: eval "$(deployd completion bash)" in ~/.bashrc; zsh: the same '
        "in ~/.zshrc; fish: deployd completion fish | source, in config.fish.",
    )
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))


def _machine(one: argparse.ArgumentParser) -> None:
    one.add_argument("id", metavar="ID", help="its id, or a service's name for that one's latest deployment")


def _source(one: argparse.ArgumentParser) -> None:
    one.add_argument("path", nargs="?", metavar="PATH", help="the folder (else the present one)")
    one.add_argument("--git", metavar="URL", help="a repository instead: file://, https://, ssh://, a path")
    one.add_argument("--ref", metavar="REF", help="its branch, tag or commit (else its default branch)")


def _services(one: argparse.ArgumentParser) -> None:
    which = one.add_mutually_exclusive_group()
    which.add_argument("--all", action="store_true", help="all services, those too that serve this already")
    which.add_argument(
        "--service", action="append", default=[], metavar="NAME", help="only this one; may be repeated"
    )


def _no_wait(one: argparse.ArgumentParser) -> None:
    one.add_argument("--no-wait", action="store_true", help="return as soon as it is asked for")


def _duration(text: str) -> int:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = text[:-1], text[-1:]
    if not (unit in units and number.isascii() and number.isdecimal() and int(number) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no time: write 90s, 15m, 12h or 30d")
    return int(number) * units[unit]


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)
