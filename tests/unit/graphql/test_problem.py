from __future__ import annotations

import logging

import pytest
from graphql import GraphQLError

from deployd.errors import Conflict, Forbidden, InputError, NotFound, PostgresUnavailable, StoreError
from deployd.graphql.problem import Problem, attempt, explain, or_none, parse_id, take


def explained(cause: Exception | None, message: str = "text of the exception") -> GraphQLError:
    error = GraphQLError(message, original_error=cause)
    explain(error)
    return error


def test_an_error_on_purpose_is_told_with_its_code_and_remedy() -> None:
    error = explained(Forbidden("no", remedy="Ask."))
    assert (error.message, error.extensions) == ("no", {"code": "FORBIDDEN", "remedy": "Ask."})


def test_where_postgres_is_does_not_leave() -> None:
    error = explained(PostgresUnavailable("Postgres does not answer", evidence="host db.internal"))
    assert error.extensions == {"code": "POSTGRES_UNAVAILABLE", "remedy": ""}
    assert "internal" not in str(error.formatted)


@pytest.mark.parametrize("cause", [KeyError("secret"), StoreError("secret"), ZeroDivisionError("secret")])
def test_any_other_error_is_masked_under_an_id_that_the_log_has(
    cause: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        error = explained(cause, "secret")
    assert "secret" not in str(error.formatted)
    assert error.message == "internal error"
    assert error.extensions is not None
    assert error.extensions["code"] == "INTERNAL"
    assert error.extensions["id"] in caplog.text
    assert "secret" in caplog.text


def test_a_wrong_document_is_the_callers_mistake() -> None:
    assert explained(None, "Unknown field").message == "Unknown field"
    assert explained(None).extensions == {"code": "BAD_REQUEST"}
    assert explained(RecursionError()).extensions == {"code": "BAD_REQUEST"}


async def test_attempts_answer_problems_but_not_refusals() -> None:
    async def where(_: InputError) -> list[str]:
        return ["input", "key"]

    async def fail(error: Exception) -> str:
        raise error

    problem = await attempt(fail(Conflict("taken", remedy="r", evidence="e")), where)
    assert problem == Problem(
        code="CONFLICT", message="taken", remedy="r", evidence="e", path=["input", "key"]
    )
    with pytest.raises(Forbidden):
        await attempt(fail(Forbidden()), where)
    with pytest.raises(PostgresUnavailable):
        await attempt(fail(PostgresUnavailable()), where)
    assert await or_none(fail(NotFound())) is None
    with pytest.raises(Conflict):
        await or_none(fail(Conflict()))


def test_ids_and_sizes_are_checked() -> None:
    assert str(parse_id("0196b0a0-0000-7000-8000-000000000000")) == "0196b0a0-0000-7000-8000-000000000000"
    with pytest.raises(InputError, match="'nothing' is no id"):
        parse_id("nothing")
    assert (take(1, 5), take(5, 5)) == (1, 5)
    for size in (0, 6, -1):
        with pytest.raises(InputError):
            take(size, 5)
