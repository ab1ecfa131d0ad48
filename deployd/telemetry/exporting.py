"""Traces by OpenTelemetry's SDK, switched on by its own environment: OTEL_EXPORTER_OTLP_ENDPOINT and others.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING
from uuid import UUID

from deployd import __version__
from deployd.telemetry.subject import Asking
from deployd.telemetry.tracing import span_id

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import SpanContext

__all__ = ["Exporter", "exporter_of"]

_log = logging.getLogger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def exporter_of(environ: Mapping[str, str]) -> Exporter | None:
    """What the environment asks for; None where it asks for nothing, or for what is not installed."""
    kind = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or kind == "none":
        return None
    if not kind and not any(environ.get(one) for one in _ENDPOINTS):
        return None
    if kind not in ("", "otlp", "console"):
        _log.warning(
            "traces: OTEL_TRACES_EXPORTER is %r, which is not known; use otlp, console or none", kind
        )
        return None
    protocol = next((environ[one] for one in _PROTOCOLS if environ.get(one)), "http/protobuf")
    if kind != "console" and protocol != "http/protobuf":
        _log.warning("traces: %s is not spoken here; they are sent by http/protobuf", protocol)
    try:
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

        if kind == "console":
            return Exporter(BatchSpanProcessor(ConsoleSpanExporter()), environ)
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return Exporter(BatchSpanProcessor(OTLPSpanExporter()), environ)
    except ModuleNotFoundError as error:
        _log.warning("traces: %s is not installed; run `pip install 'deployd[otel]'`", error.name)
        return None


class Exporter:
    """See deployd.telemetry.tracing.Tracer. For one thread; what it is told is sent by another."""

    def __init__(self, processor: SpanProcessor, environ: Mapping[str, str]) -> None:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

        class Ids(RandomIdGenerator):
            """Random ones, unless the next is known."""

            trace: int | None = None
            span: int | None = None

            def generate_trace_id(self) -> int:
                given, self.trace = self.trace, None
                return super().generate_trace_id() if given is None else given

            def generate_span_id(self) -> int:
                given, self.span = self.span, None
                return super().generate_span_id() if given is None else given

        named = environ.get("OTEL_SERVICE_NAME") or "service.name" in environ.get(
            "OTEL_RESOURCE_ATTRIBUTES", ""
        )
        attributes = {"service.version": __version__} | ({} if named else {"service.name": "deployd"})
        self._trace = trace
        self._ids = Ids()
        self._provider = TracerProvider(
            resource=Resource.create(attributes), id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("deployd", __version__)

    def span(
        self,
        name: str,
        *,
        trace: UUID,
        key: str | None = None,
        parent: str | None,
        start: int,
        end: int,
        attributes: Mapping[str, str | int],
        error: str | None = None,
        link: str | None = None,
    ) -> None:
        """See Tracer."""
        above = (
            None if parent is None else self._context(trace.int, span_id(parent), self._samples(trace.int))
        )
        asked = None if link is None else self._parsed({"traceparent": link})
        self._ids.trace = trace.int if parent is None else None
        self._ids.span = None if key is None else span_id(key)
        self._tell(name, above, start, end, attributes, error, asked)

    def ask(self, headers: Mapping[str, str]) -> Asking:
        """See Tracer."""
        caller = self._parsed(headers)
        new = f"{self._ids.generate_span_id():016x}"
        if caller is not None:
            return Asking(
                f"{caller.trace_id:032x}", new, f"{caller.span_id:016x}", caller.trace_flags.sampled
            )
        trace = self._ids.generate_trace_id()
        return Asking(f"{trace:032x}", new, sampled=self._samples(trace))

    def asked(self, asking: Asking, *, start: int, end: int, status: int) -> None:
        """See Tracer."""
        trace, above = int(asking.trace_id, 16), None
        if asking.parent_id is not None:
            above = self._context(trace, int(asking.parent_id, 16), asking.sampled, remote=True)
        self._ids.trace = trace if above is None else None
        self._ids.span = int(asking.span_id, 16)
        error = f"status {status}" if status >= 500 else None
        attributes = {"http.response.status_code": status}
        self._tell(asking.name, above, start, end, attributes, error, None, server=True)

    def close(self) -> None:
        """Send what is left. Blocks, for as long as its receiver takes."""
        self._provider.shutdown()

    # -- how

    def _tell(
        self,
        name: str,
        above: SpanContext | None,
        start: int,
        end: int,
        attributes: Mapping[str, str | int],
        error: str | None,
        link: SpanContext | None,
        *,
        server: bool = False,
    ) -> None:
        from opentelemetry.context import Context

        trace = self._trace
        context = Context()
        if above is not None:
            context = trace.set_span_in_context(trace.NonRecordingSpan(above), context)
        span = self._tracer.start_span(
            name,
            context=context,
            kind=trace.SpanKind.SERVER if server else trace.SpanKind.INTERNAL,
            attributes=dict(attributes),
            links=[] if link is None else [trace.Link(link)],
            start_time=start,
        )
        self._ids.trace = self._ids.span = None
        if error is not None:
            span.set_status(trace.StatusCode.ERROR, error)
        span.end(max(start, end))

    def _samples(self, trace: int) -> bool:
        """Whether the sampler wants this trace: asked by its id alone, so that all its spans agree."""
        from opentelemetry.sdk.trace.sampling import Decision

        asked = self._provider.sampler.should_sample(None, trace, "change")
        return asked.decision is Decision.RECORD_AND_SAMPLE

    def _context(self, trace: int, span: int, sampled: bool, *, remote: bool = False) -> SpanContext:
        return self._trace.SpanContext(trace, span, remote, self._trace.TraceFlags(sampled))

    def _parsed(self, headers: Mapping[str, str]) -> SpanContext | None:
        """The caller's span, by W3C's Trace Context."""
        from opentelemetry.context import Context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier = {name.lower(): value for name, value in headers.items()}
        found = TraceContextTextMapPropagator().extract(carrier, Context())
        span = self._trace.get_current_span(found).get_span_context()
        return span if span.is_valid else None
