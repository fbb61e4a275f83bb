"""The Messages API's requests, events and errors, as TGI, llama.cpp and vLLM write them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.errors import ModelRejected
from pipeline.llm import Message
from pipeline.llm.sse import NotAStream
from pipeline.llm.wire import Chunk, Refusal, chat_payload, parse_event, parse_refusal


def payload(**changes: Any) -> dict[str, object]:
    arguments: dict[str, Any] = {"max_tokens": 5, "temperature": 0.0, "stop": (), "extra": {}} | changes
    return chat_payload("adapter", [Message("user", "hi")], **arguments)


def test_a_request_names_adapter_and_bounds_and_holds_no_null() -> None:
    assert payload() == {
        "model": "adapter",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 5,
        "temperature": 0.0,
        "stream": True,
    }


def test_stop_strings_and_extra_fields_are_sent_where_there_are_any() -> None:
    sent = payload(stop=["\n\n"], extra={"lora": [{"id": 0, "scale": 1.0}]})
    assert sent["stop"] == ["\n\n"]
    assert sent["lora"] == [{"id": 0, "scale": 1.0}]


@pytest.mark.parametrize("changes", [{"max_tokens": 0}, {"stop": ["a"] * 5}, {"stop": ["a", ""]}])
def test_a_request_that_no_server_takes_is_rejected_before_it_is_sent(changes: dict[str, Any]) -> None:
    with pytest.raises(ModelRejected):
        payload(**changes)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"choices": [{"delta": {"content": "Hi"}, "finish_reason": None}]}, Chunk("Hi", False)),
        ({"choices": [{"delta": {"role": "assistant", "content": None}}], "error": None}, Chunk("", False)),
        ({"choices": [{"delta": {}, "finish_reason": "length"}]}, Chunk("", True)),
        ({"choices": [{"delta": {"content": "!"}, "finish_reason": "stop"}]}, Chunk("!", True)),
        ({"choices": [], "usage": {"completion_tokens": 4}}, Chunk("", False)),
    ],
)
def test_an_event_is_text_or_the_end_or_neither(event: object, expected: Chunk) -> None:
    assert parse_event(json.dumps(event)) == expected


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ({"error": "Model is overloaded", "error_type": "overloaded"}, 429),
        ({"error": "Input validation error: too long", "error_type": "validation"}, 422),
        ({"error": "Request failed during generation: oom", "error_type": "generation"}, 424),
        ({"error": "Incomplete generation", "error_type": "incomplete_generation"}, 500),
        ({"error": "Template error", "error_type": "template_error"}, 500),
        ({"error": {"message": "Input validation error: too long", "http_status_code": 422}}, 422),
        ({"error": {"message": "Model is overloaded", "http_status_code": 422}}, 429),
        ({"error": {"message": "Request failed during generation: oom", "http_status_code": 422}}, 424),
        ({"error": {"message": "Incomplete generation", "http_status_code": 422}}, 500),
        ({"error": {"code": 400, "message": "exceeds the context", "type": "exceed_context_size_error"}}, 400),
        ({"error": {"message": "no slot", "code": "unavailable"}}, 500),
        ({"object": "error", "message": "engine died", "code": 500}, 500),
        ({"error": {"unheard": "of"}}, 500),
    ],
)
def test_an_error_within_the_stream_has_the_status_that_fits_it(event: object, status: int) -> None:
    refusal = parse_event(json.dumps(event))
    assert isinstance(refusal, Refusal)
    assert refusal.status == status
    assert refusal.message


@pytest.mark.parametrize(
    "data",
    [
        "",
        "<html>",
        "[1]",
        "null",
        "5",
        '{"choices": 3}',
        '{"choices": [{"delta": {"content": [1]}}]}',
        "[" * 100_000,
        '{"choices": [{"text": "completion"}]}',
        "{}",
    ],
    ids=lambda data: data[:12],
)
def test_anything_else_is_no_stream(data: str) -> None:
    with pytest.raises(NotAStream):
        parse_event(data)


@pytest.mark.parametrize(
    ("content_type", "body", "message"),
    [
        ("application/json", b'{"error": "too long", "error_type": "validation"}', "too long"),
        ("application/json", b'{"error": {"message": "no slot"}}', "no slot"),
        ("application/json", b'{"detail": "Not Found"}', "Not Found"),
        ("application/json", b"[1, 2]", "[1, 2]"),
        ("text/html", b"<html><h1>502 Bad Gateway</h1>", "an HTML page"),
        ("text/plain", b"upstream\n  connect error", "upstream connect error"),
        ("application/octet-stream", b"", ""),
        ("text/plain", b"x" * 5000, "x" * 300 + "…"),
    ],
)
def test_an_error_response_keeps_its_status_and_the_servers_words(content_type: str, body: bytes, message: str) -> None:
    assert parse_refusal(418, content_type, body) == Refusal(418, message)
