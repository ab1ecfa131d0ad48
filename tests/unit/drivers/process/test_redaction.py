"""What a program writes loses its secrets, in every form and however it arrives."""

from __future__ import annotations

import base64
import json
import os
from urllib.parse import quote, quote_plus

import pytest

from deployd.drivers.process.shim.files import LINE_BYTES, Stream
from deployd.drivers.process.shim.handed import Handed, handed_text, take
from deployd.drivers.process.shim.redaction import Redaction

VALUE = "p4ss/w+rd \"ü\" & 'more'?"
PEM = "-----BEGIN KEY-----\r\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----\n"


def redact(text: str, **values: str) -> str:
    return Redaction(values.items()).text(text)


@pytest.mark.parametrize(
    "form",
    [
        VALUE,
        json.dumps(VALUE),
        json.dumps(VALUE, ensure_ascii=False),
        repr(VALUE),
        quote(VALUE),
        quote(VALUE, safe=""),
        quote(VALUE).lower(),
        quote_plus(VALUE),
        VALUE.encode().hex(),
        base64.b64encode(VALUE.encode()).decode(),
        base64.urlsafe_b64encode(VALUE.encode()).decode(),
        base64.b64encode(b"user:" + VALUE.encode()).decode(),
        base64.b64encode(b"us:" + VALUE.encode() + b"@x").decode(),
        base64.b64encode(b"u:" + VALUE.encode() + b"@host").decode(),
    ],
    ids=["plain", "json", "json8", "repr", "url", "url/", "urllower", "form", "hex", "b64", "b64url", "b64-5",
         "b64-3", "b64-2"],
)  # fmt: skip
def test_every_form_of_a_value_is_replaced(form: str) -> None:
    said = redact(f"before {form} after", pay=VALUE)
    assert "[secret pay]" in said
    assert said.startswith("before ")
    assert said.endswith(" after")
    assert len(said) < len("before  after") + len("[secret pay]") + 16, "only edges of base64 may be left"


def test_values_of_several_lines_go_line_by_line() -> None:
    said = redact(f"k={PEM}|{PEM!r}", key=PEM)
    for part in ("MIIEvQIBADANBg", "kqhkiG9w0BAQEF"):
        assert part not in said


def test_short_values_stay_and_longer_ones_win() -> None:
    assert redact("abcde abcdef", a="abcde", b="abcdef") == "abcde [secret b]"
    assert redact("abcdef-ghi", part="abcdef", whole="abcdef-ghi") == "[secret whole]"
    assert redact("same!!", first="same!!", second="same!!") == "[secret first]"
    assert redact("secret of secrets", x="secret") == "[secret x] of [secret x]s"
    assert redact("nothing") == "nothing"


def test_a_secret_that_arrives_in_pieces_is_found() -> None:
    out, into = os.pipe()
    stream = Stream(out, "o", Redaction([("pay", "canary-value")]))
    os.write(into, b"one canary-va")
    assert stream.read() == []
    os.write(into, b"lue two\ncan")
    assert stream.read() == [b"one [secret pay] two"]
    os.write(into, b"ary-value")
    assert stream.read() == []
    os.close(into)
    assert stream.read() is None
    assert stream.last() == [b"[secret pay]"]
    os.close(out)


@pytest.mark.parametrize("before", range(0, 30, 3))
def test_a_secret_across_the_cut_of_a_line_without_end_is_found(before: int) -> None:
    """Wherever pieces and cuts fall, nothing but the secret is lost."""
    out, into = os.pipe()
    stream = Stream(out, "o", Redaction([("pay", "canary-value")]))
    lines: list[bytes] = []
    content = b"x" * (LINE_BYTES + before) + b"canary-value" + b"y" * (2 * LINE_BYTES) + b"canary-value"
    for at in range(0, len(content), 1000):
        os.write(into, content[at : at + 1000])
        lines += stream.read() or []
    lines += stream.last()
    os.close(into)
    os.close(out)
    assert b"".join(lines) == content.replace(b"canary-value", b"[secret pay]")
    assert max(map(len, lines)) <= LINE_BYTES


def test_what_is_handed_over_comes_whole_or_not_at_all() -> None:
    handed = Handed({"KEY": "x" * 200_000}, [("pay", "ü\n")])
    text = handed_text(handed)
    assert "xxx" not in repr(handed)
    for content in (text, text[:-1], text[:100], b"", b"[]", b'{"env": {}}'):
        out, into = os.pipe()
        if os.fork() == 0:  # pragma: no cover - a writer of its own, since a pipe holds less
            os.close(out)
            rest = content
            while rest:
                rest = rest[os.write(into, rest) :]
            os._exit(0)
        os.close(into)
        try:
            if content == text:
                came = take(out)
                assert (came.env, came.hidden) == (handed.env, handed.hidden)
            else:
                with pytest.raises(ValueError, match="not whole") as caught:
                    take(out)
                assert "xxx" not in str(caught.value)
        finally:
            os.close(out)
            os.wait()
