"""Word, PowerPoint and Excel files, through markitdown."""

from __future__ import annotations

import io
import re
import zipfile
from typing import TYPE_CHECKING

from pipeline.errors import DocumentUnreadable
from pipeline.knowledge.archives import check_archive, open_archive
from pipeline.knowledge.convert import Converted
from pipeline.knowledge.sections import Section, headings, sections

if TYPE_CHECKING:
    from markitdown import DocumentConverter

_ENCRYPTED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""OLE's mark: an encrypted Office file, or one from before 2007."""
_SLIDE = re.compile(r"^<!-- Slide number: (\d+) -->$", re.MULTILINE)
_PICTURE = re.compile(r"!\[(?P<alt>[^\]\n]*)\]\([^)\n]*\)")
_NOTHING = re.compile(r"(?<=\|) ?(?:NaN|NaT|Unnamed: \d+) ?(?=\|)")


def read_docx(data: bytes) -> Converted:
    """Headings, lists and tables as Markdown; pictures as their description."""
    from markitdown.converters import DocxConverter  # noqa: PLC0415  # takes a second to import

    return Converted("", _without_pictures(_convert(data, DocxConverter())))


def read_pptx(data: bytes) -> Converted:
    """Each slide is a section that is linked as `#slide=N`."""
    from markitdown.converters import PptxConverter  # noqa: PLC0415

    text = _without_pictures(_convert(data, PptxConverter()))
    pieces = _SLIDE.split(text)
    slides = [_slide(int(number), content) for number, content in zip(pieces[1::2], pieces[2::2], strict=True)]
    title = next((slide.path[0] for slide in slides if not slide.path[0].startswith("Slide ")), "")
    return Converted(title, _SLIDE.sub("", text), tuple(slide for slide in slides if slide.text))


def read_xlsx(data: bytes) -> Converted:
    """Each sheet is a section with a table; empty cells are empty."""
    from markitdown.converters import XlsxConverter  # noqa: PLC0415

    text = _NOTHING.sub(" ", _convert(data, XlsxConverter()))
    found = tuple(Section(part.path, None, part.text) for part in sections(text))
    return Converted("", text, found)


def _convert(data: bytes, converter: DocumentConverter) -> str:
    from markitdown import StreamInfo  # noqa: PLC0415

    if data.startswith(_ENCRYPTED):
        raise DocumentUnreadable("password-protected, or in the format of before 2007: save it without, in today's")
    with open_archive(io.BytesIO(data)) as archive:
        check_archive(archive)
    try:
        return converter.convert(io.BytesIO(data), StreamInfo()).markdown
    except (KeyError, ValueError, AttributeError, TypeError, zipfile.BadZipFile, RecursionError) as exc:
        raise DocumentUnreadable(f"damaged: it cannot be converted ({type(exc).__name__})") from exc


def _slide(number: int, content: str) -> Section:
    first = next(iter(headings(content)), None)
    if first is None:
        return Section((f"Slide {number}",), f"slide={number}", content.strip())
    lines = content.split("\n")
    text = "\n".join([*lines[: first.start], *lines[first.end :]]).strip()
    return Section((first.text or f"Slide {number}",), f"slide={number}", text or first.text)


def _without_pictures(text: str) -> str:
    """Pictures embedded as data would fill passages with noise: what stays is what they are said to show."""
    return _PICTURE.sub(lambda picture: picture["alt"], text)
