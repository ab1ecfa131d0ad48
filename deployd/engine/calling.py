"""Calls of drivers, each limited, counted with its time and what it came to, and told for traces.

Invariant: no call lasts longer than `LIMIT`. Drivers are prompt by their contract; one that hangs must not
hold up a machine in a state without a deadline, such as a service that is watched over.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from deployd.errors import DeploydError, Retryable
from deployd.telemetry.metrics import DRIVER_CALLS
from deployd.telemetry.subject import ACTING
from deployd.telemetry.tracing import Tracer, state_key, trace_of

__all__ = ["LIMIT", "observed"]

LIMIT = 120.0
"""Seconds after which a call that has not returned is given up; it is Retryable."""

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
                answer = await self._limited(method, call, *given, **named)
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

    async def _limited(
        self, method: str, call: Callable[..., Awaitable[object]], *given: object, **named: object
    ) -> object:
        limit = asyncio.timeout(LIMIT)
        try:
            async with limit:
                return await call(*given, **named)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise Retryable(
                f"{self._name} did not answer within {LIMIT:g} seconds when it was asked to {method}",
                remedy="See what it waits for. It is asked again.",
            ) from error

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
