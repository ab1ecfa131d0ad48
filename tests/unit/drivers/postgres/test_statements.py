from __future__ import annotations

from dataclasses import replace

from deployd.drivers.postgres.statements import (
    Database,
    Role,
    Wanted,
    create_database,
    database_statements,
    quarrel,
    role_statements,
)
from deployd.drivers.postgres.verifier import verifier

WANTED = Wanted("db_1a2b3c4d", "ours", "hunter2", 20)
ROLE = Role("ours", verifier("hunter2"), 20, login=True)
DATABASE = Database("ours", "db_1a2b3c4d", 20, public=False)


def test_what_is_right_is_left_alone() -> None:
    assert quarrel(WANTED, ROLE, DATABASE) is None
    assert role_statements(WANTED, ROLE) == ()
    assert database_statements(WANTED, DATABASE) == ()


def test_no_statement_has_the_password() -> None:
    made = (
        *role_statements(WANTED, None),
        *role_statements(WANTED, replace(ROLE, verifier=None)),
        create_database(WANTED),
    )
    assert len(made) == 4
    assert "hunter2" not in "".join(made)
    assert "'SCRAM-SHA-256$" in made[0]
    assert made[1] == "comment on role \"db_1a2b3c4d\" is 'ours'"


def test_only_what_is_wrong_is_changed() -> None:
    assert role_statements(WANTED, replace(ROLE, connections=1)) == (
        'alter role "db_1a2b3c4d" login connection limit 20',
    )
    assert database_statements(WANTED, replace(DATABASE, public=True)) == (
        'revoke all on database "db_1a2b3c4d" from public',
    )
    assert len(database_statements(WANTED, Database(None, "deployd", 1, public=True))) == 4


def test_whose_a_name_is() -> None:
    other = replace(ROLE, tag="theirs")
    assert quarrel(WANTED, None, None) is None
    assert quarrel(WANTED, other, None) is not None
    assert quarrel(WANTED, replace(ROLE, tag=None), DATABASE) is not None
    assert quarrel(WANTED, ROLE, replace(DATABASE, tag="theirs")) is not None
    # Between the database's making and its comment deployd may die; its owner is ours.
    assert quarrel(WANTED, ROLE, replace(DATABASE, tag=None)) is None
    assert quarrel(WANTED, None, replace(DATABASE, tag=None)) is not None
    assert quarrel(WANTED, ROLE, replace(DATABASE, tag=None, owner="deployd")) is not None
    # A role that was dropped by hand is made again.
    assert quarrel(WANTED, None, DATABASE) is None


def test_names_and_comments_are_quoted() -> None:
    odd = Wanted('a"b', "it's", "hunter2", 1)
    create, comment = role_statements(odd, None)
    assert create.startswith('create role "a""b" ')
    assert comment == "comment on role \"a\"\"b\" is 'it''s'"
