"""The sections of one page, each a JSON object in a line of its own."""

from __future__ import annotations

import json
import re

from pipeline.errors import DocumentUnreadable
from pipeline.knowledge.convert import Converted
from pipeline.knowledge.encoding import decode
from pipeline.knowledge.sections import Section


def read_records(data: bytes) -> Converted:
    """Records have `text`, and may have `title` (the page's), `section` (a heading) and `anchor`."""
    found: list[Section] = []
    title = ""
    for line in decode(data).splitlines():
        record = json.loads(line)
        text = str(record.get("text") or "").strip("\n").rstrip()
        title = title or str(record.get("title") or "")
        heading = str(record.get("section") or "")
        anchor = record.get("anchor") or (None if heading == title else _anchor(heading))
        if text.strip():
            found.append(Section((heading,) if heading else (), anchor, text))
    if not found:
        raise DocumentUnreadable("no text in it")
    return Converted(title, "\n\n".join(part.text for part in found), tuple(found))


def _anchor(heading: str) -> str | None:
    """As documentation tools make it; a name such as `ray.data.Dataset` is its own anchor."""
    if " " not in heading and re.fullmatch(r"[\w.:-]+", heading):
        return heading
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-") or None
