"""docs/manifest.md, the reference of deployd.yaml, from the same facts as the reader and the JSON Schema."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import fill

from deployd.manifest.schema import TOP
from deployd.manifest.service import SERVICE_KEYS
from deployd.manifest.shape import Either, Items, Key, Record, Shape, Table

__all__ = ["page"]

WIDTH = 110
"""Characters of a line of prose."""

PREFACE = """\
# deployd.yaml

What a developer writes beside the code: which services there are, and what they need. The smallest one
describes a service whose `Dockerfile` is in the same folder:

```yaml
deployd: 1
service:
  name: hello
  port: 8080
  health: /healthz
```

This is a larger one, for a repository of several services:

```yaml
deployd: 1
services:
  cart:
    build: services/cart
    port: 8080
    health: /healthz
    scale: 2
    size: {cpu: 0.5, memory: 256Mi}
    env:
      LOG_LEVEL: info
      DATABASE_URL: ${resources.db.url}
      PAYMENT_KEY: ${secrets.payment}
    resources:
      db: postgres
    requires: [catalog]
    before: python3 -m cart.migrate
    rollout: canary
    routes:
      - {host: shop.example.com, path: /cart}
  catalog:
    build: services/catalog
    port: 8080
  clean:
    build: services/clean
    schedule: '0 3 * * *'
worlds:
  production:
    services:
      cart:
        scale: {min: 3, max: 10}
        env: {LOG_LEVEL: warning}
```

The file is strict. A key that is not on this page is refused, and the one that was probably meant is named;
keys that begin with `x-` are left to other programs, at every level. All problems are told at once:

    deployd.yaml:7:5: services.cart.prot: is an unknown key, would be `port`

Editors complete and check it by the JSON Schema in `docs/deployd.schema.json`, for example with
this first line:

```yaml
# yaml-language-server: $schema=docs/deployd.schema.json
deployd: 1
service: {name: hello}
```

This page is generated from the same facts as the schema by `make docs`.

## Where the file is

- **At the root of the repository**, with `service:` for its one service or `services:` for several. Then no
  other file counts.
- **Beside each service**, where there is none at the root: every `deployd.yaml` below counts, each with
  `service:` or `services:`. Paths in it are relative to its own folder, and names differ within the
  repository. Folders named `.git`, `node_modules` and `.venv` are not searched.

`deployd.yml` is as good a name; both in one folder are one too many.

## The file
"""

SERVICE = """\
## A service

Below `services:` the key is the service's name; below `service:` its `name` is required. Names have at most
40 characters: lower-case letters, digits and inner hyphens, a letter first. Nothing else is required. Where a
key takes a mapping, a table lists the mapping's keys. Each example shows lines of a service.
"""

AFTER = """\
## References

Values of `env` may refer to what is known only in a world:

| reference | what it stands for |
| --- | --- |
| `${resources.NAME.OUTPUT}` | an output of one of the service's `resources`, as its slug defines it |
| `${services.NAME.url}` | the address of a service in the same world; also `.host` and `.port` |
| `${secrets.NAME}` | a secret of the world, set by `deployd secret set NAME` |
| `$${` | a literal `${`; every other `$` is itself |

A reference may stand anywhere in a value, and a value may have several:

```yaml
env:
  DSN: ${resources.db.url}?application_name=cart
  GREETING: costs $5 and $${not a reference}
resources:
  db: postgres
```

## Worlds

An entry of `worlds:` says what differs in the world of that name. Its services have the same keys, and what
is said there is laid over what the service says of itself:

- **Mappings merge key by key**, at every depth. Over a short form, a mapping is laid over the mapping that is
  meant: over `health: /healthz`, `health: {timeout: 2m}` keeps the path.
- **Everything else replaces**: numbers, text and lists, and a short form that is laid over a mapping.

A service that the file does not have is refused there, and so is what contradicts what it is laid over,
such as a `schedule` for a service with a `port`. All worlds are checked, whichever is deployed to.

```yaml
deployd: 1
service:
  name: hello
  port: 8080
  health: /healthz
  env: {LOG_LEVEL: info, REGION: eu}
worlds:
  production:
    service:
      health: {timeout: 2m}
      env: {LOG_LEVEL: warning}
```

In a file with `service:`, a world may say `service:` too, or name it below `services:`.
"""


def page() -> str:
    """The whole page."""
    parts = [PREFACE, *keys(TOP), SERVICE, *keys(SERVICE_KEYS), AFTER]
    return "\n".join(parts)


def keys(known: Mapping[str, Key]) -> Iterator[str]:
    """A section for each key."""
    for name, key in known.items():
        default = f" Default: {key.default}." if key.default else ""
        lines = [f"### {name}\n", fill(key.about + default, WIDTH, break_on_hyphens=False) + "\n"]
        if (inner := record(key.shape)) is not None and inner.title != "world" and name != "service":
            lines += ["| key | | default |", "| --- | --- | --- |"]
            lines += [f"| `{one}` | {fact.about} | {fact.default} |" for one, fact in inner.keys.items()]
            lines.append("")
        if key.example:
            lines.append(f"```yaml\n{key.example}\n```\n")
        yield "\n".join(lines)


def record(shape: Shape) -> Record | None:
    """The mapping with known keys that a value is, or may be, or is made of."""
    match shape:
        case Record(title="service"):
            return None
        case Record():
            return shape
        case Either(options=options):
            return next((found for one in options if (found := record(one)) is not None), None)
        case Table(values=values) | Items(values=values):
            return record(values)
        case _:
            return None


def main(arguments: list[str]) -> int:
    """Print docs/manifest.md; with `--check FILE` say whether FILE is current (exit status 1: it is not)."""
    text = page()
    if arguments[:1] == ["--check"]:
        if Path(arguments[1]).read_text(encoding="utf-8") == text:
            return 0
        sys.stderr.write(f"{arguments[1]} is not what deployd.manifest.schema says: run `make docs`\n")
        return 1
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
