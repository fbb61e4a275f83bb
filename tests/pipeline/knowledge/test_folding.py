"""Which documents are near-duplicates of each other."""

from __future__ import annotations

import random

from pipeline.knowledge.folding import Signed, folds, signature


def text(seed: int, words: int = 300) -> list[str]:
    generator = random.Random(seed)
    return [generator.choice("abcdefghijklmnop") + str(generator.randrange(2000)) for _ in range(words)]


def signed(name: str, words: list[str], source: str = "docs") -> Signed:
    return Signed(f"{source}:{name}", source, name, signature(" ".join(words)))


def groups(documents: list[Signed]) -> set[frozenset[str]]:
    """The folds as sets of ids."""
    found = folds(documents)
    return {frozenset(each for each in found if found[each] == name) for name in found.values()}


def test_copies_and_pages_with_a_few_other_words_are_one_fold() -> None:
    words = text(1)
    documents = [signed("a", words), signed("b", words), signed("c", [*words[:-3], *text(9, 3)]), signed("d", text(2))]
    assert groups(documents) == {frozenset({"docs:a", "docs:b", "docs:c"})}


def test_what_is_near_to_a_near_duplicate_belongs_to_the_same_fold() -> None:
    """Of 200 versions the first and the last have little in common."""
    words, documents = text(3, 400), list[Signed]()
    for number in range(200):
        documents.append(signed(f"{number:03d}", words))
        words = words[:number] + text(1000 + number, 1) + words[number + 1 :]
    assert groups(documents) == {frozenset(document.id for document in documents)}


def test_editions_of_a_page_are_one_fold_whatever_they_say_but_not_those_of_two_sources() -> None:
    documents = [signed("en/v1/setup.md", text(4)), signed("de/setup.md", text(5)), signed("setup.md", text(6))]
    other = signed("fr/setup.md", text(7), source="blog")
    assert groups([*documents, other]) == {frozenset(document.id for document in documents)}


def test_a_fold_is_named_alike_in_whatever_order_its_documents_come() -> None:
    documents = [signed(f"{page}-{copy}", text(page)) for page in range(20) for copy in range(3)]
    shuffled = random.Random(0).sample(documents, len(documents))
    assert folds(documents) == folds(shuffled)
    assert len(groups(documents)) == 20


def test_texts_of_a_few_words_match_only_their_equals() -> None:
    documents = [signed("a", ["see", "below"]), signed("b", ["see", "below"]), signed("c", ["see", "above"])]
    assert groups(documents) == {frozenset({"docs:a", "docs:b"})}


def test_no_documents_have_no_folds() -> None:
    assert folds([]) == {}
    assert folds([Signed("docs:a", "docs", "a", b"")]) == {}
