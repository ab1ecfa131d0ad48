import pytest

from deployd.cli.exits import ExitCode
from deployd.cli.progress import Attempt, Progress
from tests.unit.cli.told import CHANGE, DEPLOYMENT, SERVICE, WAY, change, deployment, reason, transition, way


def test_steps_last_as_long_as_the_server_says():
    attempt = Attempt(DEPLOYMENT, "hello")
    for number, one in enumerate(way(*WAY)):
        attempt.take(one, 1000.0 + number * 50)  # whatever our own clock thinks
    assert [step.state for step in attempt.steps] == WAY
    assert [step.seconds for step in attempt.steps] == [1.0] * 7 + [0.0]
    assert attempt.seconds(99_999) == 7.0
    assert attempt.finished


def test_the_present_step_lasts_by_our_clock():
    attempt = Attempt(DEPLOYMENT, "hello")
    attempt.take(way("queued")[0], 50.0)
    assert attempt.seconds(52.5) == 2.5
    assert not attempt.finished


def test_what_failed_is_the_last_step_that_worked_at_it():
    attempt = Attempt(DEPLOYMENT, "hello")
    for one in way("queued", "releasing", "verifying", "rolling_back"):
        attempt.take(one, 0)
    assert attempt.failed_in == "verifying"
    attempt.take(transition(DEPLOYMENT, "rolling_back", "rolled_back", seconds=9), 0)
    assert attempt.failed_in == "verifying"


def test_a_good_end_failed_nowhere():
    attempt = Attempt(DEPLOYMENT, "hello")
    for one in way(*WAY):
        attempt.take(one, 0)
    assert attempt.failed_in is None


def test_it_takes_only_what_concerns_it():
    progress = Progress(Attempt(CHANGE))
    progress.absorb(change("APPLYING", deployment("QUEUED")))
    own = way("queued")[0]
    of_service = transition(SERVICE, "idle", "deploying", kind="SERVICE")
    others = transition("deployment-2", None, "queued", service="service-2")
    assert progress.concerns(own)
    assert progress.concerns(of_service)
    assert progress.concerns(transition(CHANGE, None, "received", kind="CHANGE", service=None))
    assert not progress.concerns(others)
    assert (progress.name_of(own), progress.name_of(of_service)) == ("hello", "hello")


def test_a_snapshot_that_is_ahead_does_not_overtake_the_transitions():
    progress = Progress(Attempt(CHANGE))
    progress.absorb(change("APPLYING", deployment("QUEUED")))
    progress.take(transition(CHANGE, "planning", "applying", kind="CHANGE", service=None), 0)
    progress.absorb(change("DONE", deployment("SUCCEEDED", address="http://127.0.0.1:1")))
    assert not progress.finished
    assert progress.attempts[DEPLOYMENT].address == "http://127.0.0.1:1"
    progress.absorb(change("DONE", deployment("SUCCEEDED")), last=True)
    assert progress.finished


@pytest.mark.parametrize(
    ("state", "ends", "code"),
    [
        ("DONE", ["SUCCEEDED"], ExitCode.DONE),
        ("PARTLY", ["SUCCEEDED", "FAILED"], ExitCode.FAILED),
        ("FAILED", ["ROLLED_BACK"], ExitCode.FAILED),
        ("FAILED", [], ExitCode.FAILED),
        ("CANCELLED", [], ExitCode.CANCELLED),
        ("CANCELLED", ["SUPERSEDED"], ExitCode.CANCELLED),
        ("PARTLY", ["SUCCEEDED", "CANCELLED"], ExitCode.CANCELLED),
        ("FAILED", ["FAILED", "CANCELLED"], ExitCode.FAILED),
    ],
)
def test_what_its_end_means(state: str, ends: list[str], code: ExitCode):
    progress = Progress(Attempt(CHANGE))
    made = [deployment(end, machine=f"d{number}") for number, end in enumerate(ends)]
    progress.absorb(change(state, *made), last=True)
    assert progress.finished
    assert progress.exit_code() == code


def test_each_failure_has_its_own_reason():
    progress = Progress(Attempt(CHANGE))
    for_change = reason("a failed: exited")
    progress.absorb(
        change(
            "FAILED",
            deployment("FAILED", "a", "d1", reason=reason("exited with 1")),
            deployment("ROLLED_BACK", "b", "d2", "s2", reason=reason("not healthy")),
            deployment("SUCCEEDED", "c", "d3", "s3"),
            reason=for_change,
        ),
        last=True,
    )
    told = [(title, why["summary"]) for title, why in progress.failures()]
    assert told == [("a failed", "exited with 1"), ("b failed and was rolled back", "not healthy")]


def test_a_change_that_failed_before_its_deployments_says_why():
    progress = Progress(Attempt(CHANGE))
    progress.absorb(change("FAILED", reason=reason("deployd.yaml:1:1: no")), last=True)
    assert progress.failures() == [("the change failed", reason("deployd.yaml:1:1: no"))]
