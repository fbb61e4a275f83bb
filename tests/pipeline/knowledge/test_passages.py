"""Documents to passages."""

from __future__ import annotations

import pytest

from pipeline.knowledge.passages import Splitter
from pipeline.retrieval import HashingEmbedder, SentenceTransformerEmbedder
from pipeline.types import Document, Passage

EMBEDDER = HashingEmbedder()


def document(text: str, *, title: str = "Page", tenant: str = "acme", name: str = "docs:page.md") -> Document:
    return Document(name, tenant, "docs", "page.md", title, text, "")


def split(text: str, *, title: str = "Page") -> tuple[Passage, ...]:
    return Splitter(EMBEDDER).split(document(text, title=title))


TABLE_HEAD = "| Name | Meaning |\n|---|---|"
TABLE = TABLE_HEAD + "".join(f"\n| metric_{i} | what metric {i} says about a session |" for i in range(80))
CODE = "```python\n" + "\n".join(f"value_{i} = compute({i})" for i in range(150)) + "\n```"
PROSE = " ".join(f"Sentence number {i} speaks about players, sessions and networks." for i in range(120))
HARD = {
    "prose": PROSE,
    "one line without spaces": "x" * 30_000,
    "a table": TABLE,
    "code": CODE,
    "a long list": "\n".join(f"- item {i} of a list that goes on" for i in range(200)),
    "one cell": f"{TABLE_HEAD}\n| a | {PROSE} |",
    "a wide table": "|" + "column |" * 200 + "\n|" + "---|" * 200 + "\n|" + "value |" * 200,
    "a quote": "> " + PROSE,
    "mixed": f"{PROSE}\n\n{TABLE}\n\n{CODE}\n\nend",
    "unicode": "日本語のドキュメント。" * 400 + "🙂" * 300,
    "an unclosed fence": "```\n" + "line of code\n" * 300,
    "headings beyond measure": "# " + "very " * 900 + "\n\n## " + "long " * 900 + "\n\n" + PROSE,
    "html": "<div>" + "<p>paragraph of html</p>\n" * 300 + "</div>",
}


@pytest.mark.parametrize("text", HARD.values(), ids=HARD.keys())
@pytest.mark.parametrize("embedder", [EMBEDDER, SentenceTransformerEmbedder()], ids=["hashing", "MiniLM"])
def test_no_passage_is_longer_than_the_embedders_window(text: str, embedder: HashingEmbedder) -> None:
    passages = Splitter(embedder).split(document(text))
    assert passages
    assert max(embedder.count_tokens(passage.embedded_text) for passage in passages) <= embedder.max_tokens


@pytest.mark.parametrize("name", ["prose", "a long list", "a quote", "mixed", "html", "one cell"])
def test_no_word_is_lost(name: str) -> None:
    passages = split(HARD[name])
    kept = " ".join(passage.text for passage in passages)
    assert set(HARD[name].split()) <= set(kept.split())


def test_a_short_section_is_one_passage_with_its_path_and_place() -> None:
    passages = split("# Page\n\nIntro.\n\n## Rules\n\nFive minutes.")
    assert [(p.heading_path, p.location, p.text, p.position) for p in passages] == [
        (("Page",), "page.md", "Intro.", 0),
        (("Page", "Rules"), "page.md#rules", "Five minutes.", 1),
    ]


def test_every_path_begins_with_the_page() -> None:
    passages = split("## Rules\n\ntext", title="Alerts guide")
    assert passages[0].heading_path == ("Alerts guide", "Rules")


def test_long_prose_is_cut_between_sentences_into_passages_of_some_size() -> None:
    passages = split(PROSE)
    assert all(passage.text.endswith(".") for passage in passages)
    tokens = [EMBEDDER.count_tokens(passage.text) for passage in passages]
    assert all(90 <= count <= 200 for count in tokens[:-1])


def test_a_table_that_is_split_keeps_its_head_in_every_passage() -> None:
    passages = split(f"# Metrics\n\n{TABLE}")
    assert len(passages) > 3
    assert all(passage.text.startswith(TABLE_HEAD) for passage in passages)
    assert sum(passage.text.count("| metric_") for passage in passages) == 80


def test_a_table_that_fits_stays_whole() -> None:
    small = "\n".join(TABLE.split("\n")[:8])
    assert any(small in passage.text for passage in split(f"{PROSE}\n\n{small}"))


def test_code_that_fits_stays_whole_and_longer_code_stays_code() -> None:
    small = "```sh\nmake setup\n\nmake demo\n```"
    assert any(small in passage.text for passage in split(f"{PROSE}\n\n{small}\n\n{PROSE}"))
    passages = split(CODE)
    assert len(passages) > 1
    assert all(passage.text.startswith("```python\n") and passage.text.endswith("\n```") for passage in passages)


def test_headings_in_code_start_no_passage() -> None:
    [passage] = split("# Page\n\n```\n# comment\n## comment\n```")
    assert passage.heading_path == ("Page",)


def test_ids_depend_on_everything_that_a_reader_sees_and_on_the_tenant() -> None:
    base = Splitter(EMBEDDER).split(document("# A\n\ntext"))[0].id
    others = [
        document("# A\n\nother text"),
        document("# B\n\ntext"),
        document("# A\n\ntext", tenant="umbrella"),
        document("# A\n\ntext", name="docs:other.md"),
    ]
    ids = {Splitter(EMBEDDER).split(each)[0].id for each in others}
    assert len(base) == 32
    assert len(ids | {base}) == 5
    assert Splitter(EMBEDDER).split(document("# A\n\ntext"))[0].id == base


def test_the_same_text_twice_in_a_page_makes_two_passages() -> None:
    passages = split("## A\n\nsame\n\n## A\n\nsame")
    assert len({passage.id for passage in passages}) == 2


def test_a_document_without_text_has_no_passages() -> None:
    assert split("# Only a heading") == ()
