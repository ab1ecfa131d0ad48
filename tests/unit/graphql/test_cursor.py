from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployd.errors import InputError
from deployd.graphql.cursor import Cursor

# hypothesis wants naive bounds
TIMES = st.datetimes(min_value=datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None), timezones=st.just(UTC))
NUMBERS = st.integers(min_value=0, max_value=2**63 - 1)


@settings(deadline=None)
@given(NUMBERS, NUMBERS, TIMES)
def test_a_cursor_comes_back_as_it_was(world: int, seq: int, at: datetime) -> None:
    cursor = Cursor(world, seq, at)
    assert Cursor.decode(cursor.encode(), world) == cursor


def test_a_moment_is_the_same_in_every_zone() -> None:
    at = datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert Cursor.decode(Cursor(1, 5, at).encode(), 1).at == at


@settings(deadline=None)
@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        Cursor.decode(text, 1)
    assert caught.value.code == "INVALID_INPUT"


@pytest.mark.parametrize(
    "content",
    [
        b"1.2",
        b"1.2.3.4",
        b"1.02.3",
        b"1.-2.3",
        b"1. 2.3",
        b"1.9999999999999999999.3",
        b"1.2.3\n",
        b"\xff",
        b"",
    ],
)
def test_what_encode_never_wrote_is_refused(content: bytes) -> None:
    text = base64.urlsafe_b64encode(content).rstrip(b"=").decode()
    with pytest.raises(InputError):
        Cursor.decode(text, 1)


def test_a_moment_out_of_range_is_refused() -> None:
    text = base64.urlsafe_b64encode(b"1.2.999999999999999999").rstrip(b"=").decode()
    with pytest.raises(InputError):
        Cursor.decode(text, 1)


def test_another_worlds_cursor_is_refused() -> None:
    text = Cursor(1, 5).encode()
    assert Cursor.decode(text, 1).seq == 5
    with pytest.raises(InputError, match="this world"):
        Cursor.decode(text, 2)


def test_padding_is_refused() -> None:
    text = Cursor(1, 5).encode()
    with pytest.raises(InputError):
        Cursor.decode(text + "=" * (-len(text) % 4 or 4), 1)
