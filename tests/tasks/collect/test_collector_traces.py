"""The collector as an application meets it that OpenTelemetry instruments: real exports to a real server."""

import json

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from storage.snapshot import digest
from tests.tasks.collect.collectors import collected
from tests.tasks.collect.samples import SPAN

PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.mark.parametrize("compression", [Compression.Gzip, Compression.NoCompression])
def test_an_application_that_opentelemetry_instruments_only_points_its_exporter_here(sender, lake, compression):
    provider = TracerProvider()
    address = f"{sender.base_url}/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(address, compression=compression)))
    tracer = provider.get_tracer("app")
    asked = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Where is the key?"}]}])
    said = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "Under the mat."}]}])
    with tracer.start_as_current_span("GET /chat"), tracer.start_as_current_span("chat m") as span:
        attributes = {"gen_ai.operation.name": "chat", "gen_ai.input.messages": asked, "gen_ai.output.messages": said}
        span.set_attributes({**attributes, "gen_ai.response.id": "r1", "user.id": "u1", "tags": ["a", "b"]})
        span.add_event("gen_ai.evaluation.result", {"gen_ai.evaluation.score.value": 0.75})
        place = f"{span.context.trace_id:032x}/{span.context.span_id:016x}"
    assert provider.force_flush()
    provider.shutdown()
    (row,) = collected(lake)
    assert [turn["content"] for turn in row["messages"]] == ["Where is the key?", "Under the mat."]
    assert row["id"] == digest("http", "r1")
    (rating,) = collected(lake, "feedback")
    assert (rating["kind"], rating["value"], rating["target_id"]) == ("rating", 0.75, row["id"])
    assert json.loads(row["metadata"])["also"] == [digest("http", place)]
    assert 'records_total{outcome="ignored",route="traces"} 1.0' in sender.get("/metrics").text


SILENT = {**SPAN, "spanId": "eee19b7ec3c1b175", "attributes": SPAN["attributes"][:2], "events": []}


def test_traces_in_json_say_how_many_spans_were_rejected(sender, lake):
    request = {"resourceSpans": [{"scopeSpans": [{"spans": [SPAN, SILENT, {"name": "GET /", "attributes": []}]}]}]}
    answer = sender.post("/v1/traces", json=request)
    assert answer.status_code == 200
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedSpans"] == "1"
    assert "does not capture content" in partial["errorMessage"]
    request["resourceSpans"][0]["scopeSpans"][0]["spans"] = [SPAN]
    assert sender.post("/v1/traces", json=request).json() == {}
    assert len(collected(lake)) == 1
    assert sender.post("/v1/traces", json={"resourceSpans": 3}).status_code == 400


def test_traces_in_protobuf_are_answered_in_protobuf(sender):
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    span.attributes.add(key="gen_ai.operation.name").value.string_value = "chat"
    answer = sender.post("/v1/traces", content=request.SerializeToString(), headers=PROTOBUF)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-protobuf")
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert partial.rejected_spans == 1
    assert "does not capture content" in partial.error_message
    broken = sender.post("/v1/traces", content=b"\xff\xff", headers=PROTOBUF)
    assert broken.status_code == 400
    assert "protobuf" in Status.FromString(broken.content).message
    assert sender.post("/v1/traces", content=b"", headers={"content-type": "text/plain"}).status_code == 415
