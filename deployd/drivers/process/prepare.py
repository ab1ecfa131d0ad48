"""From a release to what would be started, or why it cannot be. Reads tree and machine, changes nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from deployd.drivers.api import ReleaseSpec, ServiceRef, TaskSpec
from deployd.drivers.process.accounts import may_enter, may_execute
from deployd.drivers.process.command import from_line, service_environment
from deployd.drivers.process.config import Config
from deployd.drivers.process.dockerfile import read_dockerfile
from deployd.drivers.process.environments import Environment, digest_of, interpreter
from deployd.drivers.process.instance import Start
from deployd.drivers.process.recipe import Recipe
from deployd.drivers.process.shim.handed import Handed
from deployd.model.reason import Reason

__all__ = ["Prepared", "host_path", "prepare"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A start without ports, or refusals."""

    start: Start | None = None
    refusals: tuple[Reason, ...] = ()
    notes: tuple[str, ...] = field(default=())
    environment: Environment | None = None
    """The packages that it runs with; they may have to be installed first."""


def host_path(environment: Mapping[str, str], user: int | None) -> tuple[str, ...]:
    """This machine's PATH as the user has it: without deployd's virtual environment and closed folders."""
    own = {Path(environment["VIRTUAL_ENV"]) / "bin"} if environment.get("VIRTUAL_ENV") else set()
    if sys.prefix != sys.base_prefix:
        own.add(Path(sys.prefix) / "bin")
    own |= {folder.resolve() for folder in own}
    path = [Path(one) for one in environment.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(one)]  # noqa: PTH117
    usable = (one for one in path if one not in own and one.resolve() not in own)
    return tuple(dict.fromkeys(str(one) for one in usable if may_enter(one, user) is None))


def prepare(
    service: ServiceRef,
    release: ReleaseSpec,
    config: Config,
    user: int | None,
    own_home: Path,
    environments: Path,
    task: TaskSpec | None = None,
) -> Prepared:
    """What to start for this release, or for a task of it, as this user.

    `environments` is where packages are installed. Raises Terminal without the Dockerfile parser.
    """
    spec = release.spec
    refusals: list[Reason] = []
    if spec.scale.max > 1:
        summary = (
            f"{service.service}: scale {spec.scale.max}, but a world of processes runs one of each service"
        )
        remedy = f"Set `scale: 1` for the world {service.world}, or deploy to a world with another deployer."
        refusals.append(Reason("SCALE_UNSUPPORTED", summary, remedy=remedy, key="scale"))
    path = host_path(os.environ, user)
    recipe = _recipe(service, release, ":".join(path))
    if not isinstance(recipe, Recipe):
        return Prepared(refusals=(*refusals, *recipe))
    ports = (dict(spec.ports) or recipe.ports) if task is None else {}
    if task is None and spec.health.path is not None and not ports:
        summary = f"{service.service}: health {spec.health.path} is asked over HTTP, but there is no port"
        remedy = "Add `port:` to the service in deployd.yaml."
        refusals.append(Reason("NO_PORT", summary, remedy=remedy, key="health"))
    env = service_environment(os.environ, path, str(own_home), recipe.env, release.env)
    environment = None
    if recipe.installs:
        python = interpreter(":".join(path))
        if python is None:
            refusals.append(_no_python(service, path))
        else:
            environment = Environment(
                environments / digest_of(python, recipe.installs), python, recipe.installs
            )
            env["PATH"] = f"{environment.venv / 'bin'}:{env['PATH']}"
            env["VIRTUAL_ENV"] = str(environment.venv)
    if task is not None:
        env.pop("PORT", None)
        if task.command is not None:
            try:
                recipe = replace(recipe, command=from_line(task.command))
            except ValueError as error:
                summary = f"{service.service}: `{task.name}: {task.command}` is no command: {error}"
                remedy = "Correct it in deployd.yaml."
                refusals.append(Reason("BAD_COMMAND", summary, remedy=remedy, key=task.name))
    refusals += _unreachable(service, recipe, release.tree or recipe.cwd, own_home, user)
    unknown = environment is not None and not environment.is_whole  # what it brings is not known yet
    if not refusals and recipe.command.program is not None and not unknown:
        program = _program(service, recipe.command.program, recipe.cwd, env["PATH"], user)
        refusals += (replace(one, where=recipe.where) for one in program)
    if refusals:
        return Prepared(refusals=tuple(refusals))
    start = Start(
        world_id=service.world_id,
        service_id=str(service.service_id),
        service=service.service,
        number=release.number,
        argv=recipe.command.argv,
        text=recipe.command.text,
        cwd=str(recipe.cwd),
        env={name: value for name, value in env.items() if name not in release.secrets},
        health=spec.health.path if task is None else None,
        ports=ports,
        told_ports=ports,
        memory=spec.size.memory,
        open_files=config.open_files,
        grace_seconds=config.grace_seconds,
        stop_signal=recipe.stop_signal,
        handed=_handed(release),
        task="" if task is None else task.name,
        timeout=None if task is None else task.timeout,
        environment=str(environment.venv) if environment else None,
    )
    return Prepared(start, notes=(*recipe.notes, *_notes(release)), environment=environment)


def _no_python(service: ServiceRef, path: Iterable[str]) -> Reason:
    summary = f"{service.service}: its packages need Python, and this machine has no `python3`"
    return Reason(
        "PROGRAM_MISSING",
        summary,
        evidence=f"PATH={':'.join(path)}",
        remedy="Install `python3` for all users of this machine.",
        key="build",
    )


def _handed(release: ReleaseSpec) -> Handed:
    """The secret variables; and what must not be shown: what is in them, they, and passwords in URLs."""
    env = {name: release.env[name] for name in sorted(release.secrets & release.env.keys())}
    passwords: list[tuple[str, str]] = []
    for name, value in env.items():
        try:
            password = urlsplit(value).password or ""
        except ValueError:
            continue  # it is no URL
        passwords += [(name, password), (name, unquote(password))]
    return Handed(env, (*release.hidden.items(), *env.items(), *passwords))


def _recipe(service: ServiceRef, release: ReleaseSpec, path: str) -> Recipe | tuple[Reason, ...]:
    """By `run:`, else by the Dockerfile."""
    spec, tree = release.spec, release.tree
    if tree is None:
        summary = f"{service.service}: a world of processes needs the source tree, and this release has none"
        remedy = "Deploy from source, or to a world that runs images."
        return (Reason("NO_TREE", summary, remedy=remedy, key=""),)
    if spec.run is None and spec.build is None:
        summary = f"{service.service}: there is neither `run:` nor `build:`, so nothing says what to start"
        remedy = "Add `run: <command>` to the service in deployd.yaml."
        return (Reason("NOTHING_TO_RUN", summary, remedy=remedy, key=""),)
    if spec.run is None and spec.build is not None:
        build = spec.build
        return read_dockerfile(
            tree, build.context, build.dockerfile, path, target=build.target, args=build.args
        )
    cwd = tree / spec.build.context if spec.build else tree
    if not cwd.is_dir() or not cwd.resolve().is_relative_to(tree.resolve()):
        summary = (
            f"{service.service}: the source tree has no folder {spec.build.context if spec.build else '.'}"
        )
        return (Reason("CONTEXT_MISSING", summary, remedy="Correct `build:` in deployd.yaml.", key="build"),)
    try:
        command = from_line(spec.run or "")
    except ValueError as error:
        summary = f"{service.service}: `run: {spec.run}` is no command: {error}"
        return (Reason("BAD_COMMAND", summary, remedy="Correct `run:` in deployd.yaml.", key="run"),)
    return Recipe(command, cwd)


def _unreachable(
    service: ServiceRef, recipe: Recipe, tree: Path, own_home: Path, user: int | None
) -> Iterable[Reason]:
    whom = "deployd's user" if user is None else "the service's own user"
    if closed := may_enter(recipe.cwd, user):
        yield Reason(
            "TREE_UNREACHABLE",
            f"{service.service}: {whom} cannot enter {closed}, which is on the way to its source tree",
            evidence=f"working directory {recipe.cwd} in {tree}",
            remedy=f"Open it with `chmod o+x {closed}`, or keep deployd's data elsewhere (not below /root).",
        )
    there = next((one for one in (own_home, *own_home.parents) if one.is_dir()), own_home)
    way = there if there != own_home else there.parent
    if closed := may_enter(way, user):
        yield Reason(
            "HOME_UNREACHABLE",
            f"{service.service}: {whom} cannot enter {closed}, which is on the way to its own folder",
            evidence=str(own_home),
            remedy=f"Open it with `chmod o+x {closed}`, or keep deployd's data elsewhere (not below /root).",
        )


def _program(service: ServiceRef, program: str, cwd: Path, path: str, user: int | None) -> Iterable[Reason]:
    """Whether it can be executed by whom it will run as."""
    code, whom = "PROGRAM_MISSING", "you" if user is None else "the service's own user"
    if "/" in program:
        file = cwd / program
        if may_execute(file, user):
            return
        if file.is_file():
            what, remedy = (
                f"{file} may not be executed by {whom}",
                f"Make it executable: `chmod +x {program}`.",
            )
            code = "PROGRAM_NOT_EXECUTABLE"
        else:
            what, remedy = (
                f"{program} is not on this machine (looked for {file})",
                "Correct `run:` in deployd.yaml.",
            )
        yield Reason(code, f"{service.service}: {what}", remedy=remedy, key="run")
        return
    folders = [cwd / one for one in path.split(":")]
    if any(may_execute(one / program, user) for one in folders):
        return
    closed = [str(one / program) for one in folders if (one / program).is_file()]
    also = f"{program}3" if any(may_execute(one / f"{program}3", user) for one in folders) else None
    remedy = f"Install `{program}` for all users of this machine, or name another by `run:` in deployd.yaml."
    if also:
        remedy = (
            f"Write `run:` with `{also}`, which is on this machine, in deployd.yaml; or install `{program}`."
        )
    summary = f"{service.service}: `{program}` is not on this machine's PATH for {whom}"
    if closed:
        code, summary = (
            "PROGRAM_NOT_EXECUTABLE",
            f"{service.service}: {closed[0]} may not be executed by {whom}",
        )
    yield Reason(code, summary, evidence=f"PATH={path}", remedy=remedy, key="run")


def _notes(release: ReleaseSpec) -> Iterable[str]:
    size = release.spec.size
    if size.cpu is not None:
        yield f"The limit of {size.cpu:g} cpu is not enforced for processes."
    if size.memory is not None:
        yield "The limit of memory holds for each of the service's processes, not for their sum."
