"""Pairs are read whole or not at all, held out by document, and get negatives that are none by accident."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import IndexUnavailable, TrainingError
from pipeline.retrieval.thresholds import Thresholds, read_thresholds, write_thresholds
from pipeline.training.batches import Example, batch_count, batches
from pipeline.training.embedder_quality import figures, held_out
from pipeline.training.embedder_recipe import EmbedderRecipe, read_recipe
from pipeline.training.negatives import mine
from pipeline.training.pairs import MAX_LINE, Pair, read_pairs, split_by_document
from pipeline.training.similarities import mapped, sample
from tests.fakes.tiny_embedder import tiny_pairs


def pair(number: int, document: str = "d") -> Pair:
    return Pair(f"question {number}", f"passage {number}", f"p{number}", document)


def test_pairs_are_read_once_each(tmp_path: Path) -> None:
    file = tiny_pairs(tmp_path / "pairs.jsonl", 60)
    file.write_text(file.read_text() * 2 + "\n")
    assert len(read_pairs(file)) == 60


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "pairs.jsonl:61"),
        ('{"question": "q"}', "passage"),
        ('{"question": " ", "passage": "p", "passage_id": "i", "document": "d"}', "must have text"),
        ('{"question": "q", "passage": 3, "passage_id": "i", "document": "d"}', "passage"),
        (json.dumps({"question": "q", "passage": "x" * MAX_LINE, "passage_id": "i", "document": "d"}), "at most"),
        ("\ufffd\x00", "pairs.jsonl:61"),
    ],
)
def test_a_broken_or_oversized_pair_is_named_and_nothing_is_read(tmp_path: Path, line: str, said: str) -> None:
    file = tiny_pairs(tmp_path / "pairs.jsonl", 60)
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(TrainingError, match=said):
        read_pairs(file)


def test_too_few_pairs_and_a_missing_file_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="12 pairs; at least 50"):
        read_pairs(tiny_pairs(tmp_path / "pairs.jsonl", 12))
    with pytest.raises(TrainingError, match="promptai synthesize"):
        read_pairs(tmp_path / "none.jsonl")


def test_held_out_pairs_are_of_documents_that_are_not_trained_on() -> None:
    pairs = [pair(number, f"d{number % 10}") for number in range(200)]
    split = split_by_document(pairs, 0.1, seed=1)
    assert len(split.held_out) == 20
    assert {p.document for p in split.train}.isdisjoint(p.document for p in split.held_out)
    assert split == split_by_document(pairs, 0.1, seed=1)


def test_pairs_of_a_single_document_cannot_be_held_out() -> None:
    with pytest.raises(TrainingError, match="one document"):
        split_by_document([pair(number) for number in range(60)], 0.1, seed=0)


def test_a_hard_negative_is_near_but_of_another_document_and_no_rival_of_the_positive() -> None:
    pairs = [
        Pair("asked", "own", "own", "a"),
        Pair("other", "sibling", "sibling", "a"),  # nearer, but of the same document
        Pair("other 2", "rival", "rival", "b"),  # nearly as near as the positive: may answer too
        Pair("other 3", "copy", "copy", "c"),  # the positive under another name
        Pair("other 4", "hard", "hard", "d"),
        Pair("other 5", "easy", "easy", "e"),
    ]
    angles = np.radians([30, 5, -31, 32, 60, 120])
    passages = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    questions = np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (len(pairs), 1))
    assert mine(pairs, questions, passages)[0] == "hard"


def test_where_everything_may_answer_there_is_no_negative() -> None:
    pairs = [pair(0, "a"), pair(1, "a")]
    rows = np.eye(2, dtype=np.float32)
    assert mine(pairs, rows, rows) == [None, None]


def test_a_batch_never_holds_a_passage_or_question_twice() -> None:
    examples = [Example({f"q{n}", f"p{n // 4}"}, 10 * (n % 7)) for n in range(64)]
    for seed in range(3):
        made = list(batches(examples, 8, seed))
        assert len(made) == batch_count(examples, 8)
        flat = [index for batch in made for index in batch]
        assert len(flat) == len(set(flat))
        for batch in made:
            assert sum(len(examples[index].texts) for index in batch) == len(
                set().union(*(examples[index].texts for index in batch))
            )


def test_batches_hold_texts_of_like_length_and_differ_from_epoch_to_epoch() -> None:
    examples = [Example({f"q{n}"}, n) for n in range(128)]
    first, second = list(batches(examples, 8, 0)), list(batches(examples, 8, 1))
    assert max(max(batch) - min(batch) for batch in first) < 30
    assert first != second


def test_recall_and_rank_are_counted_among_the_pool() -> None:
    questions = np.eye(3, dtype=np.float32)
    passages = np.array([[1, 0, 0], [0, 0.5, 1], [0, 1, 0.5]], dtype=np.float32)
    found = figures(questions, passages, [frozenset([0]), frozenset([1]), frozenset([0, 1])])
    assert found == {"recall@1": pytest.approx(2 / 3), "recall@10": 1.0, "mrr": pytest.approx(2.5 / 3)}


def test_held_out_questions_are_looked_for_among_other_passages_too() -> None:
    pairs = [pair(number, f"d{number}") for number in range(30)]
    among = held_out(pairs[:5], pairs[5:], seed=0)
    assert (len(among.questions), len(among.passages)) == (5, 30)
    assert [among.passages[next(iter(rows))] for rows in among.gold] == [p.passage for p in pairs[:5]]


def test_thresholds_move_with_the_scale_of_similarities() -> None:
    generator = np.random.default_rng(0)
    before = generator.uniform(-0.1, 0.9, 4000)
    moved = mapped(Thresholds(), before, before * 0.5 + 0.4)
    assert moved.min_similarity == pytest.approx(0.25 * 0.5 + 0.4, abs=0.005)
    assert moved.distrust == pytest.approx(0.6, abs=0.005)
    assert moved.trust == pytest.approx(0.7, abs=0.005)
    same = mapped(Thresholds(), before, before)
    assert same.trust == pytest.approx(0.6, abs=0.005)


def test_thresholds_beyond_what_was_seen_keep_their_distance() -> None:
    seen = np.linspace(0.3, 0.5, 50)
    found = mapped(Thresholds(0.2, 0.4, 0.6), seen, seen + 0.1)
    assert (found.min_similarity, found.trust) == (pytest.approx(0.3), pytest.approx(0.7))


def test_a_sample_of_similarities_holds_own_and_foreign_passages() -> None:
    rows = np.eye(6, dtype=np.float32)
    found = sample(rows, rows, seed=0)
    assert len(found) == 30
    assert sum(found) == 6


def test_thresholds_are_kept_beside_the_model_and_a_broken_file_is_refused(tmp_path: Path) -> None:
    assert read_thresholds(tmp_path) == Thresholds()
    write_thresholds(tmp_path, Thresholds(0.1, 0.2, 0.3))
    assert read_thresholds(tmp_path) == Thresholds(0.1, 0.2, 0.3)
    for content in ("{", "[]", '{"other": 1}', '{"distrust": 0.9, "trust": 0.1}'):
        (tmp_path / "thresholds.json").write_text(content)
        with pytest.raises(IndexUnavailable, match=r"thresholds\.json"):
            read_thresholds(tmp_path)


def test_the_shipped_recipe_can_be_read_and_a_wrong_key_is_named(tmp_path: Path) -> None:
    assert read_recipe(Path("manifests/training/embedder-minilm.yaml")).base == EmbedderRecipe().base
    file = tmp_path / "recipe.yaml"
    for content, said in (("epoch: 2", "epoch"), ("batch: 1", "batch"), ("- a", "the file"), ("a: [", "recipe")):
        file.write_text(content)
        with pytest.raises(TrainingError, match=said):
            read_recipe(file)
