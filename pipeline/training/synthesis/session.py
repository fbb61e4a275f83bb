"""A run of `promptai synthesize`: pages -> examples -> filters -> rows and pairs -> files. The page to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import TrainingError
from pipeline.evaluation.cases import read_records
from pipeline.training.synthesis.examples import Example
from pipeline.training.synthesis.filters import Dropped, filters_of, passed, without_duplicates
from pipeline.training.synthesis.making import Shape, make, prompt_versions
from pipeline.training.synthesis.near import HeldOut
from pipeline.training.synthesis.output import REPORT, SAMPLE, write
from pipeline.training.synthesis.pages import Corpus
from pipeline.training.synthesis.report import report
from pipeline.training.synthesis.rules import by_rules
from pipeline.training.synthesis.sample import sample
from pipeline.training.synthesis.seeds import Seed, from_seeds, read_seeds
from pipeline.training.synthesis.template import ChatTemplate


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be made."""

    out: Path
    seeds: tuple[Path, ...] = ()
    """JSON lines of given questions."""
    held_out: tuple[Path, ...] = ()
    """JSON lines of evaluation questions, never trained on."""
    rules: bool = True
    """Whether to make what needs no model."""
    wordings: int = 3
    """Wordings of a rule's question, at most."""
    without: tuple[str, ...] = ()
    """Kinds of rules' examples that are not wanted."""
    skip_unknown_seeds: bool = False
    shape: Shape = field(default_factory=Shape)


@dataclass(frozen=True, slots=True)
class Inputs:
    """The files of a plan, read: what is wrong with them is said before anything slow begins."""

    seeds: tuple[Seed, ...]
    held_out: HeldOut


def read_inputs(plan: Plan) -> Inputs:
    """Raises `TrainingError` or `EvaluationError` naming the lines that are wrong."""
    return Inputs(read_seeds(plan.seeds), HeldOut(_questions(plan.held_out)))


def given(plan: Plan, inputs: Inputs, corpus: Corpus, dropped: Dropped) -> list[Example]:
    """Examples that need no model: seeds first. Raises `TrainingError` for seeds whose page is not there."""
    examples, unknown = from_seeds(corpus, inputs.seeds, skip_unknown=plan.skip_unknown_seeds)
    for name in unknown:
        dropped.add("unknown-seed", name)
    made = by_rules(corpus, plan.wordings) if plan.rules else iter(())
    return [*examples, *(example for example in made if example.kind not in plan.without)]


def finish(
    plan: Plan,
    inputs: Inputs,
    corpus: Corpus,
    examples: Sequence[Example],
    dropped: Dropped,
    *,
    template: ChatTemplate,
    generator: dict[str, Any],
    date: str,
) -> dict[str, Any]:
    """Filter the examples, write the data folder, return its manifest. `generator`: what to say of the model.

    Raises `TrainingError` where nothing is left or the disk is full.
    """
    kept = passed(examples, filters_of(corpus, inputs.held_out), dropped)
    kept = without_duplicates(kept, corpus.vocabulary, dropped)
    made = make(corpus, kept, plan.shape, dropped)
    if not made.train:
        told = ", ".join(f"{name} {count}" for name, count in dropped.counts.most_common()) or "there were none"
        raise TrainingError(
            f"No rows are left of {len(examples):,} examples (dropped: {told}). "
            "Add documents or seeds, or check --held-out: every question was like one of its."
        )
    facts = {
        "schema": 1,
        "made_by": "promptai synthesize",
        "date": date,
        "corpus": {"hash": corpus.hash, "documents": len(corpus.pages), "passages": len(corpus.passages)},
        "generator": generator,
        "seeds": len(inputs.seeds),
        "held_out_questions": len(inputs.held_out),
        "wordings": plan.wordings,
        "shape": {**asdict(plan.shape), "skills": [str(skill) for skill in plan.shape.skills]},
        "prompts": prompt_versions(),
        "chat_template": {"source": template.source, "sha256": template.sha256, "text": template.text},
        "dropped": dict(sorted(dropped.counts.items())),
    }
    pages = {REPORT: report(facts, made, dropped), SAMPLE: sample(made.train)}
    return write(plan.out, made, facts, pages)


def _questions(files: Sequence[Path]) -> list[str]:
    """All questions of the files; a follow-up also behind the question before it."""
    found: list[str] = []
    for file in files:
        for record in read_records(file, ("question",)):
            found.append(str(record["question"]))
            if history := record.get("history"):
                found.append(f"{history[-1]['question']} {record['question']}")
    return found
