"""The Messages API (`/v1/chat/completions`) as pure functions: requests out, events and errors in.

TGI, llama.cpp, vLLM and SGLang speak it, each with errors of its own shape; all of them become a `Refusal` here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from text_generation import errors as tgi_errors
from text_generation.types import ChatRequest
from text_generation.types import Message as TgiMessage

from pipeline.errors import ModelRejected
from pipeline.llm import Message, Token
from pipeline.llm.sse import NotAStream

DONE = "[DONE]"
MAX_STOPS = 4
"""TGI's limit."""
MAX_MESSAGE = 300
"""Characters of a server's own words that are passed on."""

_STATUS_OF = {
    tgi_errors.ValidationError: 422,
    tgi_errors.GenerationError: 424,
    tgi_errors.OverloadedError: 429,
    tgi_errors.IncompleteGenerationError: 500,
}
# TGI's chat stream reports every failure as 422; its own words (`InferError` in the router) tell them apart.
_TGI_WORDS = {"Model is overloaded": 429, "Request failed during generation": 424, "Incomplete generation": 500}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A server's error, from an HTTP response or from within a stream."""

    status: int
    """The HTTP status that fits it."""
    message: str
    """The server's own words on one line, at most `MAX_MESSAGE` characters; may be empty."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One event of a stream."""

    text: str
    """May be empty: a role, a special token, the usage."""
    finished: bool
    """True in the event that says why the generation ended."""
    tokens: tuple[Token, ...] = ()
    """With their probabilities, where these were asked for and the server tells them."""


def chat_payload(
    model: str,
    messages: Sequence[Message],
    *,
    max_tokens: int,
    temperature: float,
    stop: Sequence[str],
    extra: Mapping[str, object],
    logprobs: bool = False,
) -> dict[str, object]:
    """The request's body. It never holds null: llama.cpp refuses that. Raises `ModelRejected`."""
    check_request(max_tokens=max_tokens, stop=stop)
    request = ChatRequest(
        model=model,
        messages=[TgiMessage(role=message.role, content=message.content) for message in messages],
        max_tokens=max_tokens,
        temperature=temperature,  # always sent: without it TGI samples, with 0 it is greedy
        stream=True,
    )
    payload: dict[str, object] = request.model_dump(exclude_none=True)
    if stop:
        payload["stop"] = list(stop)
    if logprobs:
        payload |= {"logprobs": True, "top_logprobs": 1}  # llama.cpp would send 20 alternatives for each token
    return payload | dict(extra)


def check_request(*, max_tokens: int, stop: Sequence[str]) -> None:
    """Refuse what no server would take. Raises `ModelRejected`."""
    if max_tokens < 1:
        raise ModelRejected(f"max_tokens is {max_tokens}; it must be at least 1.")
    if len(stop) > MAX_STOPS or not all(stop):
        raise ModelRejected(f"stop must hold at most {MAX_STOPS} strings, none of them empty; it is {list(stop)!r}.")


def parse_event(data: str) -> Chunk | Refusal:
    """One event's data, which is not `DONE`. Raises `NotAStream` for anything that is no chat completion chunk."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise NotAStream("an event that is not JSON") from exc
    if not isinstance(event, dict):
        raise NotAStream("an event that is not a JSON object")
    if event.get("error") or event.get("object") == "error":
        return _refusal(event)
    choices = event.get("choices")
    if choices == []:
        return Chunk("", finished=False)
    match choices:
        case [{"delta": dict() as delta, **choice}, *_]:
            text = delta.get("content") or ""
            if isinstance(text, str):
                return Chunk(text, bool(choice.get("finish_reason")), _tokens(choice.get("logprobs")))
    raise NotAStream("an event that is no chat completion chunk")


def _tokens(logprobs: object) -> tuple[Token, ...]:
    """A chunk's tokens; what is not as it should be is left out: probabilities are no reason to lose an answer."""
    match logprobs:
        case {"content": list() as content}:
            return tuple(
                Token(entry["token"], min(0.0, float(entry["logprob"])))
                for entry in content
                if isinstance(entry, dict)
                and isinstance(entry.get("token"), str)
                and isinstance(entry.get("logprob"), int | float)
            )
    return ()


def parse_refusal(status: int, content_type: str, body: bytes) -> Refusal:
    """The error in an HTTP response: any server's JSON, a proxy's page, or nothing at all."""
    text = body.decode("utf-8", "replace")
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        return Refusal(status, "an HTML page" if content_type == "text/html" else _one_line(text))
    if isinstance(payload, dict):
        return Refusal(status, _refusal(payload).message)
    return Refusal(status, _one_line(text))


def _refusal(payload: Mapping[str, object]) -> Refusal:
    """An error object; its status is 500 where it names none."""
    match payload:
        case {"error": str() as message, "error_type": str()}:  # TGI
            error = tgi_errors.parse_error(0, {"error": message, "error_type": str(payload["error_type"])})
            return Refusal(_STATUS_OF.get(type(error), 500), _one_line(message))
        case {"error": {"message": str() as message, **rest}}:  # TGI's chat stream, llama.cpp, vLLM
            status = rest.get("http_status_code") or rest.get("code")
            status = status if isinstance(status, int) else 500
            told_apart = (known for words, known in _TGI_WORDS.items() if message.startswith(words))
            return Refusal(next(told_apart, status), _one_line(message))
        case {"error": str() as message} | {"message": str() as message} | {"detail": str() as message}:
            return Refusal(500, _one_line(message))
    return Refusal(500, _one_line(json.dumps(payload)))


def _one_line(text: str) -> str:
    words = " ".join(text[: 4 * MAX_MESSAGE].split())
    return words if len(words) <= MAX_MESSAGE else words[:MAX_MESSAGE] + "…"
