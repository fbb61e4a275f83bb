"""Jupyter notebooks: text and code of the cells, without outputs."""

from __future__ import annotations

import io
import json

from pipeline.errors import DocumentUnreadable
from pipeline.knowledge.convert import Converted
from pipeline.knowledge.encoding import decode


def read_notebook(data: bytes) -> Converted:
    """Text cells as they are, code cells as fenced code, through markitdown."""
    from markitdown import StreamInfo  # noqa: PLC0415  # takes a second to import
    from markitdown.converters import IpynbConverter  # noqa: PLC0415

    text = decode(data)
    try:
        notebook = json.loads(text)
        if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
            raise DocumentUnreadable("no notebook: it has no cells")
        result = IpynbConverter().convert(io.BytesIO(text.encode()), StreamInfo(charset="utf-8"))
    except DocumentUnreadable:
        raise
    except Exception as exc:  # markitdown wraps whatever it meets
        raise DocumentUnreadable(f"damaged: no notebook ({type(exc).__name__})") from exc
    return Converted("", result.markdown)
