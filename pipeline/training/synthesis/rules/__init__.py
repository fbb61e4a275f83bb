"""Examples that need no language model. A rule is a function from the corpus to examples; `RULES` names them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pipeline.training.synthesis.examples import Example
from pipeline.training.synthesis.pages import Corpus
from pipeline.training.synthesis.rules.across import headings_across, properties_across, rows_across
from pipeline.training.synthesis.rules.headings import definitions, headings, identifiers, passages
from pipeline.training.synthesis.rules.parts import lists, statements, tables, terms

Rule = Callable[[Corpus, int], Iterator[Example]]
"""Takes the corpus and how many wordings of a question are wanted at most."""

RULES: dict[str, Rule] = {
    "passage": passages,
    "heading": headings,
    "definition": definitions,
    "identifier": identifiers,
    "table": tables,
    "list": lists,
    "statement": statements,
    "terms": terms,
    "global": properties_across,
    "global-rows": rows_across,
    "global-headings": headings_across,
}


def by_rules(corpus: Corpus, wordings: int) -> Iterator[Example]:
    """The examples of all rules."""
    for rule in RULES.values():
        yield from rule(corpus, wordings)
