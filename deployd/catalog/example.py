"""How a developer asks for something: a whole deployd.yaml, as it stands."""

from __future__ import annotations

import json
import re

from deployd.model.definition import Definition

__all__ = ["example"]

_OTHER = re.compile(r"[^a-z0-9]+")
_LONGEST = 40


def example(definition: Definition) -> str:
    """A manifest with one service that asks for this, says every parameter, and refers to every output.

    JSON's texts and numbers are YAML's; nothing else has to be quoted.
    """
    key = _OTHER.sub("-", definition.type.lower()).strip("-")[:_LONGEST].strip("-")
    key = key if key[:1].isalpha() else f"r-{key}"[:_LONGEST].strip("-")
    lines = ["deployd: 1", "services:", "  app:", "    build: .", "    resources:"]
    if definition.params:
        lines += [f"      {key}:", f"        slug: {json.dumps(definition.slug)}", "        params:"]
        lines += [f"          {name}: {json.dumps(one.default)}" for name, one in definition.params.items()]
    else:
        lines.append(f"      {key}: {json.dumps(definition.slug)}")
    if definition.outputs:
        lines.append("    env:")
    for output in definition.outputs:
        name = re.sub(r"[^A-Z0-9]", "_", f"{key}_{output}".upper())
        lines.append(f"      {name}: ${{resources.{key}.{output}}}")
    return "\n".join(lines) + "\n"
