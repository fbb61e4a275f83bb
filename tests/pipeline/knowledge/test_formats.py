"""Formats beside Markdown, HTML and text."""

from __future__ import annotations

import io
import json

import pytest

from pipeline.errors import DocumentUnreadable, NotADocument
from pipeline.knowledge.convert import Converted, convert
from pipeline.knowledge.passages import Splitter
from pipeline.retrieval import HashingEmbedder
from pipeline.types import Document, Passage
from tests.fakes.files import docx, docx_paragraph, docx_table, pdf


def passages(found: Converted) -> tuple[Passage, ...]:
    document = Document("d:x", "shared", "d", "file", found.title, found.text, "")
    splitter = Splitter(HashingEmbedder())
    return splitter.split(document) if found.sections is None else splitter.split_sections(document, found.sections)


def test_word_headings_and_tables_become_markdown() -> None:
    body = docx_paragraph("Alerts", "Heading1") + docx_paragraph("They fire.") + docx_paragraph("Rules", "Heading2")
    found = convert(docx(body + docx_table(("Rule", "Window"), ("Stalls", "5 min"))), "a.docx")
    assert found.title == "Alerts"
    assert "## Rules" in found.text
    assert "| Stalls | 5 min |" in found.text


def test_each_slide_is_a_section_with_its_own_link() -> None:
    pptx = pytest.importorskip("pptx")
    deck = pptx.Presentation()
    for title, text in (("Overview", "What we do."), ("Limits", "At most ten.")):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text, slide.placeholders[1].text = title, text
    out = io.BytesIO()
    deck.save(out)
    found = convert(out.getvalue(), "deck.pptx")
    assert found.title == "Overview"
    assert [(p.location, p.heading_path[-1], p.text) for p in passages(found)] == [
        ("file#slide=1", "Overview", "What we do."),
        ("file#slide=2", "Limits", "At most ten."),
    ]


def test_each_sheet_is_a_table_whose_header_every_passage_repeats() -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.title = "Prices"
    book.active.append(["Package", "Price", None])
    for number in range(120):
        book.active.append([f"Package number {number}", number * 10, None])
    out = io.BytesIO()
    book.save(out)
    found = passages(convert(out.getvalue(), "prices.xlsx"))
    assert len(found) > 2
    assert all(passage.text.startswith("| Package | Price |") for passage in found)
    assert found[0].heading_path == ("prices", "Prices")
    assert not any("NaN" in passage.text or "Unnamed" in passage.text for passage in found)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_values_with_any_separator_are_a_table(separator: str) -> None:
    rows = [["Rule", "Window"], ["Stalls", "5 | 6"], ["", ""], ["Errors", "7"]]
    data = "\n".join(separator.join(row) for row in rows).encode()
    assert convert(data, "rules.csv").text.split("\n") == [
        "| Rule | Window |", "| --- | --- |", "| Stalls | 5 \\| 6 |", "| Errors | 7 |",
    ]  # fmt: skip


def test_a_notebook_keeps_text_and_code_and_drops_outputs() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Train\n", "\n", "First load."]},
        {"cell_type": "code", "source": ["# load\n", "x = 1"], "outputs": [{"text": ["secret output"]}]},
    ]
    found = convert(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4}).encode(), "a.ipynb")
    assert found.title == "Train"
    assert "```python\n# load\nx = 1\n```" in found.text
    assert "secret" not in found.text


@pytest.mark.parametrize("data", [b"{}", b"[1, 2]", b"not json"])
def test_what_is_no_notebook_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentUnreadable):
        convert(data, "a.ipynb")


def test_each_page_of_a_pdf_is_linked_and_running_heads_and_divided_words_are_mended() -> None:
    pages = [
        [
            "Manual",
            f"Part {name}:",
            "the viewer waits be-",
            "fore that.",
            "# no heading",
            f"It is {name}.",
            f"page {number} of 5",
        ]
        for number, name in enumerate(("one", "two", "three", "four", "five"), start=1)
    ]
    found = passages(convert(pdf(pages), "manual.pdf"))
    assert [passage.location for passage in found] == [f"file#page={number}" for number in range(1, 6)]
    assert found[1].text == "Part two:\nthe viewer waits before that.\n\\# no heading\nIt is two."


def test_a_pdf_of_ten_thousand_pages_is_read_to_its_end() -> None:
    words = ("alpha", "beta", "gamma", "delta", "omega", "sigma", "kappa")
    pages = [[f"{words[n % 7]} {words[n // 7 % 7]} {n}", "text", f"{words[n % 5]} end"] for n in range(10_000)]
    found = convert(pdf(pages), "long.pdf")
    assert found.sections is not None
    assert (len(found.sections), found.sections[-1].anchor) == (10_000, "page=10000")
    assert "9999" in found.sections[-1].text


def test_a_pdf_without_text_is_refused_with_advice() -> None:
    with pytest.raises(DocumentUnreadable, match="OCR"):
        convert(pdf([[], []]), "scan.pdf")


RST = b"""
My title
========

.. toctree::
   :maxdepth: 2

   hidden/page

See :ref:`the page <target>`, :class:`~ray.data.Dataset` and ``code``.

.. _anchor:

Section
-------

.. versionadded:: 2.3
   It can do this.

.. code-block:: python
   :linenos:

   # no heading
   x = 1

.. list-table::
   :header-rows: 1

   * - Rule
     - Window
   * - Stalls
     - 5 min

.. include:: /etc/passwd
.. raw:: html

   <script>steal()</script>
"""


def test_restructuredtext_is_read_with_the_directives_and_roles_of_sphinx() -> None:
    found = convert(RST, "a.rst")
    assert found.title == "My title"
    assert "See the page, Dataset and code." in found.text.replace("`", "")
    assert "## Section {#section}" in found.text
    assert "It can do this." in found.text
    assert "```python\n# no heading\nx = 1\n```" in found.text
    assert "| Stalls | 5 min |" in found.text
    for dropped in ("hidden/page", "root:", "steal", "toctree"):
        assert dropped not in found.text


def test_asciidoc_keeps_its_lines_headings_and_listings() -> None:
    text = "= Guide\n:toc:\n\nIntro.\n\n[#limits]\n== Limits\n\n[source,yaml]\n----\n== not a heading\n----\n// note\n"
    found = convert(text.encode(), "a.adoc")
    assert found.title == "Guide"
    assert found.text.split("\n")[6] == "## Limits {#limits}"
    assert "```yaml\n== not a heading\n```" in found.text
    assert len(found.text.split("\n")) == text.count("\n") - 1
    assert [passage.location for passage in passages(found)] == ["file", "file#limits"]


API = """
openapi: 3.0.0
info: {title: Pets, version: "1.2", description: All pets.}
paths:
  /pets/{id}:
    parameters:
      - {name: trace, in: header, schema: {type: boolean}}
    get:
      summary: One pet
      parameters:
        - {name: id, in: path, required: true, schema: {type: integer, format: int64}, description: its id}
      responses:
        "200": {description: fine, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}
        "404": {$ref: "#/components/responses/Missing"}
components:
  responses:
    Missing: {description: no such pet}
  schemas:
    Pet:
      type: object
      required: [name]
      properties:
        name: {type: string, enum: [Rex, Tom]}
        friends: {type: array, items: {$ref: "#/components/schemas/Pet"}}
"""


def test_an_openapi_description_has_a_section_for_each_operation_and_schema() -> None:
    found = convert(API.encode(), "pets.yaml")
    assert (found.title, found.release) == ("Pets", "1.2")
    by_heading = {passage.heading_path[-1]: passage.text for passage in passages(found)}
    operation = by_heading["GET /pets/{id}: One pet"]
    assert "| id | path | integer (int64) | yes | its id |" in operation
    assert "| trace | header | boolean | no |" in operation
    assert "| 200 | Pet | fine |" in operation
    assert "| 404 |  | no such pet |" in operation
    assert "| friends | array of Pet | no |" in by_heading["Schema Pet"]
    assert "| name | string: Rex, Tom | yes |" in by_heading["Schema Pet"]


def test_json_works_as_yaml_does_and_swagger_2_as_openapi_3() -> None:
    api = {"swagger": "2.0", "info": {"title": "Old"}, "paths": {"/a": {"post": {"description": "Makes it."}}}}
    found = convert(json.dumps(api, indent=1).encode(), "api.json")
    assert found.title == "Old"
    assert "## POST /a\n\nMakes it." in found.text


@pytest.mark.parametrize("data", [b'{"name": "x"}', b"a: 1\nopen: yes", b"- openapi\n- list"])
def test_other_json_and_yaml_is_no_document(data: bytes) -> None:
    with pytest.raises(NotADocument):
        convert(data, "package.json")


def test_references_in_circles_and_nested_bombs_end() -> None:
    bomb = "openapi: 3.0.0\nx0: &x0 [lol]\n" + "".join(
        f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]\n" for n in range(1, 12)
    )
    circle = 'components: {schemas: {A: {$ref: "#/components/schemas/B"}, B: {$ref: "#/components/schemas/A"}}}\n'
    found = convert((bomb + "info: {title: *x11, description: *x11}\n" + circle).encode(), "bomb.yaml")
    assert len(found.text) < 1000


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.xlsx", "a.pptx"])
@pytest.mark.parametrize("data", [b"", b"nonsense" * 100, b"PK\x03\x04" + b"\0" * 60, b"%PDF-1.4\n%%EOF"])
def test_damaged_files_are_refused_with_a_reason(name: str, data: bytes) -> None:
    with pytest.raises(DocumentUnreadable):
        convert(data, name)
