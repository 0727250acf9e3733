"""Spans: read with OpenTelemetry's own classes, named as the conventions say, without a word of what was said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from freehold.domain.decisions import Outcome
from freehold.domain.response import Usage
from freehold.telemetry.otlp import Span, SpanKind, encode_request, encode_span
from freehold.telemetry.spans import is_sampled, spans_of
from tests.support.receipts import make_attempt, make_receipt, receipt_id, receipts

PROVIDERS = {"small": "llama_cpp", "cloud": "openai"}
SECRET_TEXT = "the patient said"


def decoded(spans):
    body = encode_request(
        map(encode_span, spans), resource=[("service.name", "freehold")], scope="freehold", version="9"
    )
    request = ExportTraceServiceRequest()
    request.ParseFromString(body)
    # Unknown fields would mean that a tag is wrong.
    assert ExportTraceServiceRequest.FromString(body).SerializeToString(deterministic=True)
    return request


def value_of(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(value_of(each) for each in value.array_value.values)
    return getattr(value, kind)


def facts(span):
    return {each.key: value_of(each.value) for each in span.attributes}


def read(receipt):
    (resource,) = decoded(spans_of(receipt, PROVIDERS)).resource_spans
    (scope,) = resource.scope_spans
    return list(scope.spans)


class TestWire:
    def test_a_request_names_its_sender(self):
        (resource,) = decoded(spans_of(make_receipt(), PROVIDERS)).resource_spans
        assert [(each.key, value_of(each.value)) for each in resource.resource.attributes] == [
            ("service.name", "freehold")
        ]
        assert (resource.scope_spans[0].scope.name, resource.scope_spans[0].scope.version) == ("freehold", "9")

    @given(
        st.binary(min_size=16, max_size=16),
        st.binary(min_size=8, max_size=8),
        st.text(st.characters(exclude_categories=("Cs",)), max_size=300),
        st.lists(
            st.tuples(
                st.text(st.characters(exclude_categories=("Cs",)), max_size=20),
                st.text(st.characters(exclude_categories=("Cs",)), max_size=300)
                | st.integers(-(2**63), 2**63 - 1)
                | st.floats(allow_nan=False)
                | st.booleans()
                | st.lists(st.text(st.characters(exclude_categories=("Cs",))), max_size=3).map(tuple),
            ),
            max_size=5,
        ),
        st.integers(0, 2**64 - 1),
        st.booleans(),
    )
    def test_any_span_is_read_back(self, trace_id, span_id, name, attributes, start_ns, failed):
        span = Span(
            trace_id=trace_id,
            span_id=span_id,
            parent_id=b"",
            name=name,
            kind=SpanKind.CLIENT,
            start_unix_ns=start_ns,
            end_unix_ns=start_ns,
            attributes=tuple(attributes),
            failed=failed,
        )
        found = decoded([span]).resource_spans[0].scope_spans[0].spans[0]
        assert (found.trace_id, found.span_id, found.parent_span_id, found.name) == (trace_id, span_id, b"", name)
        assert (found.start_time_unix_nano, found.end_time_unix_nano) == (start_ns, start_ns)
        assert [(each.key, value_of(each.value)) for each in found.attributes] == attributes
        assert found.kind == ProtoSpan.SPAN_KIND_CLIENT
        assert (found.status.code == Status.STATUS_CODE_ERROR) == failed

    def test_a_lone_surrogate_breaks_nothing(self):
        request, _ = read(make_receipt(tenant="a\ud800b"))
        assert facts(request)["freehold.tenant"] == "a?b"


class TestNames:
    def test_an_answer_at_home(self):
        receipt = make_receipt(stream=True)
        request, attempt = read(receipt)
        assert (request.name, request.kind) == ("chat auto", ProtoSpan.SPAN_KIND_SERVER)
        assert facts(request) == {
            "freehold.receipt.id": receipt.id,
            "freehold.tenant": "acme",
            "freehold.route": "auto",
            "freehold.outcome": "complete",
            "freehold.label.level": "internal",
            "freehold.bytes_left": 0,
            "freehold.attempts": 1,
            "freehold.deployment": "small",
            "freehold.zone": "device",
            "freehold.client_request_id": "mine-1",
        }
        assert (attempt.name, attempt.kind) == ("chat smollm2", ProtoSpan.SPAN_KIND_CLIENT)
        assert facts(attempt) == {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "llama_cpp",
            "gen_ai.request.model": "smollm2",
            "gen_ai.request.stream": True,
            "gen_ai.usage.input_tokens": 20,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.usage.cache_read.input_tokens": 4,
            "gen_ai.response.model": "smollm2",
            "gen_ai.response.finish_reasons": ("stop",),
            "gen_ai.response.time_to_first_chunk": 0.02,
            "freehold.deployment": "small",
            "freehold.zone": "device",
            "freehold.label.level": "internal",
            "freehold.outcome": "complete",
            "freehold.queue_s": 0.0005,
            "freehold.bytes_left": 0,
            "freehold.confidence.status": "calibrated",
            "freehold.confidence": 0.91,
            "freehold.verdict": "accept",
            "freehold.verdict.reason": "confident",
            "freehold.cost.micros": 12,
            "freehold.cost.currency": "USD",
        }

    def test_times_are_those_of_the_receipt(self):
        request, attempt = read(make_receipt(created_unix_ms=1_000, total_ms=72.25))
        assert (request.start_time_unix_nano, request.end_time_unix_nano) == (1_000_000_000, 1_072_250_000)
        assert (attempt.start_time_unix_nano, attempt.end_time_unix_nano) == (1_001_000_000, 1_071_000_000)

    def test_a_failure(self):
        failed = make_attempt(outcome=Outcome.FAILED, error_code="FH-UPSTREAM-001", finish_reason=None, verdict=None)
        request, attempt = read(
            make_receipt(outcome=Outcome.FAILED, answered_index=None, attempts=(failed,), error_code="FH-UPSTREAM-001")
        )
        for span in (request, attempt):
            assert facts(span)["error.type"] == "FH-UPSTREAM-001"
            assert span.status.code == Status.STATUS_CODE_ERROR
        assert "gen_ai.response.model" not in facts(attempt)
        assert "freehold.deployment" not in facts(request)

    def test_a_refusal_is_the_clients_matter_and_no_failure(self):
        (request,) = read(
            make_receipt(
                attempts=(), answered_index=None, outcome=Outcome.REFUSED, error_code="FH-POLICY-001", route=""
            )
        )
        assert request.name == "chat"
        assert request.status.code == Status.STATUS_CODE_UNSET
        assert facts(request)["error.type"] == "FH-POLICY-001"

    @pytest.mark.parametrize(("task", "name"), [("completion", "text_completion"), ("embedding", "embeddings")])
    def test_operations_have_the_conventions_names(self, task, name):
        request, attempt = read(make_receipt(task=task))
        assert request.name == f"{name} auto"
        assert facts(attempt)["gen_ai.operation.name"] == name

    def test_estimates_say_so(self):
        _, attempt = read(make_receipt(attempts=(make_attempt(usage=Usage(input_tokens=3, measured=False)),)))
        assert facts(attempt)["freehold.usage.measured"] is False

    def test_nothing_that_anybody_wrote_is_in_a_span(self):
        attempt = make_attempt(error_message=SECRET_TEXT, error_code="FH-UPSTREAM-002", outcome=Outcome.FAILED)
        receipt = make_receipt(model_asked=SECRET_TEXT, attempts=(attempt,))
        assert SECRET_TEXT not in str(decoded(spans_of(receipt, PROVIDERS)))

    @given(receipts())
    def test_any_receipt_has_spans(self, receipt):
        found = read(receipt)
        assert is_sampled(receipt, 1.0)
        assert len(found) == 1 + len(receipt.attempts)
        assert len({span.span_id for span in found}) == len(found)
        for span in found:
            assert span.end_time_unix_nano >= span.start_time_unix_nano


class TestTraces:
    def test_a_clients_trace_goes_on(self):
        request, attempt = read(make_receipt())
        assert request.trace_id.hex() == attempt.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
        assert request.parent_span_id.hex() == "b7ad6b7169203331"
        assert attempt.parent_span_id == request.span_id

    def test_a_trace_of_our_own_is_found_by_the_receipts_id(self):
        receipt = make_receipt(traceparent="")
        request, attempt = read(receipt)
        assert request.trace_id.hex() == receipt.id.replace("-", "")
        assert request.parent_span_id == b""
        assert len({request.span_id, attempt.span_id}) == 2

    def test_a_trace_context_that_is_none_and_a_foreign_id_break_nothing(self):
        request, _ = read(make_receipt(traceparent="00-zz", id="req-1"))
        assert len(request.trace_id) == 16
        assert request.parent_span_id == b""
        assert is_sampled(make_receipt(traceparent="00-zz", id="req-1"), 1.0)

    def test_a_clients_choice_is_kept(self):
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"
        assert is_sampled(make_receipt(traceparent=trace + "01"), 0.0)
        assert not is_sampled(make_receipt(traceparent=trace + "00"), 1.0)

    def test_a_share_is_a_share(self):
        import random
        from uuid import UUID

        chance = random.Random(7)
        ids = [str(UUID(int=chance.getrandbits(128))) for _ in range(10_000)]
        sampled = sum(is_sampled(make_receipt(traceparent="", id=each), 0.1) for each in ids)
        assert 900 < sampled < 1_100
        assert is_sampled(make_receipt(traceparent="", id=receipt_id(1)), 1.0)
        assert not is_sampled(make_receipt(traceparent="", id=receipt_id(1)), 0.0)
