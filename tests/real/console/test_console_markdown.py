"""The page's Markdown renderer, in the browser that it is made for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.fakes.web_console import console_with
from tests.fakes.web_store import playing
from tests.real.console.pages import open_page

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]

RENDER = """
async (text) => {
  const { MarkdownView } = await import("/static/markdown.js");
  const box = document.createElement("div");
  const cite = (number) => number < 10 ? Object.assign(document.createElement("sup"), {textContent: number}) : null;
  new MarkdownView(box, {cite}).update(text);
  for (const element of box.querySelectorAll("*")) for (const {name} of [...element.attributes])
    if (!["href", "start", "class"].includes(name) || element.classList.length && name === "class" && !element.matches("[class^=align]"))
      element.removeAttribute(name);
  for (const head of box.querySelectorAll("pre")) head.previousSibling?.remove();
  return box.innerHTML;
}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(chromium: Any) -> AsyncIterator[Any]:
    async with (
        console_with(playing("unused")) as console,
        open_page(chromium, str(console.server.make_url("/"))) as page,
    ):
        yield page


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("# One\n\nTwo", "<h1>One</h1><p>Two</p>"),
        ("Title\n=====\nText", "<h1>Title</h1><p>Text</p>"),
        ("a *b* **c** ***d*** ~~e~~ `f`", "<p>a <em>b</em> <strong>c</strong> <em><strong>d</strong></em> <del>e</del> <code>f</code></p>"),
        ("snake_case_name and 2 * 3 * 4", "<p>snake_case_name and 2 * 3 * 4</p>"),
        ("**open and *never closed", "<p>**open and *never closed</p>"),
        ("`` a ` b `` and `open", "<p><code>a ` b</code> and `open</p>"),
        (r"\*not\* \[1\]", "<p>*not* [1]</p>"),
        ("one  \ntwo\nthree", "<p>one<br>two\nthree</p>"),
        ("- a\n- b\n  - c\n- d", "<ul><li>a</li><li>b<ul><li>c</li></ul></li><li>d</li></ul>"),
        ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
        ("- a\n\n  more\n\n- b", "<ul><li><p>a</p><p>more</p></li><li><p>b</p></li></ul>"),
        ("Text:\n- a\n- b\n\nEnd", "<p>Text:</p><ul><li>a</li><li>b</li></ul><p>End</p>"),
        ("1. a\n   ```\n   code\n   ```\n2. b", "<ol><li>a<div><pre><code>code</code></pre></div></li><li>b</li></ol>"),
        ("> a\n> > b\n\nc", "<blockquote><p>a</p><blockquote><p>b</p></blockquote></blockquote><p>c</p>"),
        ("```\n<b> & [1]\n```", "<div><pre><code>&lt;b&gt; &amp; [1]</code></pre></div>"),
        ("```python\nx = 1\n", "<div><pre><code>x = <span>1</span></code></pre></div>"),
        ("---\n\na\n***", "<hr><p>a</p><hr>"),
        ("a <!-- b\nc", "<p>a &lt;!-- b\nc</p>"),
        ("<!-- hidden\nlines -->\nshown", "<p>shown</p>"),
        ("see [1] and [2, 3] but not [12]", "<p>see <sup>1</sup> and <span><sup>2</sup><sup>3</sup></span> but not [12]</p>"),
    ],
)  # fmt: skip
async def test_it_renders(page: Any, markdown: str, html: str) -> None:
    assert await page.evaluate(RENDER, markdown) == html


async def test_it_renders_tables_with_alignment_code_and_citations(page: Any) -> None:
    table = "| a | b |\n|---|--:|\n| `x|y` | 1 [1] |\n| p\\|q |\n\nafter"
    assert await page.evaluate(RENDER, table) == (
        '<div><table><thead><tr><th>a</th><th class="align-right">b</th></tr></thead><tbody>'
        '<tr><td><code>x|y</code></td><td class="align-right">1 <sup>1</sup></td></tr>'
        '<tr><td>p|q</td><td class="align-right"></td></tr></tbody></table></div><p>after</p>'
    )


@pytest.mark.parametrize(
    ("markdown", "href", "text"),
    [
        ("[docs](https://example.com/a_(b))", "https://example.com/a_(b)", "docs"),
        ("<https://example.com/?a=1&b=2>", "https://example.com/?a=1&b=2", "https://example.com/?a=1&b=2"),
        ("at https://example.com/a.", "https://example.com/a", "https://example.com/a"),
        ("[https://bank.example](https://evil.example/x)", "https://evil.example/x", "https://evil.example/x"),
        ("[bank.example/login](https://evil.example/)", "https://evil.example/", "https://evil.example/"),
        ("[guide.md](https://example.com/guide.md)", "https://example.com/guide.md", "guide.md"),
    ],
)
async def test_a_link_says_where_it_leads(page: Any, markdown: str, href: str, text: str) -> None:
    html = await page.evaluate(RENDER, markdown)
    link = f'<a href="{href}">{text}</a>'.replace("&", "&amp;")
    assert link in html


@pytest.mark.parametrize(
    "markdown",
    [
        "[x](javascript:alert(1))", "[x](JaVaScRiPt:alert(1))", "[x](data:text/html,<script>1</script>)", "[x](//evil.example)",
        "[x](vbscript:x)", "[x](../guides/alerts.md)", "[x](https://user:pass@evil.example/)", "![x](https://evil.example/pixel.png)",
        "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '<a href="javascript:alert(1)">x</a>', "<javascript:alert(1)>",
        "| <img src=x onerror=alert(1)> |\n|---|\n| <svg onload=alert(1)> |", "# <iframe src=x>", "[<img src=x onerror=alert(1)>](x)",
    ],
)  # fmt: skip
async def test_hostile_text_stays_text(page: Any, markdown: str) -> None:
    html = await page.evaluate(RENDER, markdown)
    for tag in ("<a", "<script", "<img", "<svg", "<iframe"):
        assert tag not in html


@pytest.mark.parametrize(
    "text",
    ["*" * 20_000, "[" * 20_000, "`" * 9_999 + " " + "`" * 9_998, "> " * 5_000, "- " * 5_000, "_a " * 9_000, "| " * 9_000,
     "<!--" * 5_000, "[a](" * 5_000, "**a " * 5_000, "- a\n\n" * 5_000, "https://" * 3_000, "`a``b" * 4_000],
)  # fmt: skip
async def test_no_text_keeps_the_page_busy(page: Any, text: str) -> None:
    """Quadratic work would take many seconds at these sizes; the limit is generous for a busy machine."""
    spent = await page.evaluate(
        f"async (text) => {{ const at = performance.now(); await ({RENDER})(text); return performance.now() - at; }}",
        text,
    )
    assert spent < 3_000


async def test_blocks_that_do_not_change_keep_their_elements_while_the_text_grows(page: Any) -> None:
    same = await page.evaluate("""
    async () => {
      const { MarkdownView } = await import("/static/markdown.js");
      const box = document.createElement("div");
      const view = new MarkdownView(box);
      view.update("First.\\n\\nSec");
      const [first, second] = box.children;
      view.update("First.\\n\\nSecond.\\n\\n- third");
      return [box.children[0] === first, box.children[1] === second, box.children.length];
    }
    """)
    assert same == [True, False, 3]


@pytest.mark.parametrize(
    ("lines", "marked"),
    [([2, 4], ["Two\nthree"]), ([4, 4], ["three"]), ([6, 7], ["a", "b"]), ([6, 10], ["a\nb\nc", "four"]), ([7, 10], ["b", "c", "four"])],
)  # fmt: skip
async def test_a_passage_is_highlighted_by_its_lines(page: Any, lines: list[int], marked: list[str]) -> None:
    found = await page.evaluate(
        """
    async ([from, to]) => {
      const { MarkdownView, highlight } = await import("/static/markdown.js");
      const box = document.createElement("div");
      document.body.append(box);
      new MarkdownView(box).update("One\\n\\nTwo\\n\\nthree\\n\\n- a\\n- b\\n- c\\n\\nfour\\n\\nfive");
      highlight(box, from, to);
      const found = [...box.querySelectorAll(".evidence > *, .evidence-piece")].map((e) => e.innerText.trim().replace(/\\n+/g, "\\n"));
      box.remove();
      return found;
    }
    """,
        lines,
    )
    assert "\n".join(found) == "\n".join(marked)
