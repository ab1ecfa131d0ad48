from __future__ import annotations

import base64

import pytest

from deployd.drivers.postgres.verifier import fits, verifier

# Of the conversation in RFC 7677, section 3: user `user`, password `pencil`.
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")


def test_as_the_standard_has_it() -> None:
    made = verifier("pencil", SALT, 4096)
    assert made.startswith("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$")
    # As Postgres itself stores it.
    assert made.endswith(
        "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


def test_each_has_a_salt_of_its_own() -> None:
    one, other = verifier("pencil"), verifier("pencil")
    assert one != other
    assert fits(one, "pencil")
    assert fits(other, "pencil")
    assert not fits(one, "pencils")
    assert "pencil" not in one


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "",
        "md5" + "0" * 32,
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==",
        "SCRAM-SHA-256$many:W22ZaJ0SNY7soEsUEjb6gQ==$a:b",
        "SCRAM-SHA-256$4096:no base64$a:b",
        "OTHER$4096:W22ZaJ0SNY7soEsUEjb6gQ==$a:b",
    ],
)
def test_what_is_no_verifier_fits_nothing(stored: str | None) -> None:
    assert not fits(stored, "pencil")
