"""Server-sent events: bytes in, the data of whole events out. See https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from __future__ import annotations

MAX_EVENT_BYTES = 256 * 1024
"""A token's event is below 1 KiB; a line or event longer than this is no stream of tokens."""


class NotAStream(Exception):
    """The bytes are no server-sent events that a model server would send."""


class SseDecoder:
    """Decodes one stream, cut into chunks anywhere (also within a character or between CR and LF)."""

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._limit = limit
        self._line = bytearray()
        self._data: list[str] = []
        self._data_size = 0

    def feed(self, chunk: bytes) -> list[str]:
        """Return the data of each event that `chunk` completes. Raises `NotAStream`."""
        *lines, rest = chunk.split(b"\n")
        events = []
        for line in lines:
            self._line += line
            self._check_size()
            event = self._take_line(bytes(self._line).removesuffix(b"\r"))
            self._line.clear()
            if event is not None:
                events.append(event)
        self._line += rest
        self._check_size()
        return events

    def _check_size(self) -> None:
        if len(self._line) + self._data_size + len(self._data) > self._limit:
            raise NotAStream(f"an event longer than {self._limit} bytes")

    def _take_line(self, line: bytes) -> str | None:
        """Take one line without its end; return the event's data if the line (an empty one) ends it."""
        if not line:
            data, self._data, self._data_size = self._data, [], 0
            return "\n".join(data) if data else None
        name, _, value = line.partition(b":")  # a comment (a keep-alive) has an empty name
        if name not in (b"data", b"error"):
            return None
        try:
            text = value.decode("utf-8").removeprefix(" ")
        except UnicodeDecodeError as exc:
            raise NotAStream("text that is not UTF-8") from exc
        # Older llama.cpp servers send an error as a field of its own.
        self._data.append(text if name == b"data" else f'{{"error":{text}}}')
        self._data_size += len(line)
        return None
