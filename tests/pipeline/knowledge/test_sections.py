"""Headings, anchors, sections."""

from __future__ import annotations

import pytest

from pipeline.knowledge.sections import headings, sections, slug


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Getting started", "getting-started"),
        ("C++ & C#", "c--c"),
        ("What's new?", "whats-new"),
        ("`map_batches` options", "map_batches-options"),
        ("Größe — ünïcode", "größe--ünïcode"),
        ("2.3 Limits", "23-limits"),
    ],
)
def test_anchors_are_githubs(heading: str, anchor: str) -> None:
    assert slug(heading.replace("`", "")) == anchor
    assert headings(f"## {heading}")[0].anchor == anchor


def test_anchors_are_unique_in_a_page() -> None:
    text = "# A\n\n## Setup\n\n## Setup\n\n## Setup 1\n\n## Setup"
    assert [heading.anchor for heading in headings(text)] == ["a", "setup", "setup-1", "setup-1-1", "setup-2"]


def test_an_anchor_written_in_the_heading_wins() -> None:
    [heading] = headings("## Default rules {#my\\_rules .class}")
    assert (heading.text, heading.anchor) == ("Default rules", "my_rules")


@pytest.mark.parametrize(
    "text",
    [
        "```python\n# comment\n```",
        "~~~\n## comment\n~~~",
        "````\n```\n# still code\n```\n````",
        "    # indented code",
        "> # quoted",
        "- # in a list",
        "#no space",
        "####### seven",
        "<!--\n# commented out\n-->",
        "text\n\n---\n\ntext",
        "| a | b |\n|---|---|\n| # | ## |",
    ],
)
def test_a_hash_that_is_no_heading_is_none(text: str) -> None:
    assert headings(text) == ()


def test_underlined_headings_count() -> None:
    assert [(heading.level, heading.text) for heading in headings("Top\n===\n\nSub\n---\n\ntext")] == [
        (1, "Top"),
        (2, "Sub"),
    ]


def test_an_unclosed_code_fence_reaches_to_the_end() -> None:
    assert [heading.text for heading in headings("# Top\n\n```\n# code")] == ["Top"]


def test_each_section_knows_its_headings_and_anchor() -> None:
    text = "# Alerts\n\nIntro.\n\n## Rules\n\n### Defaults\n\nFive minutes.\n\n## Limits\n\nTen rules."
    assert [(section.path, section.anchor, section.text) for section in sections(text)] == [
        (("Alerts",), None, "Intro."),
        (("Alerts", "Rules", "Defaults"), "defaults", "Five minutes."),
        (("Alerts", "Limits"), "limits", "Ten rules."),
    ]


def test_text_before_the_first_heading_is_a_section_of_the_page() -> None:
    assert [(section.path, section.anchor) for section in sections("Before.\n\n## Rules\n\nAfter.")] == [
        ((), None),
        (("Rules",), "rules"),
    ]


def test_a_level_that_is_skipped_does_not_break_the_path() -> None:
    text = "# A\n\n#### Deep\n\nx\n\n## B\n\ny"
    assert [section.path for section in sections(text)] == [("A", "Deep"), ("A", "B")]


def test_an_endless_heading_is_clipped() -> None:
    [section] = sections(f"# {'word ' * 500}\n\ntext")
    assert len(section.path[0]) <= 160
    assert section.path[0].endswith("…")
