"""A machine in a line for people: what it is, and how it stands. Pure."""

from __future__ import annotations

from deployd.model.facts import ChangeFacts, DeploymentFacts, ResourceFacts, ServiceFacts
from deployd.model.machine import Machine
from deployd.model.reason import Subject, SubjectKind
from deployd.model.state import ChangeState, DeploymentState, Health, ResourceState
from deployd.store.moments import Moment

__all__ = ["described", "subject_of"]

_IN_TIME = (DeploymentState.FAILED, DeploymentState.ROLLED_BACK, DeploymentState.CANCELLED)


def subject_of(machine: Machine) -> Subject:
    """The machine, as people ask for it."""
    match machine.facts:
        case ServiceFacts(name=name):
            return Subject(SubjectKind.SERVICE, name)
        case ResourceFacts(name=name):
            return Subject(SubjectKind.RESOURCE, name)
        case DeploymentFacts():
            return Subject(SubjectKind.DEPLOYMENT, str(machine.id))
        case ChangeFacts():
            return Subject(SubjectKind.CHANGE, str(machine.id))


def described(machine: Machine, moment: Moment) -> str:
    """What it is, and how it stands."""
    state = machine.state.replace("_", " ")
    if moment.turn_of is not None:
        state = f"{state}, waits for a turn of {moment.turn_of}"
    match machine.facts:
        case ServiceFacts() as facts:
            return _service(machine, facts)
        case DeploymentFacts() as facts:
            what = {"rollback": "rollback", "retry": "new try"}.get(facts.purpose, "deployment")
            at = ""
            if machine.state in _IN_TIME and moment.worked_in is not None:
                at = f" in {moment.worked_in.replace('_', ' ')}"
            how = {"failed": "failed", "rolled back": "failed"}.get(state, state)
            back = " and was rolled back" if machine.state == DeploymentState.ROLLED_BACK else ""
            return f"{what} of {facts.service}: {how}{at}{back}"
        case ChangeFacts() as facts:
            what = "end of the world" if facts.purpose == "retire" else f"deploy of {facts.source.shown}"
            how = {ChangeState.PARTLY: "done in part"}.get(ChangeState(machine.state), state)
            return f"{what}: {how}; asked for by {facts.requested_by}"
        case ResourceFacts() as facts:
            ready = machine.state == ResourceState.READY
            return f"resource {facts.name} ({facts.slug}): {facts.health.value.lower() if ready else state}"


def _service(machine: Machine, facts: ServiceFacts) -> str:
    if facts.suspended:
        return f"service {facts.name}: suspended"
    if facts.serving is None:
        return f"service {facts.name}: {'deploying' if facts.current else 'serves nothing'}"
    if facts.schedule is not None and facts.health is Health.HEALTHY:
        return f"service {facts.name}: healthy, runs at `{facts.schedule}`"
    deploying = ", a deployment is under way" if facts.current else ""
    return f"service {facts.name}: {facts.health.value.lower()}{deploying}"
