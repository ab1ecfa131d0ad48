"""The verbs and their arguments."""

from __future__ import annotations

import argparse

from deployd.cli import nouns
from deployd.cli.exits import EPILOG
from deployd.cli.parameters import Verb, common, count, machine, no_wait, services, source

__all__ = ["parser"]

_DESCRIPTION = "Deploys services into worlds, and manages the infrastructure they need."


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
    shared = common()

    def verb(name: str, run: str, text: str, description: str = "") -> argparse.ArgumentParser:
        one = verbs.add_parser(
            name,
            help=text,
            description=description or f"{text[0].upper()}{text[1:]}.",
            parents=[shared],
            allow_abbrev=False,
        )
        one.set_defaults(run=f"deployd.cli.{run}")
        return one

    _serving(verb)
    _deploying(verb)
    _looking(verb)
    _steering(verb)
    nouns.worlds(verb)
    nouns.services_by_noun(verb)
    nouns.resources(verb)
    nouns.secrets(verb)
    nouns.access(verb)
    verb(
        "doctor",
        "doctor:doctor",
        "check the installation, and say what is wrong and what to do",
        "Checks this host's part of the installation and, where a server answers, the server's: exit code 0 "
        "where nothing is wrong, else 1.",
    )
    _maintaining(verb)
    nouns.contexts(verb)
    nouns.shell(verb)
    verb("version", "looking:version", "say the version of this program and of the server")
    return top


def _maintaining(verb: Verb) -> None:
    one = verb(
        "maintenance",
        "maintenance:maintenance",
        "show what keeps the installation from growing for ever, or do it now",
        "Shows the duties by which old things are removed: when each ran, what it did, when it runs next. "
        "Servers do them by themselves; --run does them now, and --dry-run says what would go.",
    )
    one.add_argument("duties", nargs="*", metavar="DUTY", help="only these (else all)")
    one.add_argument("--run", dest="run_now", action="store_true", help="do them now, on the server asked")
    one.add_argument("--dry-run", action="store_true", help="remove nothing, and say what would be removed")


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
    source(deploy)
    services(deploy)
    no_wait(deploy)
    plan = verb(
        "plan",
        "planning:plan",
        "show what deploying would do, and do nothing",
        "Shows what `deploy` would do with the services, resources and routes of a folder or a git "
        "repository at this moment, and what would wait for an approval. Nothing is changed. To a server "
        "elsewhere the folder's files are sent.",
    )
    source(plan)
    services(plan)
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
    services(push)
    no_wait(push)
    rollback = verb("rollback", "deploying:rollback", "make a service serve an earlier release")
    rollback.add_argument("service", metavar="SERVICE")
    rollback.add_argument(
        "--to", type=int, metavar="RELEASE-NUMBER", help="which one (else the one it served before)"
    )
    no_wait(rollback)
    retry = verb("retry", "deploying:retry", "try a deployment that failed once more")
    machine(retry)
    no_wait(retry)


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
    history.add_argument("-n", "--limit", type=count, default=20, metavar="N", help="how many at most (20)")
    logs = verb("logs", "logs:logs", "show what a service wrote")
    logs.add_argument("service", metavar="SERVICE")
    logs.add_argument("-f", "--follow", action="store_true", help="go on with what it writes from now on")
    logs.add_argument("-n", "--tail", type=count, metavar="N", help="only the last N lines")


def _steering(verb: Verb) -> None:
    cancel = verb("cancel", "steering:cancel", "cancel a change or a deployment")
    machine(cancel)
    approve = verb("approve", "steering:approve", "approve the plan of a change or a deployment")
    machine(approve)
    approve.add_argument("--plan", metavar="HASH", help="only if its plan still is the one with this hash")
    for name, text in (
        ("suspend", "stop a service until it is resumed or deployed"),
        ("resume", "let a suspended service serve again"),
        ("retire", "end a service for good; its history is kept"),
    ):
        one = verb(name, f"steering:{name}", text)
        one.add_argument("service", metavar="SERVICE")
        no_wait(one)

    hold = verb(
        "hold",
        "holds:hold",
        "hold a service at what it serves, or keep one of its releases from coming back",
        "Nothing made of the same is deployed until the hold is lifted: what nobody names is left alone, "
        "what somebody names is refused. A rollback holds the release that it leaves.",
    )
    hold.add_argument("service", metavar="SERVICE")
    hold.add_argument(
        "--release", type=count, metavar="N", help="only this release (else the service itself)"
    )
    hold.add_argument("--note", metavar="TEXT", help="why, for people")
    hold.add_argument("--lift", action="store_true", help="lift the hold of that release (else all of them)")
    no_wait(hold)

    run = verb("run", "running:run", "run a service that has a schedule now, and follow that to its end")
    run.add_argument("service", metavar="SERVICE")
    no_wait(run)
