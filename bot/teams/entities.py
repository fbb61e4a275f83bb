"""What an activity carries besides its text. msrest sends only what a class lists in its attribute map."""

from __future__ import annotations

from typing import Any

from botbuilder.schema import Entity


class MessageEntity(Entity):  # type: ignore[misc]
    """The schema.org message that labels a text as generated and holds its citations.

    A plain `Entity` would be sent with its `type` only.
    """

    _attribute_map = {  # noqa: RUF012 - msrest reads it from the class
        "type": {"key": "type", "type": "str"},
        "schema_type": {"key": "@type", "type": "str"},
        "schema_context": {"key": "@context", "type": "str"},
        "additional_type": {"key": "additionalType", "type": "[str]"},
        "citation": {"key": "citation", "type": "[object]"},
    }

    def __init__(self, citations: list[dict[str, Any]]) -> None:
        super().__init__(type="https://schema.org/Message")
        self.schema_type = "Message"
        self.schema_context = "https://schema.org"
        self.additional_type = ["AIGeneratedContent"]
        self.citation = citations or None


class StreamInfo(Entity):  # type: ignore[misc]
    """Says which part of which stream an activity is."""

    _attribute_map = {  # noqa: RUF012 - msrest reads it from the class
        "type": {"key": "type", "type": "str"},
        "stream_type": {"key": "streamType", "type": "str"},
        "stream_sequence": {"key": "streamSequence", "type": "int"},
        "stream_id": {"key": "streamId", "type": "str"},
    }

    def __init__(self, stream_type: str, stream_id: str | None, sequence: int | None) -> None:
        super().__init__(type="streaminfo")
        self.stream_type = stream_type
        self.stream_id = stream_id
        self.stream_sequence = sequence
