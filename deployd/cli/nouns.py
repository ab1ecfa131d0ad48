"""The verbs below nouns: worlds, services, resources, secrets, tokens, contexts."""

from __future__ import annotations

import argparse

from deployd.cli.parameters import Verb, count, duration, no_wait, parts

__all__ = ["access", "contexts", "resources", "secrets", "services_by_noun", "shell", "worlds"]


def worlds(verb: Verb) -> None:
    """Worlds and their gates."""
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
    part = parts(verb("world", "worlds:list_worlds", "list, show, create and retire worlds; set their gates"))
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
    no_wait(retire)
    gate = part("gate", "worlds:gate", "show the world's gates, or set or remove one")
    gate.add_argument("name", nargs="?", metavar="NAME")
    gate.add_argument(
        "--allow", action="append", default=[], metavar="NETWORK", help="who may come in; may be repeated"
    )
    gate.add_argument(
        "--port",
        action="append",
        type=count,
        default=[],
        metavar="N",
        help="only by this port; may be repeated",
    )
    gate.add_argument("--remove", action="store_true", help="remove the gate")


def services_by_noun(verb: Verb) -> None:
    """What is shown and asked of services by that noun."""
    part = parts(verb("service", "looking:status", "list services, show one, run more copies of it"))
    part("list", "looking:status", "show the world's services").set_defaults(service=None)
    show = part("show", "looking:status", "show one in detail")
    show.add_argument("service", metavar="SERVICE")
    scale = part("scale", "scaling:scale", "run another number of copies, of those that its manifest allows")
    scale.add_argument("service", metavar="SERVICE")
    scale.add_argument("copies", type=count, metavar="N")
    no_wait(scale)


def resources(verb: Verb) -> None:
    """Resources."""
    part = parts(
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
        no_wait(one)
    adopt = part("adopt", "standing:adopt", "look after one again that no service has any more")
    adopt.add_argument("name", metavar="NAME")
    no_wait(adopt)
    delete = part(
        "delete", "resources:delete", "delete a resource with its data, which no service has any more"
    )
    delete.add_argument("name", metavar="NAME")
    no_wait(delete)


def secrets(verb: Verb) -> None:
    """Secrets."""
    part = parts(verb("secret", "secrets:list_", "set, list and unset values that only services see"))
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


def access(verb: Verb) -> None:
    """Tokens, permissions, the audit log."""
    part = parts(verb("token", "tokens:list_", "make, list and revoke tokens"))
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
        "--expires", type=duration, metavar="TIME", help="how long it counts: 12h, 30d (else until revoked)"
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
    audit.add_argument("-n", "--limit", type=count, default=50, metavar="N", help="how many at most (50)")


def contexts(verb: Verb) -> None:
    """Contexts."""
    part = parts(verb("context", "contexts:list_", "choose among servers: list, use, set, remove, show"))

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


def shell(verb: Verb) -> None:
    """What helps in a shell."""
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
        "--timeout", type=duration, default=300, metavar="TIME", help="for how long: 90s, 15m (5m)"
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
