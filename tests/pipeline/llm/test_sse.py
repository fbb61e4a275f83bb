"""Server-sent events arrive in chunks cut anywhere, and not every server keeps to the rules."""

from __future__ import annotations

import pytest

from pipeline.llm.sse import NotAStream, SseDecoder

STREAM = (
    'data: {"text": "Grüße 👩‍👩‍👧"}\r\n\r\n: keep-alive\n\nevent: token\nid: 7\ndata:no space\n\n'
    "data: one\ndata: two\n\ndata: [DONE]\n\n"
).encode()
EVENTS = ['{"text": "Grüße 👩‍👩‍👧"}', "no space", "one\ntwo", "[DONE]"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, len(STREAM)])
def test_chunks_may_be_cut_anywhere(size: int) -> None:
    decoder = SseDecoder()
    chunks = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    assert [event for chunk in chunks for event in decoder.feed(chunk)] == EVENTS


def test_an_event_without_its_blank_line_is_not_passed_on() -> None:
    assert SseDecoder().feed(b"data: half of an ev") == []
    assert SseDecoder().feed(b"data: no blank line\n") == []


def test_comments_and_unknown_fields_alone_are_no_event() -> None:
    assert SseDecoder().feed(b":\n\n: ping\n\nretry: 100\n\n\n\n") == []


def test_an_error_field_of_older_llama_cpp_becomes_an_error_object() -> None:
    assert SseDecoder().feed(b'error: {"code":500,"message":"no slot"}\n\n') == [
        '{"error":{"code":500,"message":"no slot"}}'
    ]


@pytest.mark.parametrize("piece", [b"data: " + b"x" * 50, b"data: 12345\n", b"data:\n", b"y" * 9])
def test_an_endless_event_is_refused(piece: bytes) -> None:
    decoder = SseDecoder(limit=1000)
    with pytest.raises(NotAStream, match="longer than 1000 bytes"):
        list(map(decoder.feed, [piece] * 1001))


def test_text_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(NotAStream, match="UTF-8"):
        SseDecoder().feed(b"data: \xff\xfe\n\n")
