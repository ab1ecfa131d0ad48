"""The keys of a service: what each may be, what it is for, and how it looks."""

from __future__ import annotations

from collections.abc import Mapping

from deployd.manifest import rule, term
from deployd.manifest.shape import Either, Items, Key, Number, Record, Table, Whole

__all__ = ["EXCLUSIVE", "RULES", "SERVICE_KEYS"]

DAY = 24 * 3600

BUILD = Either(
    "the folder with the Dockerfile, or {context, dockerfile, target, args}",
    (
        term.PATH,
        Record(
            "a mapping with `context`, `dockerfile`, `target` and `args`",
            {
                "context": Key(
                    term.PATH,
                    "The folder that the build sees, relative to this file.",
                    default="the folder of this file",
                ),
                "dockerfile": Key(
                    term.PATH, "The Dockerfile, relative to `context`.", default="`Dockerfile`"
                ),
                "target": Key(term.STAGE, "The stage to build.", default="the last one"),
                "args": Key(
                    Table("a mapping of names to values", term.ARGUMENT_NAME, term.ARGUMENT),
                    "Values of the Dockerfile's `ARG` instructions. No references: the image is the same "
                    "in every world.",
                ),
            },
        ),
    ),
    short="context",
)

HEALTH = Either(
    "an HTTP path such as /healthz, or {path, timeout}",
    (
        term.HTTP_PATH,
        Record(
            "a mapping with `path` and `timeout`",
            {
                "path": Key(
                    term.HTTP_PATH,
                    "An HTTP path that answers with a status from 200 to 399 when the service is well.",
                    default="its first port accepts connections; without ports, it stays up",
                ),
                "timeout": Key(
                    term.time(1, 3600),
                    "How long a new release may take to become healthy: `30s`, `2m`, or a number of seconds.",
                    default="`60s`",
                ),
            },
        ),
    ),
    short="path",
)

SIZE = Record(
    "a mapping such as {cpu: 0.5, memory: 256Mi}",
    {
        "cpu": Key(
            Number("a number of cores from 0.001 to 1024, such as 0.5", 0.001, 1024),
            "Cores.",
            default="as the world decides",
        ),
        "memory": Key(
            term.MEMORY,
            "An amount with its unit: `Ki`, `Mi`, `Gi`, `Ti` (powers of 1024) or `k`, `M`, `G`, `T` "
            "(of 1000).",
            default="as the world decides",
        ),
    },
)

SCALE = Either(
    "a whole number of at least 1, or {min, max}",
    (
        Whole("a whole number of at least 1", 1),
        Record(
            "a mapping such as {min: 2, max: 10}",
            {
                "min": Key(Whole("a whole number of at least 1", 1), "The fewest copies.", default="1"),
                "max": Key(Whole("a whole number of at least 1", 1), "The most copies. Required."),
            },
            required={"max": "the most copies, such as `max: 10`"},
            rules=(rule.highest_is_not_below_lowest,),
        ),
    ),
)

RESOURCE = Either(
    "a slug such as postgres, or {slug, params, shared}",
    (
        term.SLUG,
        Record(
            "a mapping with `slug`, `params` and `shared`",
            {
                "slug": Key(term.SLUG, "What is asked for, by the name that the world has for it. Required."),
                "params": Key(
                    Table("a mapping of parameters to values", term.PARAMETER_NAME, term.PARAMETER),
                    "What the definition behind the slug lets a developer set.",
                    default="the definition's defaults",
                ),
                "shared": Key(
                    term.SHARED_NAME,
                    "A name under which several services have the same resource; they have to ask for it "
                    "with the same slug and params.",
                    default="the resource is the service's own",
                ),
            },
            required={"slug": "what is asked for, such as `slug: postgres`"},
        ),
    ),
    short="slug",
)

BEFORE = Either(
    "a command line such as python3 migrate.py, or {run, timeout}",
    (
        term.COMMAND,
        Record(
            "a mapping with `run` and `timeout`",
            {
                "run": Key(term.COMMAND, "The command line. Required."),
                "timeout": Key(
                    term.time(1, DAY), "How long it may take before it is ended.", default="`10m`"
                ),
            },
            required={"run": "the command line, such as `run: python3 migrate.py`"},
        ),
    ),
    short="run",
)

ROLLOUT = Either(
    "rolling, blue-green, canary or recreate, or {strategy, steps, interval, keep}",
    (
        term.STRATEGY,
        Record(
            "a mapping with `strategy`, `steps`, `interval` and `keep`",
            {
                "strategy": Key(
                    term.STRATEGY,
                    "`rolling` replaces copies one after the other; `blue-green` starts all of the new "
                    "release and then switches; `canary` gives it a rising share of the requests; "
                    "`recreate` ends the old release first. Required.",
                ),
                "steps": Key(
                    Items("a list of percentages such as [10, 50]", term.PERCENTAGE, at_least=1),
                    "Of a canary: the rising percentages of requests that the new release gets before it "
                    "gets all.",
                    default="`[10, 50]`",
                ),
                "interval": Key(
                    term.time(1, DAY), "Of a canary: how long each step is watched.", default="`30s`"
                ),
                "keep": Key(
                    term.time(0, DAY),
                    "Of blue-green: how long the old release runs on after the switch, so that going back "
                    "is immediate.",
                    default="`0s`",
                ),
            },
            required={"strategy": "rolling, blue-green, canary or recreate"},
            rules=(rule.settings_fit_strategy, rule.steps_rise),
        ),
    ),
    short="strategy",
)

ROUTE = Record(
    "a mapping such as {host: shop.example.com, path: /cart}",
    {
        "host": Key(term.HOST, "The host's name that requests ask for, in any case of letters. Required."),
        "path": Key(
            term.ROUTE_PATH,
            "The beginning of the paths that it takes, segment by segment: `/cart` takes `/cart/1`, not "
            "`/carts`.",
            default="`/`",
        ),
        "entrypoint": Key(term.INSTANCE, "The world's entrypoint that takes it in.", default="`entrypoint`"),
        "gate": Key(
            term.GATE,
            "The world's gate (firewall rules) that callers have to pass.",
            default="those of the entrypoint alone",
        ),
    },
    required={"host": "a host's name, such as `host: shop.example.com`"},
)

SERVICE_KEYS: Mapping[str, Key] = {
    "build": Key(
        BUILD,
        "The folder with the Dockerfile, relative to this file; or a mapping. What leads out of the source "
        "tree is refused. Not beside `image`.",
        default="the folder of this file, where there is neither `image` nor `run`",
        example="build:\n  context: services/cart\n  dockerfile: docker/Dockerfile\n  target: production\n"
        "  args: {PYTHON: '3.12'}",
    ),
    "image": Key(
        term.IMAGE,
        "An image that is there already, rather than one that is built.",
        example="image: registry.example.com/shop/cart:1.4\nport: 8080",
    ),
    "run": Key(
        term.COMMAND,
        "The command line, for a shell: where a world runs processes rather than images, and in place of "
        "the image's own command.",
        default="what the Dockerfile says, where a world can follow it faithfully",
        example="run: python3 -m cart",
    ),
    "port": Key(
        term.PORT,
        "The port that the program listens on. deployd may choose another and says in `PORT` which it is. "
        "A worker has none.",
        example="port: 8080",
    ),
    "ports": Key(
        Table(
            "a mapping of names to port numbers, such as {http: 8080}", term.PORT_NAME, term.PORT, at_least=1
        ),
        "Several ports, by name, the one for requests first. `port: 8080` is short for "
        "`ports: {http: 8080}`; not both.",
        example="ports: {http: 8080, grpc: 9090}",
    ),
    "health": Key(
        HEALTH,
        "How it is seen that the service does well: an HTTP path, or a mapping. A release that is not "
        "healthy in time never gets requests.",
        default="its first port accepts connections; without ports, it stays up",
        example="port: 8080\nhealth: {path: /healthz, timeout: 2m}",
    ),
    "size": Key(
        SIZE,
        "What one copy of the service may use.",
        default="as the world decides",
        example="size: {cpu: 0.5, memory: 256Mi}",
    ),
    "scale": Key(
        SCALE,
        "How many copies run: a number, or the range within which the world decides.",
        default="1",
        example="scale: {min: 2, max: 10}",
    ),
    "env": Key(
        Table("a mapping of names to values", term.ENVIRONMENT_NAME, term.TEMPLATE),
        "Environment variables: text, numbers and truth values, as they are written, with "
        "[references](#references). `PORT` and `DEPLOYD_…` are deployd's own.",
        example="env:\n  LOG_LEVEL: info\n  DATABASE_URL: ${resources.db.url}\n"
        "  CATALOG: ${services.catalog.url}\n  KEY: ${secrets.payment}\n  PRICE: $${not a reference}\n"
        "resources:\n  db: postgres",
    ),
    "resources": Key(
        Table("a mapping of names to slugs, such as {db: postgres}", term.RESOURCE_NAME, RESOURCE),
        "The infrastructure that the service needs, by the name that its references have for it: a slug "
        "that the world offers, or a mapping. It is made before the service is released, and outlives it.",
        example="resources:\n  db: postgres\n  orders:\n    slug: postgres-rds-highmem\n"
        "    params: {storage_gb: 100}\n    shared: orders",
    ),
    "requires": Key(
        Items("a list of services such as [catalog]", term.SERVICE_NAME, distinct=True),
        "Services whose addresses it is given, as `CATALOG_URL` for `catalog`. It wires addresses and "
        "never orders deployments: cycles are fine.",
        example="requires: [catalog, payment]",
    ),
    "before": Key(
        BEFORE,
        "A command line that runs once with a new release before it serves; when it fails, so does the "
        "deployment, and the old release serves on.",
        example="before: {run: python3 -m cart.migrate, timeout: 15m}",
    ),
    "rollout": Key(
        ROLLOUT,
        "How a new release takes the place of the old one: a strategy, or a mapping.",
        default="`rolling`",
        example="rollout: {strategy: canary, steps: [5, 25, 50], interval: 2m}",
    ),
    "routes": Key(
        Items("a list of routes such as [{host: shop.example.com, path: /cart}]", ROUTE),
        "The ways in from outside. A host and path leads to one service for each entrypoint.",
        example="port: 8080\nroutes:\n  - {host: shop.example.com, path: /cart, entrypoint: public, "
        "gate: office}",
    ),
    "schedule": Key(
        term.SCHEDULE,
        "Makes the service a job: it runs at these times and ends. Five fields of cron (minute, hour, day, "
        "month, weekday) in UTC. Not beside `port`, `ports`, `health`, `routes` and `rollout`; one copy.",
        example="run: python3 -m cart.clean\nschedule: '0 3 * * *'",
    ),
    "watch": Key(
        Items("a list of patterns such as [libraries/prices/**]", term.WATCHED),
        "Patterns, as in .gitignore and relative to this file, of further files that the service depends "
        "on. Without, a commit touches it when it changes its build context, what its Dockerfile copies, or "
        "what the manifest says of it.",
        example="watch:\n  - libraries/prices/**\n  - '!**/*.md'",
    ),
}

EXCLUSIVE = (
    ("port", "ports"),
    ("build", "image"),
    *(("schedule", key) for key in ("port", "ports", "health", "routes", "rollout")),
)
RULES = (
    rule.build_stays_inside,
    rule.health_needs_port,
    rule.ports_differ,
    rule.routes_need_port,
    rule.job_runs_once,
    rule.watch_stays_inside,
)
