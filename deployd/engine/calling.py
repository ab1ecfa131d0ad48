"""Calls of drivers, each counted with its time and what it came to, and told to whoever makes traces."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from deployd.errors import DeploydError
from deployd.telemetry.metrics import DRIVER_CALLS
from deployd.telemetry.subject import ACTING
from deployd.telemetry.tracing import Tracer, state_key, trace_of

__all__ = ["observed"]

D = TypeVar("D", bound=object)


def observed(
    driver: D, name: str, tracer: Tracer | None = None, check: Callable[[], None] = lambda: None
) -> D:
    """The driver, behind something that looks on. `name` is the driver's own, as worlds call it.

    `check` is asked right before each call, with nothing awaited in between; what it raises, the call raises.
    It does not pass `isinstance`: ask that of the driver before.
    """
    return cast("D", _Observed(driver, name, tracer, check))


class _Observed:
    def __init__(self, driver: object, name: str, tracer: Tracer | None, check: Callable[[], None]) -> None:
        self._driver, self._name, self._tracer, self._check = driver, name, tracer, check

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._driver, method)
        if not inspect.iscoroutinefunction(found):
            return found
        call = self._observing(method, found)
        setattr(self, method, call)  # for the next time
        return call

    def _observing(
        self, method: str, call: Callable[..., Awaitable[object]]
    ) -> Callable[..., Awaitable[object]]:
        async def observing(*given: object, **named: object) -> object:
            self._check()
            at, begun, outcome = time.time_ns(), time.monotonic_ns(), "cancelled"
            try:
                answer = await call(*given, **named)
                # Done, Wait and Failed are what drivers answer; whatever else comes is an answer as well.
                outcome = type(answer).__name__.lower() if type(answer).__name__ in _ANSWERS else "done"
                return answer
            except DeploydError as error:
                outcome = error.code
                raise
            except Exception:
                outcome = "INTERNAL"
                raise
            finally:
                took = time.monotonic_ns() - begun
                DRIVER_CALLS.observe(took / 1e9, self._name, method, outcome)
                if self._tracer is not None:
                    self._trace(self._tracer, method, outcome, at, took)

        return observing

    def _trace(self, tracer: Tracer, method: str, outcome: str, at: int, took: int) -> None:
        acting = ACTING.get()
        machine = None if acting is None else acting()
        trace = None if machine is None else trace_of(machine)
        if machine is None or trace is None:
            return  # of a service that is watched over: no change, so no trace
        tracer.span(
            f"{self._name} {method}",
            trace=trace,
            parent=state_key(machine.id, machine.state),
            start=at,
            end=at + took,
            attributes={"deployd.driver": self._name, "deployd.outcome": outcome},
            error=outcome if outcome not in ("done", "wait", "cancelled") else None,
        )


_ANSWERS = ("Done", "Wait", "Failed")
