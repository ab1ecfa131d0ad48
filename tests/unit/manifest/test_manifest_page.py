"""The generated pages say what the reader does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from deployd.manifest import jsonschema, page, parse
from deployd.manifest.schema import TOP
from deployd.manifest.service import SERVICE_KEYS

DOCS = Path(__file__).parents[3] / "docs"


def test_every_example_of_the_page_is_right() -> None:
    examples = re.findall(r"^```yaml\n(.*?)^```$", page.page(), re.MULTILINE | re.DOTALL)
    assert len(examples) > len(SERVICE_KEYS)
    for example in examples:
        whole = "deployd: 1" in example
        body = "".join(f"  {line}\n" for line in example.splitlines())
        assert parse(example if whole else f"deployd: 1\nservice:\n  name: hello\n{body}").services


def test_every_key_is_there_with_an_example_that_shows_it() -> None:
    text = page.page()
    for name, key in {**TOP, **SERVICE_KEYS}.items():
        assert f"\n### {name}\n" in text
        assert re.search(rf"^{name}:", key.example, re.MULTILINE)


@pytest.mark.parametrize(
    ("main", "file"), [(jsonschema.main, "deployd.schema.json"), (page.main, "manifest.md")]
)
def test_the_pages_are_current(
    main: object, file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(main)
    assert main(["--check", str(DOCS / file)]) == 0
    (tmp_path / file).write_text("old")
    assert main(["--check", str(tmp_path / file)]) == 1
    assert "run `make docs`" in capsys.readouterr().err
    assert main([]) == 0
    assert capsys.readouterr().out == (DOCS / file).read_text(encoding="utf-8")


def test_the_published_schema_names_every_key() -> None:
    schema = json.loads((DOCS / "deployd.schema.json").read_text(encoding="utf-8"))
    assert list(schema["$defs"]["service"]["properties"]) == list(SERVICE_KEYS)
    assert list(schema["$defs"]["override"]["properties"]) == list(SERVICE_KEYS)
    assert schema["$defs"]["override"]["properties"]["build"]["description"].startswith("The folder with")
