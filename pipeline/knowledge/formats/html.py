"""HTML to Markdown: the page's own text, without what surrounds it on every page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import DocumentUnreadable
from pipeline.knowledge.convert import Converted
from pipeline.knowledge.editions import language_tag
from pipeline.knowledge.encoding import decode

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

_NOT_TEXT = ["script", "style", "noscript", "template", "iframe", "object", "svg", "canvas", "form", "dialog"]
_AROUND = ["nav", "header", "footer", "aside"]
_MAIN = ["main", "[role=main]", "article", "#main-content"]
_HEADINGS = ["h1", "h2", "h3", "h4", "h5", "h6"]


def read_html(data: bytes) -> Converted:
    """A page of a website."""
    return html_to_markdown(decode(data, html=True))


def html_to_markdown(html: str) -> Converted:
    """Return the page's Markdown, `<title>` and language.

    Scripts and styles are dropped, and navigation where the page marks it as such. Headings keep the page's own
    anchors as `{#anchor}`. Errors: `DocumentUnreadable`.
    """
    from bs4 import BeautifulSoup  # noqa: PLC0415  # markitdown takes a second to import
    from markitdown.converters import HtmlConverter  # noqa: PLC0415

    try:
        soup = BeautifulSoup(html, "html.parser")
        title = soup.title.get_text(" ", strip=True) if soup.title else ""
        root = soup.find("html")
        language = str(root.get("lang") or "") if root else ""
        if soup.title:
            soup.title.decompose()  # a page without a body would begin with it
        main = _main(soup)
        for tag in main(_NOT_TEXT):
            tag.decompose()
        _mark_anchors(main)
        result = HtmlConverter().convert_string(f"<body>{main.decode()}</body>", code_language_callback=_language)
    except (RecursionError, ValueError, AssertionError) as exc:
        raise DocumentUnreadable(f"the HTML cannot be converted ({type(exc).__name__})") from exc
    return Converted(title, result.markdown, language=language_tag(language))


def _main(soup: BeautifulSoup) -> Tag:
    for selector in _MAIN:
        found = soup.select(selector)
        if len(found) == 1 and found[0].get_text(strip=True):
            return found[0]
    body = soup.body or soup
    for tag in body(_AROUND):
        # an article's own <header> holds its title; what is left out is what has no heading of the page
        if tag.name in {"nav", "footer"} or not tag.find("h1"):
            tag.decompose()
    return body


def _mark_anchors(main: Tag) -> None:
    """Write each heading's id behind it, and drop the `¶` that documentation tools put there."""
    for heading in main(_HEADINGS):
        for link in heading("a"):
            if link.get_text(strip=True) in {"", "¶", "#", "§", "\uf0c1"}:
                if not heading.get("id") and link.get("id"):
                    heading["id"] = link["id"]
                link.decompose()
        anchor = heading.get("id") or _section_id(heading)
        if isinstance(anchor, str) and anchor.strip() and heading.get_text(strip=True):
            heading.append(f" {{#{anchor.strip()}}}")


def _language(code: Tag) -> str:
    """The language of a `<pre>`: `language-x` on it or its code, or Sphinx' `highlight-x` around it."""
    around = [code, *code("code"), *list(code.parents)[:2]]
    names = [name for tag in around for name in tag.get("class") or []]
    found = (name.partition("-")[2] for name in names if name.startswith(("language-", "highlight-")))
    return next((language for language in found if language.isalnum()), "")


def _section_id(heading: Tag) -> str | None:
    """Sphinx puts the id on the section around the heading."""
    parent = heading.parent
    if parent is None or parent.name not in {"section", "div"}:
        return None
    # docutils puts an empty <span> for each further label before the heading
    first = next(
        (child for child in parent.children if getattr(child, "name", None) and child.get_text(strip=True)), None
    )
    anchor = parent.get("id")
    return anchor if first is heading and isinstance(anchor, str) else None
