"""PDF page by page, so that a citation opens the page: markitdown drops page numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from pipeline.errors import DocumentUnreadable
from pipeline.knowledge.convert import Converted
from pipeline.knowledge.sections import Section

_PAGES = 20_000
_EDGE = 2
"""Lines at the top and the bottom of a page that may be a running head or foot."""
_PASSWORD = 4
"""PDFium's `FPDF_ERR_PASSWORD`."""


def read_pdf(data: bytes) -> Converted:
    """Each page is a section, linked as `#page=N`; running heads, feet and hyphens at line ends are taken out."""
    import pypdfium2 as pdfium  # noqa: PLC0415  # only where there are PDFs

    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as exc:
        if exc.err_code == _PASSWORD:
            raise DocumentUnreadable("password-protected: save it without a password") from exc
        raise DocumentUnreadable("damaged: it cannot be opened as a PDF") from exc
    try:
        if len(document) > _PAGES:
            raise DocumentUnreadable(f"{len(document)} pages; at most {_PAGES} are read: split the file")
        pages = _without_running_lines([_lines(document, number) for number in range(len(document))])
        title = str(document.get_metadata_dict().get("Title") or "")
    finally:
        document.close()
    texts = [_paragraphs(lines) for lines in pages]
    if not any(texts):
        raise DocumentUnreadable("no text in it: it may be scanned; read it with text recognition (OCR) first")
    found = [Section((), f"page={number}", text) for number, text in enumerate(texts, start=1) if text]
    return Converted(title, "\n\n".join(part.text for part in found), tuple(found))


def _lines(document: object, number: int) -> list[str]:
    page = document[number]  # type: ignore[index]  # pypdfium2 has no types
    try:
        text = page.get_textpage()
        try:
            # PDFium joins a divided word and marks where the hyphen was
            content = text.get_text_bounded().translate({0x02: None, 0xFFFE: None})
            return [" ".join(line.split()) for line in content.splitlines()]
        finally:
            text.close()
    finally:
        page.close()


def _without_running_lines(pages: Sequence[Sequence[str]]) -> list[list[str]]:
    """Without lines that stand at the edge of most pages, whatever number they hold."""
    counts = Counter(form for page in pages for form in {_form(line) for line in _edges(page)})
    running = {form for form, count in counts.items() if form and len(pages) > 3 and count > len(pages) * 0.6}
    return [
        [line for at, line in enumerate(page) if not (min(at, len(page) - 1 - at) < _EDGE and _form(line) in running)]
        for page in pages
    ]


def _edges(page: Sequence[str]) -> Iterable[str]:
    return (*page[:_EDGE], *page[-_EDGE:])


def _form(line: str) -> str:
    return "".join("0" if character.isdigit() else character for character in line.strip())


def _paragraphs(lines: Iterable[str]) -> str:
    """Lines joined where a word was divided. Markdown's own characters at a line's start would make headings of text."""
    text = ""
    for line in lines:
        shown = f"\\{line}" if line.startswith(("#", ">", "```", "~~~")) else line
        if text.endswith("-") and text[-2:-1].isalpha() and line[:1].islower():
            text = text[:-1] + line
        else:
            text += ("\n" if text else "") + shown
    return text.strip()
