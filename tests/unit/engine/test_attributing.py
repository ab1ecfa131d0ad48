"""What is raised becomes a reason: under the code of its class, which is in the table."""

from __future__ import annotations

import pytest

from deployd import errors
from deployd.engine.attributing import of_error
from deployd.errors import DeploydError, ManifestError
from deployd.machines import RUNNERS
from deployd.model.code import CODES
from deployd.model.reason import Fault
from deployd.model.state import MachineKind
from deployd.settings import Settings

CLASSES = sorted(
    (one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, DeploydError)),
    key=lambda one: one.__name__,
)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda one: one.__name__)
def test_every_error_becomes_a_reason_of_its_own_code(kind: type[DeploydError]) -> None:
    if kind is ManifestError:
        return
    reason = of_error(kind("no", remedy="do", evidence="seen"), Fault.ERRORED, "planning: ")
    assert (reason.code, reason.summary) == (kind.code, "planning: no")
    assert (reason.remedy, reason.evidence, reason.fault) == ("do", "seen", Fault.ERRORED)
    assert CODES[kind.code].error


def test_the_codes_of_errors_are_these() -> None:
    """Programs compare them: one that goes is a break."""
    assert {one.code for one in CLASSES} == {
        "BASE_UNKNOWN",
        "CONFLICT",
        "CURSOR_EXPIRED",
        "DENIED",
        "DRIVER",
        "ENGINE",
        "ERROR",
        "FORBIDDEN",
        "ILLEGAL_TRANSITION",
        "INVALID_INPUT",
        "INVALID_MANIFEST",
        "LEASE_LOST",
        "MIGRATION",
        "NOT_FOUND",
        "POSTGRES_UNAVAILABLE",
        "RETRYABLE",
        "SECRETS_UNREADABLE",
        "SETTINGS",
        "STORE",
        "TERMINAL",
        "UNAUTHENTICATED",
        "UNSUPPORTED",
    }


def test_a_manifest_says_its_first_place_and_all_of_them() -> None:
    problems = ("deployd.yaml:4:5: services.a.prot: is an unknown key", "deployd.yaml:6:1: x: no")
    reason = of_error(ManifestError(problems), Fault.FAILED)
    assert (reason.code, reason.where) == ("INVALID_MANIFEST", "deployd.yaml:4:5")
    assert reason.summary == "the manifest is wrong: services.a.prot: is an unknown key (and 1 more)"
    assert reason.evidence == "\n".join(problems)


def test_what_nobody_foresaw_is_internal() -> None:
    reason = of_error(ZeroDivisionError("no"), Fault.ERRORED)
    assert (reason.code, reason.summary) == ("INTERNAL", "ZeroDivisionError: no")


def test_a_step_that_the_table_does_not_know() -> None:
    with pytest.raises(DeploydError) as caught:
        RUNNERS[MachineKind.SERVICE].fire("stopped", "idle")
    assert caught.value.code == "ILLEGAL_TRANSITION"


def test_a_setting_that_is_wrong() -> None:
    with pytest.raises(DeploydError) as caught:
        Settings.from_environment({"DEPLOYD_PORT": "far"})
    assert caught.value.code == "SETTINGS"
    assert "DEPLOYD_PORT" in caught.value.message
