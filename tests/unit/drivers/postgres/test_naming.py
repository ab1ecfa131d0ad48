from __future__ import annotations

from urllib.parse import unquote, urlsplit
from uuid import UUID

import pytest

from deployd.drivers.api import ResourceSpec
from deployd.drivers.postgres.naming import name_of, outputs_of

ID = UUID("01989f5e-7a44-7cc0-9d0e-86f21a2b3c4d")


def resource(name: str, password: str = "secret", resource_id: UUID = ID) -> ResourceSpec:
    return ResourceSpec(7, "local", resource_id, name, "postgres", {}, password)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("db", "db_1a2b3c4d"),
        ("cart.db", "cart_db_1a2b3c4d"),
        ("Cart -- DB", "cart_db_1a2b3c4d"),
        ("9lives", "db_9lives_1a2b3c4d"),
        ("pg_main", "db_pg_main_1a2b3c4d"),
        ("pg", "db_pg_1a2b3c4d"),
        ("żółw", "w_1a2b3c4d"),
        ("…", "db_1a2b3c4d"),
        ('"; drop', "drop_1a2b3c4d"),
        ("x" * 80, "x" * 54 + "_1a2b3c4d"),
    ],
)
def test_names_are_readable_and_their_own(name: str, expected: str) -> None:
    made = name_of(resource(name))
    assert made == expected
    assert len(made.encode()) <= 63


def test_ids_of_the_same_moment_give_different_names() -> None:
    later = UUID(int=ID.int + 1)
    assert name_of(resource("db")) != name_of(resource("db", resource_id=later))


def test_the_url_says_the_same_as_the_parts() -> None:
    outputs = outputs_of(resource("db", "p@ss/w:rd%?#"), 25_400)
    url = urlsplit(outputs["url"])
    assert unquote(url.password or "") == outputs["password"] == "p@ss/w:rd%?#"
    assert (url.hostname, str(url.port)) == (outputs["host"], outputs["port"])
    assert (url.username, url.path) == (outputs["username"], f"/{outputs['database']}")
