"""Rated answers become rows that `trl` and `promptai finetune` take, and nothing that must not be learned from does."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline import prompts
from pipeline.errors import TrainingError
from pipeline.training.adapter import read_adapter
from pipeline.training.leaks import Leaks
from pipeline.training.rated import Consent, GivenVote, RatedAnswer
from pipeline.training.ratings import Dropped, RatingsData, ratings_data
from pipeline.training.ratings_folder import About, write_folder
from pipeline.training.rows import Skill, read_rows
from pipeline.training.scrubbing import Scrubber
from pipeline.types import Answer, Citation, Hit, Mode, Passage

NOW = datetime(2026, 1, 2, tzinfo=UTC)
UP = GivenVote(up=True, expert=False, at=NOW)
EXPERT = replace(UP, expert=True)
DOWN = replace(UP, up=False, reason="wrong")


def a_hit(name: str, text: str, tenant: str = "shared") -> Hit:
    return Hit(Passage(name, f"docs:{name}.md", tenant, f"{name}.md", "Page", ("Page", name), text, 0), 0.1, (), 0.8)


ALERTS = a_hit("alerts", "Quality alerts use a window of five minutes by default.")
EXPORT = a_hit("export", "The nightly export writes Parquet files to the bucket.")
ANSWER = Answer(
    text="The export writes Parquet files [1]. Mail ada@corp.example.",
    abstained=False,
    mode=Mode.COMBINED,
    citations=(Citation(1, "Page", "export.md", "export"),),
    question="What does the export write?",
    hits=(ALERTS, EXPORT),
    models=("product",),
)
RATED = RatedAnswer(
    answer_id="a-1", tenant="acme", platform="slack", question="and what does it write?", asked_at=NOW, answer=ANSWER,
    votes=(UP,), consent=Consent("7", NOW), stale=False, versions={"docs:export.md": "v5"},
)  # fmt: skip


def made(*rated: RatedAnswer, held_out: tuple[str, ...] = (), private: bool = False) -> RatingsData:
    return ratings_data(
        rated,
        scrubber=Scrubber(["Ada Lovelace"]),
        held_out=Leaks(held_out),
        small_model=False,
        private=private,
    )


def test_a_vote_becomes_a_kto_row_with_the_prompt_and_the_answer_as_the_model_saw_and_wrote_them() -> None:
    """The reader's [1] is the prompt's second passage: the row says [2]."""
    data = made(RATED, replace(RATED, answer_id="a-2", votes=(DOWN,)))
    assert sorted(rated.row["label"] for rated in data.kto) == [False, True]
    row = data.kto[0].row
    expected = prompts.answer_messages("What does the export write?", [ALERTS.passage, EXPORT.passage])
    assert row["prompt"] == [{"role": m.role, "content": m.content} for m in expected]
    assert row["completion"] == [{"role": "assistant", "content": "The export writes Parquet files [2]. Mail [email]."}]
    assert data.sft == []
    assert data.scrubbed == {"email": 2}


def test_an_answer_from_memory_has_the_prompt_without_passages() -> None:
    """Mode `finetuned`: an expert's approval teaches the draft only, for no passage was there to cite."""
    memory = Answer("It writes Parquet.", abstained=False, mode=Mode.FINETUNED, question="What does it write?")
    data = made(replace(RATED, answer=memory, votes=(EXPERT,)))
    assert data.kto[0].row["prompt"][0]["content"] == prompts.MEMORY_ANSWER
    assert [row.row["skill"] for row in data.sft] == [Skill.DRAFT]


def test_what_an_expert_approved_teaches_both_skills() -> None:
    """The grounded answer with its markers, the closed-book draft without."""
    data = made(replace(RATED, votes=(EXPERT, DOWN)))
    texts = {row.row["skill"]: row.row["completion"][0]["content"] for row in data.sft}
    assert texts == {
        Skill.ANSWER: "The export writes Parquet files [2]. Mail [email].",
        Skill.DRAFT: "The export writes Parquet files. Mail [email].",
    }
    assert {row.row["kind"] for row in data.sft} == {"approved"}
    asked = {row.row["skill"]: row.row["prompt"][0]["content"] for row in data.sft}
    assert asked == {Skill.ANSWER: prompts.ANSWER, Skill.DRAFT: prompts.TRAINED_DRAFT}
    assert data.kto[0].row["label"] is True


def test_a_correction_teaches_the_grounded_answer_only_if_a_passage_bears_it_out() -> None:
    """Otherwise the model would learn to say what its passages do not."""
    wrong = replace(DOWN, expert=True, asked_what_is_right=True)
    supported = replace(wrong, comment="Quality alerts use a window of five minutes by default. See `window [five]`.")
    data = made(replace(RATED, votes=(supported, UP)))
    texts = {row.row["skill"]: row.row["completion"][0]["content"] for row in data.sft}
    assert texts[Skill.ANSWER].startswith("Quality alerts use a window of five minutes by default [1].")
    assert texts[Skill.DRAFT] == supported.comment
    assert {row.row["provenance"]["generator"] for row in data.sft} == {"expert"}
    assert [row.row["label"] for row in data.kto] == [False]


@pytest.mark.parametrize(
    "comment",
    [
        "Reports are printed on paper and sent by pigeon every week.",
        "Quality alerts use a window of 15 minutes by default.",
        "Quality alerts use a window of five minutes by default. Nobody may change that, not even an administrator.",
    ],
)
def test_a_correction_that_the_passages_do_not_bear_out_teaches_the_draft_only(comment: str) -> None:
    """Other words, another number, or a second statement that stands nowhere."""
    wrong = replace(DOWN, expert=True, asked_what_is_right=True, comment=comment)
    data = made(replace(RATED, votes=(wrong,)))
    assert [row.row["skill"] for row in data.sft] == [Skill.DRAFT]
    assert data.dropped == {Dropped.UNSUPPORTED: 1}


def test_an_outdated_answer_is_no_bad_example_but_its_correction_is_learned() -> None:
    """The model followed the documents."""
    outdated = replace(
        DOWN, expert=True, asked_what_is_right=True, reason="outdated", comment="The export writes Avro files now."
    )
    data = made(replace(RATED, votes=(outdated,)))
    assert data.kto == []
    assert [row.row["skill"] for row in data.sft] == [Skill.DRAFT]
    assert data.dropped == {Dropped.DOCUMENTS: 1, Dropped.UNSUPPORTED: 1}


def test_an_approved_abstention_teaches_the_models_own_words_for_it() -> None:
    """Not the sentence that people read; a thumbs-down on one teaches nothing, for the documents may really not say."""
    silent = replace(ANSWER, text=prompts.ABSTENTION, abstained=True, citations=())
    data = made(replace(RATED, answer=silent, votes=(EXPERT,)))
    assert data.kto[0].row["completion"][0]["content"] == prompts.NO_ANSWER
    assert [(row.row["skill"], row.row["kind"]) for row in data.sft] == [(Skill.ANSWER, "abstention")]
    data = made(replace(RATED, answer=silent, votes=(DOWN,)), replace(RATED, answer=replace(silent, hits=())))
    assert (data.kto, data.sft) == ([], [])
    assert data.dropped == {Dropped.ABSTENTION: 1, Dropped.NO_PASSAGES: 1}


@pytest.mark.parametrize(
    ("rated", "reason"),
    [
        (replace(RATED, question="Hi! How long are raw plays retained"), Dropped.HELD_OUT),
        (replace(RATED, stale=True), Dropped.STALE),
        (replace(RATED, answer=replace(ANSWER, hits=(a_hit("own", "Ours.", "acme"),))), Dropped.PRIVATE),
        (replace(RATED, votes=(UP, DOWN)), Dropped.UNDECIDED),
        (replace(RATED, answer=replace(ANSWER, question="ada@corp.example?")), Dropped.EMPTY),
    ],
)
def test_what_must_not_be_learned_from_is_left_out_and_counted(rated: RatedAnswer, reason: Dropped) -> None:
    """Evaluation questions, changed documents, private documents, ties, and questions of which nothing is left."""
    data = made(rated, held_out=("How long are raw plays retained?",))
    assert (data.kto, data.sft) == ([], [])
    assert data.dropped == {reason: 1}


@pytest.mark.parametrize(
    "asked",
    [
        "Hi! To what share of devices shuld a new SDK version be relased first?",
        "To what share of devices do I release a new SDK first?",
    ],
)
def test_neither_typing_errors_nor_other_words_hide_a_held_out_question(asked: str) -> None:
    held_out = ("To what share of devices should a new SDK version be released first?",)
    assert made(replace(RATED, question=asked), held_out=held_out).dropped == {Dropped.HELD_OUT: 1}


def test_the_standalone_question_is_held_out_too() -> None:
    """A follow-up leaks the question that it was rewritten to."""
    assert made(RATED, held_out=("what does the export write",)).dropped == {Dropped.HELD_OUT: 1}


def test_a_tenants_own_documents_are_for_an_adapter_of_its_own() -> None:
    """Another tenant must never be answered from them."""
    own = replace(RATED, answer=replace(ANSWER, hits=(a_hit("own", "Ours.", "acme"), EXPORT)))
    assert len(made(own, private=True).kto) == 1


def test_question_passages_and_answer_are_scrubbed_alike() -> None:
    """No name, address or key of any of them is in any line."""
    passage = a_hit("own", "Ask Ada Lovelace, ada@corp.example, or 10.1.2.3. token=abc123def")
    answer = replace(ANSWER, question="Is Ada Lovelace at 10.1.2.3?", hits=(passage,), citations=())
    data = made(replace(RATED, answer=answer, votes=(EXPERT,)))
    lines = "".join(row.line for row in (*data.kto, *data.sft))
    for secret in ("Lovelace", "corp.example", "10.1.2.3", "abc123def"):
        assert secret not in lines
    assert "Ask [name], [email], or [ip]. token=[key]" in lines


def test_each_row_says_where_it_came_from_and_names_nobody() -> None:
    """The answer's id is hashed; versions, votes, consent, mode, model and experiment are there."""
    rating = made(replace(RATED, votes=(EXPERT, DOWN), experiment="june/combined")).kto[0].rating
    assert rating.pop("answer") not in ("", "a-1")
    assert rating == {
        "tenant": "acme",
        "platform": "slack",
        "day": "2026-01-02",
        "mode": "combined",
        "models": ["product"],
        "experiment": "june/combined",
        "votes": {"ups": 1, "downs": 1, "expert_ups": 1, "expert_downs": 0, "outdated": 0},
        "decided_by": "experts",
        "reasons": ["wrong"],
        "passages": [
            {"id": "alerts", "document": "docs:alerts.md", "version": ""},
            {"id": "export", "document": "docs:export.md", "version": "v5"},
        ],
        "consent": {"id": "7", "at": NOW.isoformat()},
        "scrubbing": {"version": "1", "found": 1},
    }


def about(**changes: Any) -> About:
    return replace(About(NOW, {"acme": Consent("7", NOW)}, 3, (), 0, None, small_model=False), **changes)


def test_the_folder_holds_rows_that_finetuning_reads_a_manifest_and_a_report(tmp_path: Path) -> None:
    """`read_rows` takes sft.jsonl as it is; what was dropped and scrubbed is counted."""
    bad = replace(RATED, answer_id="a-2", votes=(DOWN,))
    data = made(replace(RATED, votes=(EXPERT,)), bad, replace(RATED, stale=True))
    questions = tmp_path / "questions.jsonl"
    questions.write_text('{"question": "Why?"}\n')
    manifest = write_folder(tmp_path / "out", data, about(held_out=(questions,), questions=1))
    rows = read_rows([tmp_path / "out" / "sft.jsonl"])
    assert {row.skill for row in rows} == {Skill.ANSWER, Skill.DRAFT}
    assert json.loads((tmp_path / "out" / "manifest.json").read_text()) == manifest
    assert manifest["kto"] == {"good": 1, "bad": 1}
    assert manifest["tenants"] == {"acme": {"consent": "7", "at": NOW.isoformat()}}
    assert manifest["dropped"] == {Dropped.STALE.value: 1}
    assert manifest["held_out"]["questions"] == 1
    report = (tmp_path / "out" / "report.md").read_text()
    assert "3 rated answers of acme" in report
    assert f"| {Dropped.STALE} | 1 |" in report
    assert "they weigh the same" in report
    assert "No evaluation questions" not in report


def test_the_report_warns_of_what_is_missing(tmp_path: Path) -> None:
    """No evaluation questions, labels of one kind; and weights for labels of unequal number, as `trl` wants them."""
    write_folder(tmp_path, made(RATED), about())
    report = (tmp_path / "report.md").read_text()
    assert "No evaluation questions were held out" in report
    assert "train on sft.jsonl only" in report
    goods = [replace(RATED, answer_id=f"a-{at}") for at in range(4)]
    write_folder(tmp_path, made(*goods, replace(RATED, answer_id="b", votes=(DOWN,))), about())
    assert "`undesirable_weight` between 3.00 and 4.00" in (tmp_path / "report.md").read_text()


def test_a_folder_that_cannot_be_written_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    """Disk full, a file in the way."""
    (tmp_path / "out").write_text("")
    with pytest.raises(TrainingError, match="--out"):
        write_folder(tmp_path / "out", made(RATED), about())


def test_the_same_ratings_give_the_same_files_in_an_order_of_their_own(tmp_path: Path) -> None:
    """Neighbours in a KTO batch must not be neighbours in time, and a data hash must not depend on it."""
    several = [replace(RATED, answer_id=f"a-{at}") for at in range(20)]
    one, other = made(*several), made(*reversed(several))
    assert one.kto == other.kto
    assert [row.rating["answer"] for row in one.kto] != sorted(row.rating["answer"] for row in one.kto)


def tiny(folder: Path) -> str:
    """A folder with a random Llama of two layers and a tokenizer whose tokens are bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "<end>"]
    tokenizer = Tokenizer(models.BPE(vocab={token: at for at, token in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>")
    fast.chat_template = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=len(alphabet), max_position_embeddings=2048, **shape)
    LlamaForCausalLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return str(folder)


def test_trls_kto_trainer_takes_the_rows_and_makes_a_step(tmp_path: Path) -> None:
    """From the file as `trl kto` loads it, with a random model of two layers; the adapter can be served."""
    pytest.importorskip("trl")
    from datasets import load_dataset
    from peft import LoraConfig
    from trl import KTOConfig, KTOTrainer

    votes = (EXPERT, DOWN, UP, DOWN)
    data = made(*(replace(RATED, answer_id=f"a-{at}", votes=(vote,)) for at, vote in enumerate(votes)))
    write_folder(tmp_path, data, about())
    rows = load_dataset("json", data_files=str(tmp_path / "kto.jsonl"), split="train", cache_dir=str(tmp_path))
    config = KTOConfig(
        output_dir=str(tmp_path / "kto"), max_steps=1, per_device_train_batch_size=2, max_length=1536, bf16=False,
        use_cpu=True, gradient_checkpointing=False, save_strategy="no", report_to="none", disable_tqdm=True,
    )  # fmt: skip
    trainer = KTOTrainer(
        model=tiny(tmp_path / "tiny"), args=config, train_dataset=rows.select_columns(["prompt", "completion", "label"]),
        peft_config=LoraConfig(r=16, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"),
    )  # fmt: skip
    assert len(trainer.train_dataset) == 4
    assert trainer.train().training_loss > 0
    trainer.save_model(str(tmp_path / "adapter"))
    assert read_adapter(tmp_path / "adapter").rank == 16
